"""The pages beside Airflow's own: how runs came out, and where a run leads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dags import pages
from pipeline.records.registration import Registration
from pipeline.records.run import RunRecord
from pipeline.runs import history
from pipeline.storage.record_files import write_record
from tests.dags.conftest import ROOT

DAG = "retrain_one"


def add(root: Path, run_id: str, start: str, **values: object) -> RunRecord:
    name = history.id_for(DAG, run_id)
    record = RunRecord(
        id=name, driver="airflow", state="success", start=start, dag_id=DAG, dag_run_id=run_id, asked_by="ann"
    )
    return history.write(root, record.changed(**values))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add(tmp_path, "manual__1", "2026-11-28T01:00:00+00:00", outcome="promote", sentence="accuracy 0.9 is enough")
    add(tmp_path, "manual__2", "2026-11-28T02:00:00+00:00", outcome="refuse", sentence="0.7 < 0.8 <b>")
    add(tmp_path, "manual__3", "2026-11-28T03:00:00+00:00", outcome="unchanged", sentence="as run 1")
    add(tmp_path, "manual__4", "2026-11-28T04:00:00+00:00", state="failed", sentence="train failed")
    add(tmp_path, "manual__5", "2026-11-28T05:00:00+00:00", state="running")
    history.write(tmp_path, RunRecord(id="other", driver="ratchet", state="success", start="2026-11-28T06:00:00+00:00"))
    return tmp_path


def test_every_run_of_the_dag_stands_there_newest_first_with_its_outcome(root: Path) -> None:
    page = pages.outcomes(root, DAG)
    words = ["running", "failed", "nothing to do", "refused", "promoted"]
    places = [page.index(f" {word}</span>") for word in words]
    assert places == sorted(places)
    assert "5 runs" in page
    assert page.count("<tr>") == 6


def test_promoted_and_refused_look_different(root: Path) -> None:
    rows = pages.outcomes(root, DAG).split("<tr>")
    looks = {word: next(row for row in rows if f" {word}</span>" in row) for word in ("promoted", "refused")}
    colours = {word: part.partition("color:")[2][:7] for word, part in looks.items()}
    assert colours["promoted"] != colours["refused"]


def test_what_a_record_says_is_no_markup(root: Path) -> None:
    add(root, "<script>alert(1)</script>", "2026-11-28T07:00:00+00:00", sentence="<img onerror=x>", outcome="promote")
    page = pages.outcomes(root, DAG)
    assert "<script" not in page
    assert "<img" not in page
    assert "0.7 &lt; 0.8 &lt;b&gt;" in page


def test_a_dag_without_runs_says_what_to_do(tmp_path: Path) -> None:
    assert "No run yet" in pages.outcomes(tmp_path, DAG)


def test_a_run_leads_to_its_version_and_to_the_pages_that_are_served(root: Path) -> None:
    kept = root / history.read(root, history.id_for(DAG, "manual__1")).folder
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, kept / name)
    promoted = Registration(
        outcome="promoted", name="digits", version=3, champion=None, sentence="v3 replaces v2", registry="local"
    )
    (kept / "reports").mkdir()
    write_record(kept / "reports" / "registration.json", promoted)
    page = pages.destinations(root, DAG, "manual__1")
    assert "v3 of digits: v3 replaces v2" in page
    assert "make airflow PAGES=1" in page
    (root / ".airflow").mkdir()
    served = {"mlflow": "http://127.0.0.1:5001", "tensorboard": "http://127.0.0.1:5002", "other": "javascript:alert(1)"}
    (root / ".airflow" / "pages.json").write_text(json.dumps(served))
    page = pages.destinations(root, DAG, "manual__1")
    assert "<code>http://127.0.0.1:5001/#/models/digits/versions/3</code>" in page
    assert "<code>http://127.0.0.1:5002/" in page
    assert "javascript:" not in page


@pytest.mark.parametrize("text", ["[]", "{", '{"mlflow": 5}', "null", '"http://x"'])
def test_a_damaged_file_of_addresses_is_none(root: Path, text: str) -> None:
    (root / ".airflow").mkdir()
    (root / ".airflow" / "pages.json").write_text(text)
    assert pages.addresses_of(root) == {}


def test_the_last_task_has_buttons_that_lead_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from dags import links
    from dags.notify import run_url
    from dags.tasks import CloseRun

    monkeypatch.setattr(links, "ROOT", root)
    key = SimpleNamespace(dag_id=DAG, run_id="manual__1")
    close = CloseRun(task_id="close", config="one")
    assert [link.name for link in close.operator_extra_links] == ["Report", "Registered version", "TensorBoard"]
    report, version, training = (link.get_link(close, ti_key=key) for link in close.operator_extra_links)
    assert report.endswith(f"/ratchet/dags/{DAG}/runs/manual__1/reports/index.html")
    assert version == training == run_url(DAG, "manual__1") + "/plugin/registry"
    (root / ".airflow").mkdir()
    (root / ".airflow" / "pages.json").write_text(
        '{"mlflow": "http://127.0.0.1:1", "tensorboard": "http://127.0.0.1:2"}'
    )
    _, version, training = (link.get_link(close, ti_key=key) for link in close.operator_extra_links)
    assert version == "http://127.0.0.1:1/#/models"
    assert training.startswith("http://127.0.0.1:2/?runFilter=")


def test_a_run_that_is_not_ours_is_said(root: Path) -> None:
    assert "manual__9" not in pages.outcomes(root, DAG)
    assert "<h1>Registry</h1>" in pages.destinations(root, DAG, "manual__9")
