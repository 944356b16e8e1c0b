"""Steps that change copies of training rows, one file each.

Each has `Settings`, `KINDS` (the kinds of features that it changes) and `change(values, keys, settings)`: values are
`[row, *shape]` of a feature, `keys [row]` those of the step's own random numbers. It returns values of the same shape
and type, and leaves what it was given alone.

A step that lays another row over a row has `partners(keys, settings, rows)` too: which of so many training rows is laid
over each, `[row] int64`, −1 for none. Its `change(values, keys, settings, others)` gets the rows that have a partner
alone, with their partners' values, and returns the values and the share of each that is still its own, `[row] float64`.
"""
