"""A project's connections, pools and variables: what its files say of them, and what its running Airflow has."""
