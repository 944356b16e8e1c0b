"""Formats of sources, one file each: `Settings`, `FEATURES` (what it delivers), `open_source(settings, folder, classes)`.

Two things a file may have besides: `recognise(path)`, the settings with which it reads what stands at a path, None if
that is of another format; and `READS_A_FILE = True`, if `data.path` may be a file.
"""
