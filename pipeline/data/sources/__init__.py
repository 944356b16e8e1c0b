"""Formats of sources, one file each: `Settings`, `FEATURES` (what it delivers) and `open_source(settings, folder, classes)`.

`recognise(path)`, where a file has it, returns the settings with which it reads what is at a path, or None: `ratchet init`
asks every source. It looks at names and a few first bytes, and is quick.
"""
