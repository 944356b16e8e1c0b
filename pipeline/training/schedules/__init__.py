"""Schedules, one file each: a class `Settings` and `share(settings, step, steps)` of the peak learning rate."""
