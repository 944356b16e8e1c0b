"""The gate, the model registry, and what is exported from it."""
