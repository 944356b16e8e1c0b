"""The data phase: from a source's bytes to clean, split, fixed-size and augmented rows. Spark and Arrow."""
