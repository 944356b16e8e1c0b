"""A run's reports under its page, to those who may read the run, and the note beside it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.records.run import RunRecord
from pipeline.runs import history, workspaces
from tests.dags.conftest import ROOT

DAG, RUN_ID = "retrain_one", "manual__2026-11-22T03:00:00+00:00"
RUN = history.id_for(DAG, RUN_ID)
ADDRESS = f"/dags/{DAG}/runs/{RUN_ID}"


@pytest.fixture(scope="module")
def plugin() -> Any:
    """The plugin, loaded from its file as Airflow does it."""
    spec = importlib.util.spec_from_file_location("ratchet_plugin", ROOT / "dags" / "plugins" / "ratchet.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path: Path, plugin: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one kept run."""
    root = tmp_path / "project"
    history.write(root, RunRecord(id=RUN, driver="airflow", state="success", start=history.now()))
    reports = root / "runs" / RUN / "reports"
    (reports / "contracts").mkdir(parents=True)
    (reports / "index.html").write_text("<h1>kept</h1>")
    (reports / "contracts" / "page one.html").write_text("contract")
    (root / "runs" / RUN / "params.yaml").write_text("seed: 1")
    monkeypatch.setattr(plugin, "ROOT", root)
    return root


def kept(plugin: Any, root: Path, path: str) -> str | None:
    found = plugin.kept_file(root, DAG, RUN_ID, path)
    return found.read_text() if found else None


# -- which files


def test_a_file_of_a_kept_runs_reports_is_found(plugin: Any, root: Path) -> None:
    assert kept(plugin, root, "reports/index.html") == "<h1>kept</h1>"
    assert kept(plugin, root, "reports/contracts/page one.html") == "contract"
    assert kept(plugin, root, "reports/contracts/../index.html") == "<h1>kept</h1>"


def test_a_run_that_was_opened_again_shows_what_its_latest_attempt_has_kept(plugin: Any, root: Path) -> None:
    latest = RunRecord(id=RUN, driver="airflow", state="success", start=history.now(), attempt=2)
    history.write(root, latest)
    assert kept(plugin, root, "reports/index.html") is None
    reports = root / latest.folder / "reports"
    reports.mkdir()
    (reports / "index.html").write_text("again")
    assert kept(plugin, root, "reports/index.html") == "again"


def test_a_run_that_goes_on_shows_what_its_workspace_holds(plugin: Any, root: Path) -> None:
    reports = workspaces.workspace_of(root, RUN) / "reports"
    reports.mkdir(parents=True)
    (reports / "live.json").write_text("so far")
    (reports / "index.html").write_text("not kept yet")
    assert kept(plugin, root, "reports/live.json") == "so far"
    assert kept(plugin, root, "reports/index.html") == "<h1>kept</h1>"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "reports",
        "reports/",
        "reports/nothing.html",
        "params.yaml",
        "reports/../params.yaml",
        "../../params.yaml",
        "reports/../../../../etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "reports\\..\\params.yaml",
        "reports/%2e%2e/params.yaml",
        "reports/x\0.html",
        "reports/" + "x" * 5000,
        "reports/" + "x/" * 5000,
    ],
    ids=lambda path: repr(path[:40]),
)
def test_anything_else_is_not_there(plugin: Any, root: Path, path: str) -> None:
    (root.parent / "params.yaml").write_text("outside")
    assert kept(plugin, root, path) is None


def test_a_link_out_of_the_reports_leads_nowhere(plugin: Any, root: Path) -> None:
    run, reports = root / "runs" / RUN, root / "runs" / RUN / "reports"
    (root / "secret").write_text("secret")
    (reports / "one").symlink_to(root / "secret")
    (reports / "two").symlink_to("../params.yaml")
    (reports / "three").symlink_to(root)
    (reports / "loop").symlink_to("loop")
    (reports / "within").symlink_to("index.html")
    for path in ("reports/one", "reports/two", "reports/three/secret", "reports/loop"):
        assert kept(plugin, root, path) is None, path
    assert kept(plugin, root, "reports/within") == "<h1>kept</h1>"
    reports.rename(run / "aside")
    reports.symlink_to(root)
    assert kept(plugin, root, "reports/secret") is None


def test_a_project_behind_a_link_is_served_all_the_same(plugin: Any, root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    assert kept(plugin, root.parent / "link", "reports/index.html") == "<h1>kept</h1>"


@pytest.mark.parametrize(("dag", "run"), [("..", ".."), ("../..", ""), ("retrain_one", "another"), ("x\0", "/")])
def test_a_run_that_is_not_there_has_no_files(plugin: Any, root: Path, dag: str, run: str) -> None:
    assert plugin.kept_file(root, dag, run, "reports/index.html") is None


# -- the note


@pytest.mark.parametrize(
    ("record", "note"),
    [
        ({"state": "success", "outcome": "promote", "sentence": "0.9 ≥ 0.85"}, "promoted: 0.9 ≥ 0.85"),
        ({"state": "success", "outcome": "refuse", "sentence": "0.8 < 0.85"}, "refused: 0.8 < 0.85"),
        ({"state": "success", "outcome": "rejected", "sentence": "no"}, "not approved: no"),
        ({"state": "success", "outcome": "unchanged", "sentence": "as r0"}, "nothing to do: as r0"),
        ({"state": "failed", "sentence": "data/raw: gone"}, "failed: data/raw: gone"),
        ({"state": "failed"}, "failed"),
        ({"state": "failed", "sentence": "x" * 5000}, f"failed: {'x' * 992}"),
    ],
)
def test_a_note_says_what_came_of_a_run(plugin: Any, root: Path, record: dict[str, Any], note: str) -> None:
    history.write(root, RunRecord(id=RUN, driver="airflow", start=history.now(), **record))
    run = SimpleNamespace(dag_id=DAG, run_id=RUN_ID, note=None)
    [listener] = plugin.RatchetPlugin.listeners
    told = listener.on_dag_run_success if record["state"] == "success" else listener.on_dag_run_failed
    told(run, "msg")
    assert run.note == note


def test_a_red_run_is_not_called_promoted_for_what_it_was_before_it_was_cleared(plugin: Any, root: Path) -> None:
    values = {"state": "success", "outcome": "promote", "sentence": "0.9 ≥ 0.85"}
    history.write(root, RunRecord(id=RUN, driver="airflow", start=history.now(), **values))
    run = SimpleNamespace(dag_id=DAG, run_id=RUN_ID, note=None)
    plugin.RatchetPlugin.listeners[0].on_dag_run_failed(run, "msg")
    assert run.note == ("failed: not opened again, see the log of `open`; as it was before: promoted: 0.9 ≥ 0.85")


def test_a_run_that_is_not_ours_keeps_its_note(plugin: Any, root: Path) -> None:
    run = SimpleNamespace(dag_id="another", run_id=RUN_ID, note="by hand")
    plugin.RatchetPlugin.listeners[0].on_dag_run_success(run, "msg")
    assert run.note == "by hand"


def test_airflow_calls_the_listener_by_its_own_hooks(plugin: Any, root: Path) -> None:
    from airflow.listeners.listener import get_listener_manager

    history.write(root, RunRecord(id=RUN, driver="airflow", state="failed", start=history.now()))
    manager = get_listener_manager()
    [listener] = plugin.RatchetPlugin.listeners
    run = SimpleNamespace(dag_id=DAG, run_id=RUN_ID, note=None)
    manager.add_listener(listener)
    try:
        manager.hook.on_dag_run_failed(dag_run=run, msg="")
    finally:
        manager.clear()
    assert run.note == "failed"


# -- the pages


@pytest.fixture
def application(plugin: Any, root: Path, database: None) -> Iterator[Any]:
    """What Airflow's server mounts, with Airflow's own way to know a user."""
    from airflow.api_fastapi.app import create_auth_manager

    create_auth_manager()
    yield plugin._application()
    plugin._application().dependency_overrides.clear()


def ask(plugin: Any, path: str) -> Any:
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    server = FastAPI()
    [app] = plugin.RatchetPlugin.fastapi_apps
    server.mount(app["url_prefix"], app["app"])
    return TestClient(server).get(f"/ratchet{path}")


def sign_in(application: Any, role: str | None) -> None:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user

    user = SimpleAuthManagerUser(username="ada", role=role)
    application.dependency_overrides[get_user] = lambda: user


def test_nobody_reads_a_report_without_signing_in(plugin: Any, application: Any) -> None:
    answer = ask(plugin, f"{ADDRESS}/reports/index.html")
    assert (answer.status_code, "kept" in answer.text) == (401, False)


def test_who_may_not_read_the_run_may_not_read_its_report(plugin: Any, application: Any) -> None:
    sign_in(application, None)
    answer = ask(plugin, f"{ADDRESS}/reports/index.html")
    assert (answer.status_code, "kept" in answer.text) == (403, False)


def test_who_may_not_read_it_does_not_learn_whether_it_is_there(plugin: Any, application: Any) -> None:
    sign_in(application, None)
    assert ask(plugin, f"{ADDRESS}/reports/nothing.html").status_code == 403


def test_who_may_read_the_run_reads_its_report_and_nothing_leaves_the_page(plugin: Any, application: Any) -> None:
    sign_in(application, "VIEWER")
    answer = ask(plugin, f"{ADDRESS}/reports/index.html")
    assert (answer.status_code, answer.text) == (200, "<h1>kept</h1>")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        f"{ADDRESS}/reports/nothing.html",
        f"{ADDRESS}/params.yaml",
        f"{ADDRESS}/reports/..%2fparams.yaml",
        f"{ADDRESS}/reports/%2e%2e/%2e%2e/%2e%2e/params.yaml",
        f"{ADDRESS}/%2fetc/passwd",
        f"{ADDRESS}/reports/%00",
        f"{ADDRESS}/reports/{'x' * 5000}",
        f"/dags/{DAG}/runs/another/reports/index.html",
        "/docs",
        "/openapi.json",
    ],
    ids=lambda path: path[-40:],
)
def test_what_is_not_there_is_not_found(plugin: Any, application: Any, path: str) -> None:
    sign_in(application, "ADMIN")
    assert ask(plugin, path).status_code == 404


def test_the_tab_of_a_run_leads_to_its_page(plugin: Any, application: Any) -> None:
    sign_in(application, "VIEWER")
    view = next(view for view in plugin.RatchetPlugin.external_views if view["name"] == "Report")
    assert view["destination"] == "dag_run"
    path = view["href"].replace("{DAG_ID}", DAG).replace("{RUN_ID}", RUN_ID).removeprefix("/ratchet")
    assert ask(plugin, path).text == "<h1>kept</h1>"


@pytest.mark.parametrize("name", ["Registry", "Outcomes", "Champions"])
def test_every_other_tab_leads_to_a_page_that_runs_nothing(plugin: Any, application: Any, name: str) -> None:
    sign_in(application, "VIEWER")
    view = next(view for view in plugin.RatchetPlugin.external_views if view["name"] == name)
    path = view["href"].replace("{DAG_ID}", DAG).replace("{RUN_ID}", RUN_ID).removeprefix("/ratchet")
    answer = ask(plugin, path)
    assert answer.status_code == 200
    assert "<h1>" in answer.text
    assert "allow-scripts" not in answer.headers["Content-Security-Policy"]


def test_the_champions_page_is_the_projects_and_its_links_lead_to_reports(
    plugin: Any, application: Any, root: Path
) -> None:
    sign_in(application, "VIEWER")
    (root / "reports").mkdir()
    (root / "reports" / "champions.html").write_text("<h1>all of them</h1>")
    assert ask(plugin, "/reports/champions.html").text == "<h1>all of them</h1>"
    assert ask(plugin, f"/runs/{RUN}/reports/index.html").text == "<h1>kept</h1>"
    assert ask(plugin, f"/runs/{RUN}/record.json").status_code == 404
    assert ask(plugin, f"/runs/{RUN}/reports/../params.yaml").status_code == 404
    assert ask(plugin, "/runs/../params.yaml").status_code == 404
    for address in (f"/runs/{RUN}", ADDRESS):
        assert ask(plugin, f"{address}/reports/champions.html").text == "<h1>all of them</h1>"


@pytest.mark.parametrize("path", ["/reports/champions.html", f"/runs/{RUN}/reports/index.html"])
def test_what_is_of_all_dags_asks_for_the_right_to_all_whatever_the_query_says(
    plugin: Any, application: Any, root: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    sign_in(application, "VIEWER")
    seen = []

    def may(self: Any, *, details: Any = None, **_: Any) -> bool:
        seen.append(details.id)
        return details.id == "mine"

    monkeypatch.setattr(type(get_auth_manager()), "is_authorized_dag", may)
    assert ask(plugin, f"{path}?dag_id=mine").status_code == 403
    assert seen == [None]


def test_airflow_finds_the_plugin_in_its_folder_and_can_list_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow import plugins_manager
    from airflow._shared.plugins_manager import _load_plugins_from_plugin_directory
    from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse

    monkeypatch.setitem(sys.modules, "ratchet", None)  # loading leaves it there
    found = _load_plugins_from_plugin_directory(str(ROOT / "dags" / "plugins"))
    assert (found[1], [plugin.name for plugin in found[0]]) == ({}, ["ratchet"])
    monkeypatch.setattr(plugins_manager, "_get_plugins", lambda: found)
    [listed] = [PluginResponse.model_validate(info) for info in plugins_manager.get_plugin_info()]
    assert listed.fastapi_apps[0].url_prefix == "/ratchet"
    assert [view.name for view in listed.external_views] == ["Report", "Registry", "Outcomes", "Champions"]
    assert len(listed.listeners) == 1


def test_what_is_framed_has_airflows_origin_or_scripts_but_never_both(plugin: Any) -> None:
    policy = dict(directive.strip().split(" ", 1) for directive in plugin._POLICY.split(";"))
    sandbox = policy["sandbox"].split()
    assert "allow-same-origin" in sandbox
    assert "allow-scripts" not in sandbox
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
