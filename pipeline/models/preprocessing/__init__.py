"""The Keras layers of each kind of feature, one file each: its arithmetic of `data/features/`, inside the model."""
