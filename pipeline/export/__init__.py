"""The exported form of a model, and querying it in a process that loads none of this package's models."""
