"""Losses, one file each: a class `Settings` and `build(settings, classes)`, the loss of each row of a batch."""
