"""What the pipeline needs from this machine: what is there, what is missing, and the command that fixes it."""
