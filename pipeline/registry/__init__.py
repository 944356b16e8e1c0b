"""The model registry in MLflow: publishing a judged candidate, reading versions, promoting by hand, rolling back."""
