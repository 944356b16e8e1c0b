"""Batch scoring: every row of a source, labelled or not, gets a model's answer, or the reason why it has none."""
