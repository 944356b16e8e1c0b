"""Ratchet: retrain, judge, and replace a model only when test rows show the new one to be better."""
