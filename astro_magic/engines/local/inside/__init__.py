"""Code that runs in the environment's own Python, beside Airflow.

These modules may import the standard library, psutil and Airflow, and one another by relative imports: the
environment has no Astro Magic in it. `processes` is used by the kernel too.
"""
