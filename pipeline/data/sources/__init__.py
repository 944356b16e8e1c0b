"""Formats of sources, one file each: `Settings`, `FEATURES`, `open_source(settings, folder, classes)`.

`FEATURES` is what it delivers: a feature's name, and its kind. Two things a file may have besides: `recognise(path)`,
the settings with which it reads what stands at a path, None if that is of another format; and `READS_A_FILE = True`, if
`data.path` may be a file.
"""
