"""Pages that Airflow shows beside its own: how each run of a DAG came out, and where a run leads. No Airflow here.

They are plain HTML, run no script and load nothing. What a record says is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote, urlsplit

from pipeline.errors import RatchetError
from pipeline.graph import load_graph
from pipeline.records.registration import Registration
from pipeline.records.run import RunRecord
from pipeline.runs import history, outcome

PREFIX = "/ratchet"
CHAMPIONS = f"{PREFIX}/reports/champions.html"
ADDRESSES = Path(".airflow") / "pages.json"  # of MLflow's page and TensorBoard, while they are served beside Airflow
MOST_RUNS = 200  # on one page

# An outcome's word, and the colour and sign that set it apart at a glance.
_OUTCOMES = {
    "promote": ("promoted", "#137333", "▲"),
    "refuse": ("refused", "#b06000", "■"),
    "rejected": ("not approved", "#b06000", "■"),
    "unchanged": ("nothing to do", "#5f6368", "="),
}
_STATES = {
    "failed": ("failed", "#b3261e", "✗"),
    "running": ("running", "#1a73e8", "…"),
    "success": ("done", "#5f6368", "·"),
}
_STYLE = """\
body { font: 14px/1.5 system-ui, sans-serif; margin: 24px; color: #202124; background: #fff; }
h1 { font-size: 20px; margin: 0 0 4px; } p { margin: 0 0 16px; color: #5f6368; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: #5f6368; font-weight: 500; }
th, td { padding: 6px 16px 6px 0; border-bottom: 1px solid #e8eaed; vertical-align: top; }
td.o { font-weight: 600; white-space: nowrap; } td.t { white-space: nowrap; color: #5f6368; } a { color: #1a56b0; }
"""


def word_of(record: RunRecord) -> str:
    """Return how a run came out, in a word or two."""
    return _looks(record)[0]


def outcomes(root: Path, dag_id: str) -> str:
    """Return the page of a DAG's runs, newest first, with what came of each and why."""
    records = [record for record in history.list_runs(root) if record.dag_id == dag_id]
    rows = "".join(_row(record) for record in records[:MOST_RUNS])
    more = f"; the newest {MOST_RUNS} of {len(records)}" if len(records) > MOST_RUNS else ""
    table = (
        f"<table><tr><th>outcome</th><th>run</th><th>began, UTC</th><th>asked by</th><th>why</th></tr>{rows}</table>"
        if records
        else "<p>No run yet: press <b>Trigger</b>.</p>"
    )
    return _page(f"Outcomes of {dag_id}", f"{len(records)} runs{more}", table)


def destinations(root: Path, dag_id: str, run_id: str) -> str:
    """Return the page of where a run leads: its version in the registry, the champions, MLflow's page, TensorBoard."""
    try:
        record = history.read(root, history.id_for(dag_id, run_id))
    except RatchetError as error:
        return _page("Registry", escape(str(error)), "")
    registration = _registration(root, record)
    lines = [("outcome", f"{_sign(record)} {escape(record.sentence or '')}")]
    if registration:
        version = f"v{registration.version} of {registration.name}" if registration.version else "no version"
        lines.append(("registry", f"{escape(version)}: {escape(registration.sentence)}"))
    lines.append(("champions", _link(CHAMPIONS, "every registered version over time")))
    served = {
        "MLflow": version_address(root, dag_id, run_id),
        "TensorBoard": training_address(root, dag_id, run_id),
    }
    for name, address in served.items():
        if address:  # as text: Airflow's frame lets no link out
            lines.append((name, f"<code>{escape(address)}</code>"))
    if not any(served.values()):
        lines.append(("MLflow, TensorBoard", "not served now: <code>make airflow PAGES=1</code> serves them here"))
    rows = "".join(f"<tr><th>{what}</th><td>{text}</td></tr>" for what, text in lines)
    return _page("Registry", f"where run {escape(run_id)} leads", f"<table>{rows}</table>")


def version_address(root: Path, dag_id: str, run_id: str) -> str | None:
    """Return the address of a run's version in MLflow, or of the models; None if MLflow is not served."""
    mlflow = addresses_of(root).get("mlflow")
    if mlflow is None:
        return None
    with suppress(RatchetError):
        registration = _registration(root, history.read(root, history.id_for(dag_id, run_id)))
        if registration and registration.version:
            return f"{mlflow}/#/models/{quote(registration.name, safe='')}/versions/{registration.version}"
    return f"{mlflow}/#/models"


def training_address(root: Path, dag_id: str, run_id: str) -> str | None:
    """Return the address of a run's curves in TensorBoard; None if it is not served."""
    tensorboard = addresses_of(root).get("tensorboard")
    return f"{tensorboard}/?runFilter={quote(history.id_for(dag_id, run_id))}#timeseries" if tensorboard else None


def no_champions() -> str:
    """Return the page that stands in for the champions' as long as there are none."""
    return _page("Champions", "No version is registered yet: the first run that is judged makes the first one.", "")


def addresses_of(root: Path) -> Mapping[str, str]:
    """Return where MLflow's page and TensorBoard are served, by name; those alone that are addresses of the web."""
    with suppress(OSError, ValueError):
        found = json.loads((root / ADDRESSES).read_text())
        texts = {name: text for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}
        return {name: text for name, text in texts.items() if urlsplit(text).scheme in ("http", "https")}
    return {}


def _registration(root: Path, record: RunRecord) -> Registration | None:
    folder = root / record.folder
    with suppress(RatchetError):
        return outcome.find_registration(folder, load_graph(folder))
    return None


def _row(record: RunRecord) -> str:
    began = datetime.fromisoformat(record.start).strftime("%Y-%m-%d %H:%M")
    page = f"{PREFIX}/dags/{quote(record.dag_id, safe='')}/runs/{quote(record.dag_run_id, safe='')}"
    links = f"{escape(record.dag_run_id)}<br>{_link(f'{page}/reports/index.html', 'report')}"
    return (
        f"<tr><td class=o>{_sign(record)}</td><td>{links}</td><td class=t>{began}</td>"
        f"<td>{escape(record.asked_by)}</td><td>{escape(record.sentence or '')}</td></tr>"
    )


def _sign(record: RunRecord) -> str:
    word, colour, sign = _looks(record)
    return f'<span style="color:{colour}">{sign} {word}</span>'


def _looks(record: RunRecord) -> tuple[str, str, str]:
    return _OUTCOMES.get(record.outcome or "") or _STATES[record.state]


def _link(address: str, text: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def _page(title: str, below: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1><p>{below}</p>{body}</html>"
    )
