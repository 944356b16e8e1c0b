"""What a result hangs on, as digests; what is not there is left out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.report import provenance
from pipeline.report.run_files import read_run_files
from pipeline.report.sections import Section


def digests(root: Path) -> dict[str, Section[str]]:
    return provenance.digests(read_run_files(root))


def test_a_whole_run_has_a_digest_of_all_it_hangs_on(whole_project: Path) -> None:
    found = digests(whole_project)

    assert list(found) == [
        "candidate (weights and architecture)",
        "recipe (params.yaml)",
        "graph (dvc.yaml)",
        "graph as run (dvc.lock)",
        *("data/raw", "data/clean", "data/split", "data/prepared/test", "data/prepared/train", "data/augmented"),
    ]
    assert all(digest.value.startswith("sha256:") for digest in found.values())


def test_what_is_not_there_has_no_digest(tmp_path: Path) -> None:
    assert digests(tmp_path) == {}


@pytest.mark.parametrize(
    ("damaged", "what"),
    [
        ("models/candidate/weights.safetensors", "candidate (weights and architecture)"),
        ("data/prepared/train/manifest.json", "data/prepared"),
        ("data/raw/manifest.json", "data/raw"),
    ],
)
def test_what_is_damaged_has_a_problem_instead(project: Path, damaged: str, what: str) -> None:
    (project / damaged).write_bytes(b"damaged")
    found = digests(project)[what]

    assert (found.value, found.problem.startswith(damaged.rpartition("/")[0])) == (None, True)


def test_the_recipe_is_read_as_flat_keys(whole_project: Path) -> None:
    recipe = read_run_files(whole_project).recipe.value

    assert recipe is not None
    assert recipe["data.classes"] == ["boot", "coat", "bag", "shirt"]


def test_a_damaged_recipe_is_a_problem_named_from_the_root(project: Path) -> None:
    (project / "params.yaml").write_text("a: [")

    assert read_run_files(project).recipe.problem.startswith("params.yaml:2: did not find")


def test_outside_of_git_the_commit_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert provenance.git_commit(tmp_path).problem == "not a git work tree, or one without a commit"


def test_what_else_is_wrong_with_git_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageError("git rev-parse failed: detected dubious ownership")

    monkeypatch.setattr(provenance, "commit_of", refuse)

    assert provenance.git_commit(tmp_path).problem == "git rev-parse failed: detected dubious ownership"


def test_changes_of_the_lock_alone_do_not_make_the_code_dirty(tmp_path: Path) -> None:
    for name in ("code.py", "dvc.lock"):
        (tmp_path / name).write_text("first\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *command], cwd=tmp_path, check=True)
    (tmp_path / "dvc.lock").write_text("second\n")
    locked = provenance.git_commit(tmp_path).value
    (tmp_path / "code.py").write_text("second\n")
    changed = provenance.git_commit(tmp_path).value

    assert locked is not None
    assert changed is not None
    assert (locked.is_dirty, changed.is_dirty) == (False, True)


def test_libraries_that_are_installed_have_their_versions() -> None:
    found = provenance.library_versions()

    assert {"numpy", "pyarrow"} <= found.keys()
    assert all(version[0].isdigit() for version in found.values())
