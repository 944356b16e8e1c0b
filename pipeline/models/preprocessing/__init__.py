"""How each kind of feature enters a model, one file each: the arithmetic of `data/features/`, inside the model.

`layers(spec, prepared)` gives Keras layers from prepared values to normalised float32, or int32 values as they are, of
which `size(spec)` says how many different ones there may be, from 0. `raw_input(spec)` and `prepare(spec, raw)` go
before them in what is served, and take values as they are outside.
"""
