"""What a task makes of an architecture's last layer, one file each.

`units(classes)` is what that layer has to give for a row; `output(logits)` makes the answers, by one layer called NAME.
Of a task whose target is a number it is `output(logits, target)`: logits are in deviations from the target's mean, and
answers in its unit.
"""
