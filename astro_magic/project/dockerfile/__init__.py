"""The Dockerfile."""
