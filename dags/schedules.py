"""Cron expressions of configs: checked where they are read, so that an error names the file and the key."""

from __future__ import annotations

from airflow.sdk import CronTriggerTimetable
from airflow.sdk.exceptions import AirflowException

from pipeline.errors import UsageError


def cron(expression: str, where: str) -> CronTriggerTimetable:
    """Return the timetable of a cron expression, in UTC; raise UsageError, led by `where`, for an invalid one."""
    timetable = CronTriggerTimetable(expression, timezone="UTC")
    try:
        timetable.validate()
    except AirflowException as error:
        raise UsageError(f"{where}: {expression!r:.80} is no cron expression, like '0 2 * * *': {error}") from None
    return timetable
