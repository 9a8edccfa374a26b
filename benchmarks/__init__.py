"""Measurements, each beside what a user would do otherwise, as a ratio in one run."""
