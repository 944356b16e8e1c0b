"""Starts and supervises the ranks of a training. It decides no result."""
