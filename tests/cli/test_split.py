"""`ratchet split freeze`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.data.frozen_split import read_frozen
from pipeline.recipe.recipe import load_recipe
from tests.cli.given import answer, complaint
from tests.data.test_freezing import write_clean


def change(project: Path, **split: object) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["data"]["classes"] = ["a", "b"]
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
    frozen = read_frozen(project / "splits", load_recipe(project).split)
    assert frozen is not None
    assert list(frozen.thresholds) == ["a", "b"]
    written = (project / "splits/fashion_mnist.yaml").read_bytes()
    assert "has all 2 classes already; nothing is changed" in answer(capsys, "split", "freeze")
    assert (project / "splits/fashion_mnist.yaml").read_bytes() == written


def test_without_kept_rows_it_says_what_to_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, "split", "freeze")
    assert (code, "first: `ratchet run --until clean`" in said) == (74, True)


def test_by_hash_there_is_nothing_to_freeze(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(project, method="hash", train=0.8, test=0.1)
    code, said = complaint(capsys, "split", "freeze")
    assert (code, "there is nothing to freeze" in said) == (2, True)
