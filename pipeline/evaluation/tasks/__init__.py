"""Tasks, one file each: what an answer is, the metrics, the score that the gate compares, the plots.

`pipeline/recipe/task.py` says what such a file has.
"""
