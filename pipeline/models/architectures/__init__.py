"""Network architectures, one file each: a `Settings` class and `build(settings, inputs, units)`.

`inputs` are the features by name, normalised float32; `units` is how many numbers to give for a row. `check(settings,
recipe)` refuses what cannot be built.
"""
