"""Scripts that run where Airflow is imported; each defines ``main(request, emit)``."""
