"""What Ratchet adds to Airflow's own processes.

Under a run its report and where it leads, under a DAG how its runs came out, in the menu the champions; and a note with
a run's outcome.
"""

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

from dags import pages  # noqa: E402
from dags.derive import OPEN  # noqa: E402
from pipeline.errors import RatchetError  # noqa: E402
from pipeline.records.run import CHAMPIONS_FILE  # noqa: E402
from pipeline.runs import history, workspaces  # noqa: E402

_PREFIX = pages.PREFIX
# Neither a report nor Great Expectations' documents may run or load anything, or send anything anywhere. They stay of
# Airflow's origin, without which the browser would send no log-in when a link leads from one to the next; so they must
# never be let run scripts as well.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def kept_file(root: Path, dag_id: str, run_id: str, path: str) -> Path | None:
    """Return a file of a run's reports, as its latest attempt has kept it, or as it is in the run's workspace so far.

    None if it is missing, or outside of the reports.
    """
    return kept_file_of(root, history.id_for(dag_id, run_id), path)


def dag_of(root: Path, name: str) -> str | None:
    """Return the DAG of a run by our own name of it; None for a run that no DAG has driven, or that is not there."""
    try:
        return history.read(root, name).dag_id or None
    except RatchetError:
        return None


def kept_file_of(root: Path, name: str, path: str) -> Path | None:
    """Return such a file by our own name of the run, whoever drove it."""
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
    outcome = pages.word_of(record) if record.outcome else record.state
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
    from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

    application = FastAPI(title="Ratchet", docs_url=None, redoc_url=None, openapi_url=None)
    may_read = Depends(requires_access_dag("GET", DagAccessEntity.RUN))

    @application.get("/dags/{dag_id}/runs/{run_id}/{path:path}", dependencies=[may_read])
    def report(dag_id: str, run_id: str, path: str) -> Response:
        if path == CHAMPIONS_FILE:  # what is kept beside a report leads to the one page of the project
            return RedirectResponse(pages.CHAMPIONS)
        if path == "registry":
            return HTMLResponse(pages.destinations(ROOT, dag_id, run_id), headers=_HEADERS)
        found = kept_file(ROOT, dag_id, run_id, path)
        if found is None:
            raise HTTPException(404, f"run {run_id} has kept no {path}")
        return FileResponse(found, headers=_HEADERS)

    @application.get("/dags/{dag_id}/outcomes", dependencies=[may_read])
    def outcomes(dag_id: str) -> Response:
        return HTMLResponse(pages.outcomes(ROOT, dag_id), headers=_HEADERS)

    _add_pages_of_all_dags(application)
    return application


def _add_pages_of_all_dags(application: Any) -> None:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends, HTTPException
    from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

    def require_reader_of(dag_id: str | None, user: Any) -> None:
        """Refuse who may not read the runs of a DAG, or of all. `requires_access_dag` would believe the query."""
        details = DagDetails(id=dag_id)
        if not get_auth_manager().is_authorized_dag(
            method="GET", access_entity=DagAccessEntity.RUN, details=details, user=user
        ):
            raise HTTPException(403, "Forbidden")

    @application.get("/" + CHAMPIONS_FILE, response_model=None)
    def champions(user: Any = Depends(get_user)) -> Response:  # noqa: B008 - FastAPI's way
        require_reader_of(None, user)
        if (ROOT / CHAMPIONS_FILE).is_file():
            return FileResponse(ROOT / CHAMPIONS_FILE, headers=_HEADERS)
        return HTMLResponse(pages.no_champions(), headers=_HEADERS)

    @application.get("/runs/{name}/{path:path}", response_model=None)
    def report_of(name: str, path: str, user: Any = Depends(get_user)) -> Response:  # noqa: B008 - FastAPI's way
        require_reader_of(dag_of(ROOT, name), user)
        if path == CHAMPIONS_FILE:
            return RedirectResponse(pages.CHAMPIONS)
        found = kept_file_of(ROOT, name, path)
        if found is None:
            raise HTTPException(404, f"run {name} has kept no {path}")
        return FileResponse(found, headers=_HEADERS)


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
        },
        {
            "name": "Registry",
            "href": _PREFIX + "/dags/{DAG_ID}/runs/{RUN_ID}/registry",
            "destination": "dag_run",
            "url_route": "registry",
        },
        {
            "name": "Outcomes",
            "href": _PREFIX + "/dags/{DAG_ID}/outcomes",
            "destination": "dag",
            "url_route": "outcomes",
        },
        {
            "name": "Champions",
            "href": pages.CHAMPIONS,
            "destination": "nav",
            "url_route": "champions",
            "nav_top_level": True,
        },
    ]
