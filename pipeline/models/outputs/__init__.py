"""What a task makes of an architecture's last layer, one file each: `units(classes)` and `output(logits)`."""
