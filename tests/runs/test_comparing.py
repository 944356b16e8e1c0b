"""What differs between two runs, and that nothing does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.runs.comparing import Comparison, FileChange, Pair, compare
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.evidence import read_evidence
from pipeline.runs.photograph import Reference
from pipeline.runs.photograph_store import PhotographStore
from tests.runs.kept import RECIPE, finished, make_project, photographed, trained

FILES = {"pipeline/a.py": b"one", "params.yaml": b"8", "dvc.yaml": b"graph"}
SOURCE = {"source": Reference("0" * 32, 3, 12)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def compared(root: Path, a: dict[str, Any] | None = None, b: dict[str, Any] | None = None) -> Comparison:
    for run_id, changes in (("a", a or {}), ("b", b or {})):
        files, references = changes.pop("files", FILES), changes.pop("references", SOURCE)
        finished(root, run_id, **{"photograph": photographed(root, files, references), **changes})
    return compare(read_evidence(root, "a"), read_evidence(root, "b"))


def test_of_two_that_are_the_same_nothing_differs_but_the_times(root: Path) -> None:
    found = compared(root, {"seconds": 2.0}, {"seconds": 3.0})
    assert found.is_same
    assert (found.recipe, found.files, found.references, found.unknown) == ({}, (), {}, ())
    assert found.seconds["train"] == Pair(2.0, 3.0)


def test_values_of_the_recipe_differ_by_their_keys(root: Path) -> None:
    other = {"task": "classification", "train": {"epochs": 9, "loss": "hinge"}}
    found = compared(root, {}, {"recipe": other, "files": {**FILES, "params.yaml": b"9"}})
    assert found.recipe == {"train.epochs": Pair(8, 9), "train.loss": Pair(None, "hinge")}
    assert found.files == ()  # that params.yaml differs is said already


@pytest.mark.parametrize(("a", "b"), [(1, True), (1, 1.0), ("1", 1)])
def test_values_of_another_type_differ(root: Path, a: object, b: object) -> None:
    assert not compared(root, {"recipe": {**RECIPE, "x": a}}, {"recipe": {**RECIPE, "x": b}}).is_same


def test_files_differ_by_what_happened_to_them(root: Path) -> None:
    a = {"pipeline/a.py": b"one", "pipeline/old.py": b"", "params.yaml": b"8"}
    b = {"pipeline/a.py": b"two", "docs/new.md": b"", "params.yaml": b"8 # a comment"}
    assert compared(root, {"files": a}, {"files": b}).files == (
        FileChange("docs/new.md", "only in B", is_code=False),
        FileChange("params.yaml", "changed", is_code=False),
        FileChange("pipeline/a.py", "changed", is_code=True),
        FileChange("pipeline/old.py", "only in A", is_code=True),
    )


def test_data_differ_by_their_digest(root: Path) -> None:
    other = {"source": Reference("1" * 32, 3, 12)}
    assert compared(root, {}, {"references": other}).references == {"source": Pair(SOURCE["source"], other["source"])}


@pytest.mark.parametrize(
    ("accuracy", "b_is", "difference"), [(0.95, "better", 0.05), (0.8, "worse", -0.1), (0.9, "same", 0.0)]
)
def test_figures_stand_side_by_side_and_say_which_is_better(
    root: Path, accuracy: float, b_is: str, difference: float
) -> None:
    found = compared(root, {}, {"accuracy": accuracy})
    figure = next(figure for figure in found.figures if figure.name == "accuracy")
    assert (figure.title, figure.a, figure.b, figure.b_is) == ("accuracy", 0.9, accuracy, b_is)
    assert figure.difference == pytest.approx(difference)
    assert found.is_same == (b_is == "same")
    assert next(figure.unit for figure in found.figures if figure.name == "cross_entropy") == "nats a row"


def test_figures_of_different_parts_are_not_compared(root: Path) -> None:
    photograph = photographed(root, FILES, SOURCE)
    finished(root, "a", photograph=photograph)
    trained(root, finished(root, "b", photograph=photograph, until="train"))
    found = compare(read_evidence(root, "a"), read_evidence(root, "b"))
    assert found.figures == ()
    assert found.unknown == ("figures of A are of the test part, those of B of the validation part: not comparable",)


def test_without_a_photograph_the_rest_is_compared_and_that_is_said(root: Path) -> None:
    found = compared(root, {"photograph": None}, {"recipe": {**RECIPE, "seed": 2}})
    assert found.recipe == {"seed": Pair(None, 2)}
    assert found.unknown == ("A: has no photograph: files and data are not compared",)


def test_a_photograph_that_is_gone_is_said(root: Path) -> None:
    finished(root, "a", photograph=photographed(root, FILES))
    finished(root, "b", photograph=(digest := photographed(root, {"x": b"other"})))
    PhotographStore(cache_of(root)).path(digest).unlink()
    found = compare(read_evidence(root, "a"), read_evidence(root, "b"))
    assert found.files == ()
    [said] = found.unknown
    assert said.startswith("B: its photograph")


def test_for_programs_it_is_json(root: Path) -> None:
    found = compared(root, {}, {"recipe": {**RECIPE, "seed": 2}, "references": {}})
    values = json.loads(json.dumps(found.to_json()))
    assert values["is_same"] is False
    assert values["recipe"] == {"seed": {"a": None, "b": 2}}
    assert values["references"]["source"]["b"] is None
