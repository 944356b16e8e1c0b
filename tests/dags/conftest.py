"""What the tests of `dags/` share; they run in Airflow's own environment, `.venv-airflow` (`make check`)."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.dags.receivers import Connections, Server, mail_server, post_server

ROOT = Path(__file__).resolve().parents[2]

# The pipeline's environment holds no Airflow: `pytest tests` there passes these by, `make test` runs them here.
collect_ignore_glob = [] if find_spec("airflow") else ["test_*.py"]

# Before Airflow is imported: a home that is nobody's, and nothing of the Airflow or the proxies somebody uses here.
_HOME = tempfile.mkdtemp(prefix="ratchet-airflow-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in list(os.environ):
    if _name.lstrip("_").startswith(("AIRFLOW", "RATCHET")) or _name.lower().endswith("_proxy"):
        del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": _HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__API__BASE_URL": "http://airflow.example:8080",
}

_THIRD_PARTY_WARNINGS = (
    # Airflow 3.3 reads .airflowignore through pathspec's older name.
    "ignore:GitWildMatchPattern:DeprecationWarning",
    # starlette 1.10 would rather have httpx2; httpx is what Airflow brings.
    "ignore:Using `httpx` with `starlette.testclient` is deprecated",
)


def pytest_configure(config: pytest.Config) -> None:
    for line in _THIRD_PARTY_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


# Stands in for the pipeline's interpreter: shows its arguments, writes the files and leaves as $ANSWER says.
STAND_IN = f"""#!{sys.executable} -IS
import json, os, sys
from pathlib import Path
print("called:", *sys.argv[1:])
answer = json.loads(os.environ.get("ANSWER", "{{}}"))
for name, content in answer.get("files", {{}}).items():
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(json.dumps(content))
print(answer.get("says", "done"))
sys.exit(answer.get("leaves with", 0))
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of what makes DAGs: dags/, configs/, dvc.yaml and params.yaml."""

    root: Path

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def edit(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change one of the YAML files as plain values."""
        values = yaml.safe_load((self.root / name).read_text())
        change(values)
        self.write(name, yaml.safe_dump(values, sort_keys=False))

    def config(self, name: str = "one", **values: Any) -> None:
        """Write a config; its model has the same name, unless its recipe says otherwise."""
        values["recipe"] = {"name": name, **values.get("recipe", {})}
        self.write(f"configs/{name}.yaml", yaml.safe_dump(values))

    def bag(self) -> Any:
        """Read the DAG files as Airflow's DAG processor does, in a process that has not read any."""
        from airflow.dag_processing.dagbag import BundleDagBag

        folder = self.root / "dags"
        ours, path = _forget_dags(), [*sys.path]
        try:
            return BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
        finally:
            _forget_dags()
            sys.modules.update(ours)
            sys.path[:] = path  # a DAG file puts its root there, and Airflow its folder

    def dag(self, name: str) -> Any:
        """Return one DAG, and insist that nothing is wrong."""
        bag = self.bag()
        assert bag.import_errors == {}
        return bag.dags[name]


def _forget_dags() -> dict[str, Any]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "dags"}


def kept(dag: Any) -> Any:
    """A DAG as Airflow's scheduler and server get it from the database."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def check_out(root: Path, *, is_plain: bool) -> Checkout:
    """Copy what makes DAGs to a folder; with one config that says nothing, instead of those that are shipped."""
    for name in ("dags", "configs"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy2(ROOT / name, root / name)
    if is_plain:
        shutil.rmtree(root / "configs")
        (root / "configs").mkdir()
        (root / "configs" / "plain.yaml").touch()
    return Checkout(root)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A copy with one plain config, to change."""
    return check_out(tmp_path / "project", is_plain=True)


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The DAGs as they are shipped, to look at."""
    return check_out(tmp_path_factory.mktemp("shipped") / "project", is_plain=False).bag()


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    """Airflow's tables, empty, in a file of SQLite."""
    from airflow import models, settings
    from airflow.models.base import Base

    models.import_all_models()
    Base.metadata.create_all(settings.engine)
    yield
    settings.engine.dispose()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tasks write to their log."""
    from dags.commands import RatchetOperator

    lines: list[str] = []
    log = SimpleNamespace(info=lambda text, *values: lines.append(text % values if values else text))
    monkeypatch.setattr(RatchetOperator, "log", log)
    return lines


@pytest.fixture(autouse=True)
def no_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is to die with whoever has started pytest; the test of that has other ancestors."""
    from dags import commands

    monkeypatch.setattr(commands, "_die_with_the_scheduler", lambda: None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a graph, a recipe, a config, a run, and an environment in which the stand-in works."""
    from dags import commands, tasks
    from tests.dags.task_run import PLACE, RUN

    root = tmp_path / "project"
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STAND_IN)
    python.chmod(0o755)
    (root / "configs").mkdir()
    (root / "configs" / "one.yaml").write_text("recipe: {name: one, train: {epochs: 2}}\n")
    for folder in (root, root / PLACE, root / "runs" / RUN):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("dvc.yaml", "params.yaml"):
            shutil.copy2(ROOT / name, folder)
    for module in (commands, tasks):
        monkeypatch.setattr(module, "ROOT", root)
    return root


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say what the stand-in does when it is called."""

    def say(files: dict[str, Any] | None = None, *, says: str = "done", leaves_with: int = 0) -> None:
        monkeypatch.setenv("ANSWER", json.dumps({"files": files or {}, "says": says, "leaves with": leaves_with}))

    return say


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """A thread beside the test's own."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def mail() -> Iterator[Server]:
    """A mail server, and what it has got."""
    with mail_server() as server:
        yield server


@pytest.fixture
def posts() -> Iterator[Server]:
    """A server that takes posts, and what it has got."""
    with post_server() as server:
        yield server


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Airflow's connections to them: none until a test adds one."""
    return Connections(monkeypatch)
