"""`.ratchet/origin.json`: where the folder of a run comes from. It stands in a run's workspace and nowhere else."""

from __future__ import annotations

from typing import Self

from pipeline.records.record import Record
from pipeline.records.run import RunRecord

ORIGIN_FILE = ".ratchet/origin.json"


class Origin(Record):
    """Whose workspace a folder is. `home` is the path of the project's folder, relative to the workspace.

    `photograph` is the digest of what the workspace was made from; `commit` names what was checked out then, and
    `is_dirty` says whether the files of the run differed from it. None: not known. `asked_by` is who wanted the run;
    `dag_id`, `dag_run_id` and `address` are Airflow's names and page of it. Empty: nobody said so.
    """

    home: str
    run: str
    photograph: str | None = None
    commit: str | None = None
    is_dirty: bool | None = None
    asked_by: str = ""
    dag_id: str = ""
    dag_run_id: str = ""
    address: str = ""

    @classmethod
    def of(cls, record: RunRecord) -> Self:
        """Return what a run's record says of it, for the project's folder itself."""
        return cls(
            home=".",
            run=record.id,
            photograph=record.photograph,
            commit=record.commit,
            is_dirty=record.is_dirty,
            asked_by=record.asked_by,
            dag_id=record.dag_id,
            dag_run_id=record.dag_run_id,
            address=record.address,
        )
