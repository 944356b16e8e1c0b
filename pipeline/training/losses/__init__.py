"""Losses, one file each: a class `Settings` and `build(settings, classes)`, the loss of each row of a batch.

`TARGET = "class"`, or `"number"`, says of which targets it is a loss; one that does not say so fits any.
`TAKES_MIXED_TARGETS = True` says that of a row that is a share of one label and the rest of another, the loss is the
mean of those of both, weighted so.
"""
