"""What Ratchet adds to Airflow's own processes: a run's reports under its page, and a note with its outcome."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.listeners import hookimpl  # noqa: E402
from airflow.plugins_manager import AirflowPlugin  # noqa: E402

from dags.derive import OPEN  # noqa: E402
from pipeline.errors import RatchetError  # noqa: E402
from pipeline.runs import history, workspaces  # noqa: E402

_PREFIX = "/ratchet"
# Neither a report nor Great Expectations' documents may run or load anything, or send anything anywhere. They stay of
# Airflow's origin, without which the browser would send no log-in when a link leads from one to the next; so they must
# never be let run scripts as well.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)


def kept_file(root: Path, dag_id: str, run_id: str, path: str) -> Path | None:
    """Return a file of a run's reports, as its latest attempt has kept it, or as it is in the run's workspace so far.

    None if it is missing, or outside of the reports.
    """
    name = history.id_for(dag_id, run_id)
    try:
        kept = root / history.read(root, name).folder
    except RatchetError:
        return None
    for folder in (kept, workspaces.workspace_of(root, name)):
        try:
            found = (folder / path).resolve()
            if found.is_relative_to(folder.resolve() / "reports") and found.is_file():
                return found
        except (OSError, ValueError, RuntimeError):  # not a file name: too long, with a zero byte, a link to itself
            continue
    return None


def note_of(root: Path, dag_id: str, run_id: str, *, is_failed: bool) -> str | None:
    """Return the note beside a finished run in Airflow's list of runs; None for a run that is not ours."""
    try:
        record = history.read(root, history.id_for(dag_id, run_id))
    except RatchetError:
        return None
    verdicts = {"promote": "promoted", "refuse": "refused", "rejected": "not approved", "unchanged": "nothing to do"}
    outcome = verdicts.get(record.outcome or "", record.state)
    note = f"{outcome}: {record.sentence}" if record.sentence else outcome
    if is_failed and record.state == "success":  # it was cleared, and could not begin again
        note = f"failed: not opened again, see the log of `{OPEN}`; as it was before: {note}"
    return note[:1000]


async def _serve(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request. Only the web server loads what that needs, not every process that loads the plugin."""
    await _application()(scope, receive, send)


@cache
def _application() -> Any:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.responses import FileResponse

    application = FastAPI(title="Ratchet", docs_url=None, redoc_url=None, openapi_url=None)
    may_read = Depends(requires_access_dag("GET", DagAccessEntity.RUN))

    @application.get("/dags/{dag_id}/runs/{run_id}/{path:path}", dependencies=[may_read])
    def report(dag_id: str, run_id: str, path: str) -> FileResponse:
        found = kept_file(ROOT, dag_id, run_id, path)
        if found is None:
            raise HTTPException(404, f"run {run_id} has kept no {path}")
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        return FileResponse(found, headers=headers)

    return application


class _Notes:
    """Writes the note beside a run when it is over; in the scheduler, which has the run in hand at that moment."""

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:  # noqa: ARG002 - the names are Airflow's
        self._write(dag_run, is_failed=False)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:  # noqa: ARG002 - the names are Airflow's
        self._write(dag_run, is_failed=True)

    @staticmethod
    def _write(dag_run: Any, *, is_failed: bool) -> None:
        note = note_of(ROOT, dag_run.dag_id, dag_run.run_id, is_failed=is_failed)
        if note:
            dag_run.note = note


class RatchetPlugin(AirflowPlugin):
    """Registered by being in the plugins folder."""

    name = "ratchet"
    listeners = [_Notes()]  # noqa: RUF012 - Airflow's own form
    fastapi_apps = [{"app": _serve, "url_prefix": _PREFIX, "name": "ratchet"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Report",
            "href": _PREFIX + "/dags/{DAG_ID}/runs/{RUN_ID}/reports/index.html",
            "destination": "dag_run",
            "url_route": "report",
        }
    ]
