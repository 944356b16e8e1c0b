"""Cron expressions of configs: checked where they are read, so that an error names the file and the key."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable
from airflow.sdk.exceptions import AirflowException

from pipeline.errors import UsageError

# Until a DAG has had its first scheduled run, Airflow reckons from now whenever it reads the file anew. That may be
# after a date has come and before the scheduler has made its run: for so long it is still due, and no longer, so that a
# run that is deleted is not made again.
_LATE = timedelta(minutes=1)


def cron(expression: str, where: str) -> CronTriggerTimetable:
    """Return the timetable of a cron expression, in UTC; raise UsageError, led by `where`, for an invalid one.

    For a DAG without a `start_date`: then its first scheduled run is that of the next date to come. With one in the
    past, Airflow makes the run of the last date at once when the DAG is switched on, and again when that is deleted.
    """
    timetable = CronTriggerTimetable(expression, timezone="UTC", run_immediately=_LATE)
    try:
        timetable.validate()
    except AirflowException as error:
        raise UsageError(f"{where}: {expression!r:.80} is no cron expression, like '0 2 * * *': {error}") from None
    return timetable
