"""Steps that change copies of training rows, one file each.

Each has `Settings`, `KINDS` (the kinds of features that it changes) and `change(values, keys, settings)`: values are
`[row, *shape]` of a feature, `keys [row]` those of the step's own random numbers. It returns values of the same shape
and type, and leaves what it was given alone.

A step that lays another row over a row has `partners(keys, settings, rows)` too: which of so many training rows is laid
over each, `[row] int64`, −1 for none. Its `change(values, keys, settings, others)` gets the rows that have a partner
alone, with their partners' values, and returns the values and the share of each that is still its own, `[row] float64`.

All features of a row that a step changes get the same random numbers: two pictures of one thing are turned together. A
step that says `DRAWS_BY_FEATURE = True` gets others for each feature.

A step that has `copies_of(rows, times, settings)` says how many copies of each row are added to those that the recipe
asks for, `[class] int`, from the rows of each class in the training part, `[class]`, and from how many times each row
is trained on without it. It may do that alone: then it has neither `KINDS` nor `change`.
"""
