"""What a result hangs on, as digests; what is not there is left out."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
import yaml

from pipeline.errors import StorageError
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.records.computed_on import ComputedOn
from pipeline.records.run import RUN_REPORT_FILE, RunReport
from pipeline.records.training_history import TRAINING_FILE, Training
from pipeline.report import provenance
from pipeline.report.page import render
from pipeline.report.run_files import read_run_files
from pipeline.report.sections import Section
from pipeline.runtime.git import Commit, git
from pipeline.storage.record_files import write_record
from tests.records.examples import COMPUTED_ON, IDENTITY
from tests.report.reading import written


def digests(root: Path) -> dict[str, Section[str]]:
    return provenance.digests(read_run_files(root))


def test_a_whole_run_has_a_digest_of_all_it_hangs_on(whole_project: Path) -> None:
    found = digests(whole_project)

    assert list(found) == [
        "candidate (weights and architecture)",
        "recipe (params.yaml)",
        "graph (dvc.yaml)",
        "graph as run (dvc.lock)",
        *("data/raw", "data/clean", "data/split"),
        *("data/prepared/test", "data/prepared/train", "data/prepared/validation", "data/augmented"),
        *(f"reports/predictions/{part}" for part in ("test", "train", "validation")),
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


def trained(root: Path, *computed_on: ComputedOn) -> None:
    training = Training(
        best_epoch=1, chosen_by="x", epochs=1, steps_per_epoch=1, images_per_epoch=1, rows={}, computed_on=computed_on
    )
    write_record(root / "models" / "candidate" / TRAINING_FILE, training)


def met(root: Path, *computed_on: ComputedOn) -> None:
    champion = Champion(identity=IDENTITY, registry="local", computed_on=computed_on)
    (root / "models" / "champion").mkdir(exist_ok=True)
    write_record(root / "models" / "champion" / CHAMPION_FILE, champion)


def test_the_page_says_what_the_training_was_computed_on(project: Path) -> None:
    trained(project, COMPUTED_ON)
    said = written(project)
    assert f"Trained on gpu, {COMPUTED_ON.gpu} · {COMPUTED_ON.processor} · avx2 fma · keras 3.15.1" in said


def test_the_page_says_why_the_champions_run_cannot_have_the_same_bits(project: Path) -> None:
    trained(project, COMPUTED_ON)
    met(project, COMPUTED_ON.changed(processor="Xeon"))
    assert (
        "cannot be expected to give this run and the champion's, digits v3, the same bits: "
        f"processor {COMPUTED_ON.processor}, not Xeon." in written(project)
    )


def test_the_page_says_that_the_champions_run_would_have_the_same_bits(project: Path) -> None:
    trained(project, COMPUTED_ON)
    met(project, COMPUTED_ON)
    said = written(project)
    assert "The champion, digits v3, was computed on the same" in said
    assert "the same bits are expected" in said
    assert "cannot be expected" not in said
    recipe = yaml.safe_load((project / "params.yaml").read_text())
    recipe["train"]["exact"] = False
    (project / "params.yaml").write_text(yaml.safe_dump(recipe))
    assert "the same bits are expected" not in written(project)


@pytest.mark.parametrize(("ours", "theirs"), [((), (COMPUTED_ON,)), ((COMPUTED_ON,), ()), ((), ())])
def test_the_page_does_not_guess_where_one_of_both_is_not_recorded(
    project: Path, ours: tuple[ComputedOn, ...], theirs: tuple[ComputedOn, ...]
) -> None:
    trained(project, *ours)
    met(project, *theirs)
    said = written(project)
    assert "is not known: what it was computed on is not recorded of both" in said
    assert ("The candidate's files do not say." in said) == (not ours)


def test_a_training_that_was_continued_elsewhere_can_be_repeated_nowhere(project: Path) -> None:
    trained(project, COMPUTED_ON, COMPUTED_ON.changed(device="cpu", gpu=""))
    said = written(project)
    assert "Then, continued, on cpu" in said
    assert "no run can be expected to have the same bits" in said


def test_what_cannot_be_read_of_it_takes_no_other_line_with_it(project: Path) -> None:
    (project / "models" / "candidate" / TRAINING_FILE).write_text("{")
    said = written(project)
    assert "✗ cannot be shown: models/candidate/training.json" in said
    assert "Libraries, as installed where this page was made" in said


def commit(root: Path) -> Section[Commit]:
    return provenance.git_commit(read_run_files(root))


def test_outside_of_git_the_commit_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert commit(tmp_path).problem == "not a git work tree, or one without a commit"


def test_before_the_first_commit_it_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")

    assert commit(tmp_path).problem == "not a git work tree, or one without a commit"


def test_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))

    assert commit(tmp_path).problem == "git is not installed"


def test_what_else_is_wrong_with_git_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("git rev-parse failed: bad object HEAD")

    monkeypatch.setattr(provenance, "commit_of", refuse)

    assert commit(tmp_path).problem == "git rev-parse failed: bad object HEAD"


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A project of one stage, committed, with another lock and another source than were committed."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "params.yaml").write_text("data: {path: source}\n")
    stages = {"ingest": {"cmd": "x", "deps": ["${data.path}", "contract.yaml"], "outs": ["data/raw"]}}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    for name in ("pipeline/code.py", "contract.yaml", "dvc.lock", "source/rows", "notes"):
        (tmp_path / name).write_text("first\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "--message", "first")
    for name in ("dvc.lock", "source/rows", "notes"):
        (tmp_path / name).write_text("second\n")
    return tmp_path


def test_lock_source_and_what_the_run_does_not_use_are_no_change(committed: Path) -> None:
    assert commit(committed).value == Commit(git(committed, "rev-parse", "HEAD").strip(), is_dirty=False)


@pytest.mark.parametrize("name", ["pipeline/code.py", "contract.yaml", "params.yaml", "execution.yaml"])
def test_what_the_run_uses_is_one(committed: Path, name: str) -> None:
    with (committed / name).open("a") as stream:
        stream.write("# second\n")

    found = commit(committed).value
    assert found is not None
    assert found.is_dirty is True


def test_a_run_that_says_its_commit_is_believed(committed: Path) -> None:
    write_record(committed / RUN_REPORT_FILE, RunReport(commit="c0ffee", is_dirty=None, photograph="sha256:0a"))

    assert commit(committed).value == Commit("c0ffee", is_dirty=None)


@pytest.mark.parametrize(
    ("is_dirty", "said"),
    [(True, "the run's files differ from it"), (None, "whether the run's files differ from it is not known")],
)
def test_the_page_shows_commit_and_photograph(project: Path, is_dirty: bool | None, said: str) -> None:
    write_record(project / RUN_REPORT_FILE, RunReport(commit="c0ffee", is_dirty=is_dirty, photograph="sha256:0a"))
    page = html.unescape(render(project).decode())

    assert "<code>c0ffee</code>" in page
    assert "<code>sha256:0a</code>" in page
    assert said in page


def test_the_page_says_nothing_more_of_files_that_are_those_of_the_commit(project: Path) -> None:
    write_record(project / RUN_REPORT_FILE, RunReport(commit="c0ffee", is_dirty=False))
    page = html.unescape(render(project).decode())

    assert "<code>c0ffee</code>" in page
    assert "differ from it" not in page
    assert "photograph" not in page


def test_libraries_that_are_installed_have_their_versions() -> None:
    found = provenance.library_versions()

    assert {"numpy", "pyarrow"} <= found.keys()
    assert all(version[0].isdigit() for version in found.values())
