"""Steps that change a copy of a training row, one file each: a class `Settings` and `change(rows, keys, settings)`."""
