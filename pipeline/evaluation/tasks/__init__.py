"""Tasks, one file each: what a target is, the metrics, the score that the gate compares, the plots."""
