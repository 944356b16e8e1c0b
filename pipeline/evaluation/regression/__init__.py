"""The arithmetic and the drawings of regression: `tasks/regression.py` is their only way in."""
