"""A run is made again from its record: in another copy of the project, with only a remote of DVC between them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.project import Project, make_project


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("far")


@pytest.fixture(scope="module")
def pushed(first: Project, far: Path) -> Iterator[str]:
    """The first run, taken to a remote that is a folder; its id."""
    assert first.call("dvc", "remote", "add", "--local", "--default", "far", str(far)).returncode == 0
    run = min(json.loads(first.ratchet("runs", "list", "--json").stdout), key=lambda run: run["start"])
    done = first.ratchet("runs", "push", run["id"])
    assert done.returncode == 0, done.stderr
    yield run["id"]
    assert first.call("dvc", "remote", "remove", "--local", "far").returncode == 0


def test_another_copy_without_the_source_makes_the_run_again_with_the_same_lock(
    first: Project, first_lock: bytes, pushed: str, far: Path, tmp_path: Path
) -> None:
    other = make_project(tmp_path / "project")
    shutil.rmtree(other.root / "digits")
    code = other.root / "pipeline" / "data" / "opening.py"
    code.write_text(code.read_text() + "raise ValueError('not the code of that run')\n")  # which its photograph has
    shutil.copytree(first.root / "runs" / pushed, other.root / "runs" / pushed)
    assert other.call("dvc", "remote", "add", "--local", "--default", "far", str(far)).returncode == 0
    done = other.ratchet("runs", "repeat", pushed)
    assert done.returncode == 0, done.stdout + done.stderr
    again = other.root / done.stdout.splitlines()[-1].removeprefix("report: ").removesuffix("/reports/index.html")
    assert again.name != pushed
    assert (again / "dvc.lock").read_bytes() == first_lock
    stages = {
        stage["name"]: stage["outcome"] for stage in json.loads((again / "reports" / "run.json").read_text())["stages"]
    }
    assert [name for name, outcome in stages.items() if outcome != "unchanged"] == ["champion", "register"]
    assert json.loads((again / "record.json").read_text())["repeats"] == pushed
    [version] = json.loads(other.ratchet("registry", "list", "--json").stdout)
    assert version["aliases"] == ["champion"]


def test_where_a_photograph_is_damaged_or_gone_the_line_says_what_brings_it(
    first: Project, pushed: str, tmp_path: Path
) -> None:
    photographs = first.root / ".dvc" / "cache" / "ratchet" / "photographs"
    digest = json.loads((first.root / "runs" / pushed / "record.json").read_text())["photograph"]
    [listed, *_] = json.loads((photographs / digest[:2] / digest[2:]).read_text())
    damaged = photographs / listed["md5"][:2] / listed["md5"][2:]
    aside = shutil.move(damaged, tmp_path / "aside")
    damaged.write_text("something else")
    done = first.ratchet("runs", "repeat", pushed)
    assert done.returncode == 74, done.stdout
    assert "is damaged or not whole; `ratchet runs pull ID` brings it from DVC's remote" in done.stderr
    damaged.unlink()
    assert first.ratchet("runs", "pull", pushed).returncode == 0
    assert damaged.read_bytes() == Path(aside).read_bytes()


def test_a_secret_in_the_execution_is_not_taken_to_a_remote(first: Project, pushed: str) -> None:
    execution = first.root / "execution.yaml"
    before = execution.read_bytes()
    execution.write_text("spark: {settings: {spark.hadoop.fs.s3a.secret.key: hidden}}\n")
    (first.root / "request.json").write_text(json.dumps({"id": "secret", "overrides": {"seed": 5}}))
    try:
        opened = first.ratchet("runs", "open", "request.json")
        done = first.ratchet("runs", "push", "secret")
    finally:
        execution.write_bytes(before)
        (first.root / "request.json").unlink()
        first.ratchet("runs", "close", "secret", "--state", "failed")
        first.ratchet("runs", "delete", "secret", "--yes")
    assert opened.returncode == 0, opened.stderr
    assert done.returncode == 2, done.stderr
    assert "spark.settings.spark.hadoop.fs.s3a.secret.key holds a secret" in done.stderr
    assert "hidden" not in done.stderr + done.stdout + opened.stderr + opened.stdout
