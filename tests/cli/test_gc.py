"""`ratchet gc`: says first, frees then, and only with a yes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.runs import garbage
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.locks import run_lock
from tests.cli.given import answer, complaint
from tests.runs.kept import make_project, put


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without stages, as the current folder, in which nothing is young."""
    root = make_project(tmp_path / "project")
    (root / "pipeline").mkdir()
    (root / "dvc.yaml").write_text("{}")
    monkeypatch.chdir(root)
    monkeypatch.setattr(garbage, "_YOUNG_S", 0.0)
    return root


def test_where_nothing_is_in_the_way_it_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "gc").splitlines() == [
        "asked what they need: DVC",
        "nothing to free",
    ]


def test_it_says_what_it_would_free_and_frees_it_with_a_yes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cache_of(root).path(put(root, b"x" * 1500))
    assert answer(capsys, "gc").splitlines()[1:] == [
        f"not needed in {root}/.dvc/cache:",
        "  outputs              1 object      1.5 kB",
        "nothing is freed yet: give the same command with --yes",
    ]
    assert path.is_file()
    assert answer(capsys, "gc", "--yes").splitlines()[-1] == "freed 1 object, 1.5 kB"
    assert not path.exists()


def test_what_is_spared_for_its_age_is_said(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "_YOUNG_S", 3600.0)
    put(root, b"x")
    assert "spared: 1 object of the last hour, which may be in use already\n" in answer(capsys, "gc", "--yes")


def test_doubt_is_one_line_and_frees_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cache_of(root).path(put(root, b"x"))
    (root / "dvc.lock").write_text("<<<<<<< HEAD")
    code, said = complaint(capsys, "gc", "--yes")
    assert (code, "dvc.lock" in said) == (74, True)
    assert path.is_file()


def test_while_a_run_works_it_waits_for_another_time(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cache_of(root).path(put(root, b"x"))
    with run_lock(root):
        code, said = complaint(capsys, "gc", "--yes")
    assert (code, "a run works in" in said) == (75, True)
    assert path.is_file()
