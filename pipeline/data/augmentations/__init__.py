"""Steps that change copies of training rows, one file each: `Settings`, `KINDS`, `change(values, keys, settings)`."""
