"""The Airflow objects of a local environment."""
