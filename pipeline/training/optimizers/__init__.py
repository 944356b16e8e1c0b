"""Optimizers, one file each: a class `Settings` and `build(settings, learning_rate)`, a Keras optimizer."""
