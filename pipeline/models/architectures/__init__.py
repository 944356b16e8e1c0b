"""Network architectures, one file each: a `Settings` class and `build(settings, inputs, units)`.

`inputs` are the features by name (`models/inputs.py`): normalised float32, or int32 ids, whose numbers are in
`inputs.sizes`; `units` is how many numbers to give for a row. `check(settings, recipe)` refuses what cannot be built.
"""
