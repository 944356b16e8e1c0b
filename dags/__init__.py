"""What Airflow imports. Beside airflow: the standard library, PyYAML and pydantic only."""
