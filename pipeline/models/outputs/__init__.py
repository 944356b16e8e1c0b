"""What a task makes of an architecture's last layer, one file each.

`units(classes)` is what that layer has to give for a row; `output(logits)` makes the answers, by one layer called NAME.
"""
