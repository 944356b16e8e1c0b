"""Ratchet: retrain, judge, and replace a model only when the new one is provably at least as good."""
