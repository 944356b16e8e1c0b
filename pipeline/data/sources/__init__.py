"""Formats of sources, one file each: `Settings`, `FEATURES` or `KINDS`, `open_source(settings, folder, wanted)`.

`FEATURES` is what it delivers: a feature's name, and its kind. A source of tables has `KINDS` in its place, the kinds
that its columns may be. What a file may have besides:

    recognise(path)               the settings with which it reads what stands at a path; None if that is not its format
    by_hand(path)                 what a person is to write for what stands there, where `ratchet init` drafts nothing
    column_names(settings, path)  the columns of a table there, which `ratchet init` drafts
    READS_A_FILE = True           `data.path` may be a file
    TAKES_AS_OF = True            `ingest.as_of` is a date for the source, not of a snapshot of its folder
"""
