"""Whatever goes wrong becomes a section that says so; nothing else is taken with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError, StorageError
from pipeline.report.run_files import read_run_files
from pipeline.report.sections import Section, find_file, find_folder, section

RECORDS = {
    "reports/verdict.json": lambda files: files.verdict,
    "reports/registration.json": lambda files: files.registration,
    "reports/metrics.json": lambda files: files.metrics,
    "reports/run.json": lambda files: files.run,
    "reports/contracts/raw/result.json": lambda files: files.contracts["raw"],
}
DAMAGE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"NaN",
    b"[" * 100_000,
    b'{"outcome": 3, "stages": 3}',
    b'{"unknown": 1}',
    b'{"record_version": 99}',
    b'{"record_version": "1"}',
]


@pytest.mark.parametrize(("name", "of"), RECORDS.items())
def test_a_record_is_shown(whole_project: Path, name: str, of: Callable[[Any], Section[Any]]) -> None:
    found = of(read_run_files(whole_project))

    assert found
    assert found.problem == ""


@pytest.mark.parametrize(("name", "of"), RECORDS.items())
def test_a_record_that_was_never_made_is_no_problem(
    project: Path, name: str, of: Callable[[Any], Section[Any]]
) -> None:
    (project / name).unlink()

    assert of(read_run_files(project)) == Section(None, "")


@pytest.mark.long
@pytest.mark.parametrize("content", DAMAGE, ids=lambda content: repr(content[:30]))
@pytest.mark.parametrize(("name", "of"), RECORDS.items())
def test_a_damaged_record_has_a_problem_that_names_the_file_from_the_root(
    project: Path, name: str, of: Callable[[Any], Section[Any]], content: bytes
) -> None:
    (project / name).write_bytes(content)
    found = of(read_run_files(project))

    assert not found
    assert found.problem.startswith(f"{name}: ")
    assert "bug" not in found.problem


def test_a_section_with_an_empty_value_is_one() -> None:
    assert Section(())
    assert not Section(None, "why")


def deep() -> None:
    deep()


def unreadable() -> None:
    raise PermissionError(13, "Permission denied", "/root/of/it/reports/run.json")


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (failing(DataError("/root/of/it/a.json: wrong;\n again")), "a.json: wrong; again"),
        (unreadable, "reports/run.json: cannot be read: Permission denied"),
        (failing(OSError("odd")), "a file: cannot be read: odd"),
        (deep, "nested too deeply to be shown"),
    ],
)
def test_an_error_is_one_line(make: Callable[[], None], problem: str) -> None:
    assert section(make, Path("/root/of/it")) == Section(None, problem)


def test_an_error_that_nobody_expects_is_called_a_bug_with_its_place() -> None:
    found = section(failing(KeyError("classes")), Path("/"))

    assert found.problem.startswith("a bug in Ratchet, please report it: KeyError: 'classes' (test_sections.py:")


@pytest.mark.parametrize("find", [find_file, find_folder])
def test_what_was_never_made_is_none_and_what_is_something_else_is_said(
    tmp_path: Path, find: Callable[[Path], Path | None]
) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "other").touch() if find is find_folder else (tmp_path / "other").mkdir()

    assert find(tmp_path / "nothing") is None
    with pytest.raises(StorageError, match="a link to nothing"):
        find(tmp_path / "dangling")
    with pytest.raises(StorageError, match="not a f"):
        find(tmp_path / "other")
