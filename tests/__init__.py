"""The tests of Astro Magic."""
