"""What a task measures while it trains, one file each: `metrics(labels, logits)`, figures of each row by name.

`TAKES_MIXED_TARGETS = True` says that a row may be a share of one label and the rest of another: its figures are the
means of those of both, weighted so.
"""
