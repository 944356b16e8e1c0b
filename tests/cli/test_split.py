"""`ratchet split freeze`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from pipeline.data.frozen_split import read_frozen
from pipeline.recipe.recipe import load_recipe
from pipeline.storage.manifests import read_manifest, write_manifest
from tests.cli.given import answer, complaint
from tests.data.test_freezing import write_clean, write_table


def change(project: Path, classes: Sequence[str] = ("a", "b"), **split: object) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["data"]["classes"] = list(classes)
    params["split"] |= split
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def test_it_writes_what_the_recipe_then_names(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project)
    (project / "data").mkdir()
    write_clean(project / "data" / "clean", 200)

    said = answer(capsys, "split", "freeze")

    assert said.startswith("splits/fashion_mnist.yaml: 2 classes added; ")
    assert said.endswith("commit it, and set split.frozen: fashion_mnist in params.yaml\n")
    change(project, frozen="fashion_mnist")
    frozen = read_frozen(project / "splits", load_recipe(project).split, ["a", "b"])
    assert frozen is not None
    assert list(frozen.thresholds) == ["a", "b"]
    written = (project / "splits/fashion_mnist.yaml").read_bytes()
    assert "has all 2 classes already; nothing is changed" in answer(capsys, "split", "freeze")
    assert (project / "splits/fashion_mnist.yaml").read_bytes() == written


@pytest.fixture
def frozen(project: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project whose recipe names the split that is frozen."""
    change(project)
    (project / "data").mkdir()
    write_clean(project / "data" / "clean", 200)
    answer(capsys, "split", "freeze")
    change(project, frozen="fashion_mnist")
    return project


def test_a_file_that_is_named_and_gone_is_made_anew_only_when_asked(
    frozen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = frozen / "splits" / "fashion_mnist.yaml"
    written = path.read_bytes()
    path.unlink()
    code, said = complaint(capsys, "split", "freeze")
    assert (code, said) == (
        2,
        "ratchet: split.frozen: splits/fashion_mnist.yaml does not exist; bring it back from git, or divide the rows "
        "anew, which moves some: `ratchet split freeze --new`\n",
    )
    assert not path.exists()
    assert "2 classes added" in answer(capsys, "split", "freeze", "--new")
    assert path.read_bytes() == written


def test_what_is_there_is_not_made_anew(frozen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, "split", "freeze", "--new")
    assert (code, "is there; to divide anew, name another in split.frozen" in said) == (2, True)


def test_a_class_that_was_renamed_is_not_divided_anew(frozen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(frozen, classes=["a1", "b"])
    code, said = complaint(capsys, "split", "freeze")
    assert code == 2
    assert "fashion_mnist.yaml: class 'a' is not in data.classes (did you mean 'a1'?); rename it in" in said


def test_another_seed_than_the_recipes_is_said(frozen: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = yaml.safe_load((frozen / "params.yaml").read_text())
    (frozen / "params.yaml").write_text(yaml.safe_dump({**params, "seed": 7}))
    said = answer(capsys, "split", "freeze")
    assert "splits/fashion_mnist.yaml divides rows by its own seed, 20261101, not by the recipe's, 7\n" in said


def test_without_kept_rows_it_says_what_to_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, "split", "freeze")
    assert (code, "first: `ratchet run --until clean`" in said) == (74, True)


def test_by_hash_there_is_nothing_to_freeze(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project, method="hash", train=0.8, test=0.1)
    code, said = complaint(capsys, "split", "freeze")
    assert (code, "split.method hash has the shares as thresholds, which never move: there is nothing" in said) == (
        2,
        True,
    )


@pytest.mark.usefixtures("table_source")
def test_by_group_there_is_nothing_to_freeze(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project, method="grouped", train=0.8, test=0.1)
    roles(project, group="plane")
    code, said = complaint(capsys, "split", "freeze")
    assert (code, "split.method grouped has the shares as thresholds, which never move: there is" in said) == (2, True)


@pytest.mark.usefixtures("table_source")
def test_a_split_by_time_is_frozen_at_its_instants(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project, method="time", train=0.8, test=0.1)
    roles(project, time="hour")
    (project / "data").mkdir()
    clean = write_table(project / "data" / "clean", 400)
    write_manifest(clean, read_manifest(clean).changed(counts={"classes": {"a": 200, "b": 200}}))

    said = answer(capsys, "split", "freeze")

    assert said.startswith("splits/fashion_mnist.yaml: 2 instants added; 0 of 400 rows change their part\n")
    change(project, frozen="fashion_mnist")
    assert answer(capsys, "split", "freeze") == (
        "splits/fashion_mnist.yaml: has its instants already; nothing is changed\ncommit it\n"
    )


def test_a_number_is_frozen_bin_by_bin(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.recipe.resolving.load_checked", load_recipe)  # whatever else goes with a number
    change(project, classes=[], method="stratified", train=0.7, validation=0.1, test=0.2, quantiles=4)
    (project / "data").mkdir()
    write_table(project / "data" / "clean", 400)

    assert answer(capsys, "split", "freeze").startswith("splits/fashion_mnist.yaml: 4 bins added; ")
    change(project, classes=[], frozen="fashion_mnist")
    assert "splits/fashion_mnist.yaml: has its bins already; nothing is changed" in answer(capsys, "split", "freeze")
    change(project, classes=[], quantiles=5)
    code, said = complaint(capsys, "split", "freeze")
    assert (code, "split.quantiles: splits/fashion_mnist.yaml was frozen with 4, and the recipe says 5" in said) == (
        2,
        True,
    )


@pytest.fixture
def table_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe's source, whose rows may have roles."""
    from pipeline.data.sources import idx

    monkeypatch.setattr(idx, "KINDS", ("image",), raising=False)


def roles(project: Path, **named: str) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["data"]["roles"] = named
    (project / "params.yaml").write_text(yaml.safe_dump(params))
