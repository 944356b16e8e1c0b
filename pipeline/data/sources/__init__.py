"""Formats of sources, one file each: a class `Settings` and `open_source(settings, folder)`."""
