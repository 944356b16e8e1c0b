"""What Airflow imports. Besides airflow: the standard library, PyYAML and pydantic only."""
