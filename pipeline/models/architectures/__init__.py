"""Network architectures, one file each: a `Settings` class and `build(settings, images, classes)`."""
