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
        ("train.virtual_workers", 0, "train.virtual_workers"),
        ("train.virtual_workers", 5, "train: a batch of 512 rows cannot be cut into 5 equal micro-batches"),
        ("train.virtual_workers", 600, "(virtual_workers); use 64, 128, 256 or 512"),
        ("train.batch_size", 510, "train: a batch of 510 rows cannot be cut into 4 equal micro-batches"),
        ("train.exact", "no", "train.exact"),
        ("train.learning_rate", -1.0, "train.learning_rate"),
        ("train.learning_rate", float("nan"), "train.learning_rate"),
        ("train.learning_rate", float("inf"), "train.learning_rate"),
        ("seed", -1, "seed"),
        ("gate.minimum.accuracy", "x", "gate.minimum.accuracy: a number is needed, got 'x'"),
        (
            "gate.minimum.accuracy",
            {"none": " "},
            "gate.minimum.accuracy.none: text that is not blank is needed, got ' '",
        ),
        ("gate.confidence", 1.0, "gate.confidence: must be below 1, got 1.0"),
        ("gate.resamples", 399, "gate: resamples must be at least 400 at a confidence of 0.95, not 399"),
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


def test_a_recipe_without_its_thresholds_is_refused(values: dict[str, Any]) -> None:
    del values["gate"]
    assert refused(values) == "params.yaml: 'gate' is missing"


def test_a_recipe_of_before_is_told_what_to_write(values: dict[str, Any]) -> None:
    values["gate"]["champion"] = {"margin": 0.02, "class_margin": 0.12}
    assert refused(values) == (
        "params.yaml: unknown key 'gate.champion'; it is gate.rule, like "
        "{name: margin, settings: {margin: 0.02, slice_margin: 0.12}}, now"
    )


RULE = "gate.rule.settings"


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("better", {"total_margin": 0}, f"{RULE}.total_margin: must be above 0, got 0"),
        ("better", {"total_margin": -0.1}, f"{RULE}.total_margin: must be above 0, got -0.1"),
        ("better", {"total_margin": 0.5}, f"{RULE}.total_margin: must be below 0.5, as a share of rows"),
        ("better", {"total_margin": "x"}, f"{RULE}.total_margin: a number is needed, got 'x'"),
        ("better", {"total_margin": {}}, f"'{RULE}.total_margin.none' is missing"),
        ("better", {"total_margin": {"none": 3}}, f"{RULE}.total_margin.none: text is needed, got 3; quote it: '3'"),
        ("better", {"total_margin": {"non": "x"}}, f"unknown key '{RULE}.total_margin.non'"),
        ("better", {"slice_margin": 1.0}, f"{RULE}.slice_margin: must be below 0.5, as a share of rows: at 1"),
        ("better", {"slice_margins": {"class": {"bag": 0}}}, f"{RULE}.slice_margins.class.bag: must be above 0, got 0"),
        ("better", {"unjudged": {"class": {"bag": ""}}}, f"{RULE}.unjudged.class.bag: must not be empty, got ''"),
        ("better", {"unjudged": {"class": {"bags": "few"}}}, f"{RULE}.unjudged.class: no class 'bags' (did you mean"),
        (
            "better",
            {"slice_margins": {"class": {"bag": {"none": "x"}}}, "unjudged": {"class": {"bag": "few"}}},
            f"{RULE}: class 'bag' is switched off by slice_margins and named under unjudged; take it out of one",
        ),
        ("better", {"error": 0.0}, f"{RULE}.error: must be above 0, got 0.0"),
        ("refresh", {"verdicts": 0}, f"{RULE}.verdicts: must be at least 1, got 0"),
        ("refresh", {"total_margin": 0.6}, f"{RULE}.total_margin: must be below 0.5, as a share of rows: at 0.6"),
        ("margin", {}, f"'{RULE}.margin' is missing"),
        ("margin", {"margin": 0.02}, f"'{RULE}.slice_margin' is missing"),
        ("margin", {"margin": 1.0, "slice_margin": 0.1}, f"{RULE}.margin: must be below 0.5, as a share of rows: at 1"),
        (
            "margin",
            {"margin": 0.02, "slice_margin": 0.1, "confidence": 0.9999, "resamples": 100},
            f"{RULE}: resamples must be at least 200000 at a confidence of 0.9999, not 100",
        ),
        ("beter", {}, "no gate rule 'beter' in pipeline/gate/rules (did you mean 'better'?)"),
    ],
)
def test_a_rule_that_would_let_anything_through_is_refused(
    values: dict[str, Any], name: str, settings: dict[str, Any], words: str
) -> None:
    values["gate"]["rule"] = {"name": name, "settings": settings}
    assert words in refused(values)


@pytest.mark.parametrize("name", ["better", "refresh"])
def test_a_check_may_be_switched_off_with_a_reason(values: dict[str, Any], name: str) -> None:
    off = {"none": "a new sensor"}
    values["gate"]["rule"] = {"name": name, "settings": {"total_margin": off, "slice_margins": {"class": {"bag": off}}}}
    values["gate"]["minimum"] = {"accuracy": off}
    assert checked(values, "params.yaml").gate.model_dump()["minimum"] == {"accuracy": off}


def test_a_recipe_that_is_not_there_is_an_input_output_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"params\.yaml: cannot be read"):
        load_recipe(tmp_path)
