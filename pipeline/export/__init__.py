"""The served form of a model, and asking it in a process that knows nothing of this package's models."""
