"""YAML files that are edited in place."""
