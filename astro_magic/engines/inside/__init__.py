"""Runs in the environment's Python as well, on every engine: standard library and Airflow only."""
