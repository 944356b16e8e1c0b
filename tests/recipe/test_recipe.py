"""The recipe: what is accepted, and the one line that says why something is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import StorageError, UsageError
from pipeline.recipe.recipe import load_recipe
from pipeline.recipe.resolving import checked
from pipeline.recipe.settings import set_dotted
from tests.recipe.conftest import ROOT


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        checked(values, "params.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("params.yaml: ")
    return message


def test_the_shipped_recipe_is_valid() -> None:
    assert load_recipe(ROOT).name == "fashion_mnist"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("train.epoch", 3, "unknown key 'train.epoch' (did you mean 'train.epochs'?)"),
        ("trian", {}, "unknown key 'trian' (did you mean 'train'?)"),
        ("train.epochs", "three", "train.epochs"),
        ("train.epochs", "3", "train.epochs"),
        ("train.epochs", True, "train.epochs"),
        ("train.epochs", 0, "train.epochs"),
        ("train.learning_rate", -1.0, "train.learning_rate"),
        ("train.learning_rate", float("nan"), "train.learning_rate"),
        ("train.learning_rate", float("inf"), "train.learning_rate"),
        ("seed", -1, "seed"),
        ("gate.minimum.accuracy", "x", "gate.minimum.accuracy"),
        ("gate.minimum.accuracy", float("nan"), "gate.minimum.accuracy"),
        ("split.train", 0.8, "split: train + validation + test must be 1"),
        ("split.test", 0.1, "split: train + validation + test must be 1"),
        ("split.frozen", "../mine", "split.frozen"),
        ("data.classes", ["one"], "data.classes"),
        ("data.classes", ["one", "one"], "'one' appears twice"),
        ("data.classes", ["one", " one"], "' one' and 'one' differ in blanks alone"),
        ("data.classes", ["one", ""], "the class name '' is blank"),
        ("data.classes", ["one", "\u3000 "], "is blank; every class needs a name"),
        ("data.classes", [0, 1], "data.classes.0: text is needed, got 0; quote them: ['0', '1']"),
        ("data.features.image.settings.channels", True, "channels: a whole number is needed, got true"),
        ("train.warmup_epochs", 1e308, "train.warmup_epochs: must be at most 10000, got 1e+308"),
        ("ingest.as_of", "2026-02-30", "ingest.as_of: there is no such date, got '2026-02-30'"),
        ("data.source", "parquet", "data.source"),
        ("name", "../evil", "name"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_key(
    values: dict[str, Any], key: str, value: object, words: str
) -> None:
    set_dotted(values, key, value)
    assert words in refused(values)


def test_a_frozen_split_by_hash_is_refused(values: dict[str, Any]) -> None:
    values["split"] = {"method": "hash", "train": 0.8, "validation": 0.1, "test": 0.1, "frozen": "mine"}
    assert "split: frozen must be null with method hash" in refused(values)


@pytest.mark.parametrize("key", ["gate", "gate.champion", "gate.champion.margin", "gate.champion.class_margin"])
def test_a_recipe_without_its_thresholds_is_refused(values: dict[str, Any], key: str) -> None:
    *groups, last = key.split(".")
    inner = values
    for group in groups:
        inner = inner[group]
    del inner[last]
    assert refused(values) == f"params.yaml: '{key}' is missing"


def test_a_recipe_that_is_not_there_is_an_input_output_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"params\.yaml: cannot be read"):
        load_recipe(tmp_path)
