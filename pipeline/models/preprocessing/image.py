"""Images inside the model: any size is resized as `data/features/image.py` does, then normalised by channel."""
