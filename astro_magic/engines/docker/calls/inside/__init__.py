"""Code that runs in a container, in the image's Python: the standard library, Airflow and what it brings, no more."""
