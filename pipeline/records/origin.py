"""`.ratchet/origin.json`: where the folder of a run comes from. It stands in a run's workspace and nowhere else."""

from __future__ import annotations

from pipeline.records.record import Record

ORIGIN_FILE = ".ratchet/origin.json"


class Origin(Record):
    """Whose workspace a folder is. `home` is the path of the project's folder, relative to the workspace.

    `photograph` is the digest of what the workspace was made from; `commit` names what was checked out then, and
    `is_dirty` says whether the files of the run differed from it. None: not known.
    """

    home: str
    run: str
    photograph: str | None = None
    commit: str | None = None
    is_dirty: bool | None = None
