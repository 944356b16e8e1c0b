"""Starts the ranks of a training and watches over them. It decides nothing of the result."""
