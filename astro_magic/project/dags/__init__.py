"""What the text of the files below ``dags/`` says, and which of them Airflow passes over."""
