"""The arithmetic and the drawings of classification: `tasks/classification.py` is their only way in."""
