"""A recipe's layers: whoever says a value is named when it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.layers import Layers
from pipeline.recipe.resolving import checked

CONFIG = "configs/x.yaml"


def layers(values: dict[str, Any], overlay: dict[str, Any], overrides: dict[str, Any]) -> Layers:
    return Layers.of(values, "params.yaml").overlaid(overlay, CONFIG).overridden(overrides, "--set")


@pytest.mark.parametrize(
    ("overlay", "overrides", "line"),
    [
        ({}, {"train.epochs": 0}, "--set: train.epochs: "),
        ({"train": {"epochs": 0}}, {}, f"{CONFIG}: train.epochs: "),
        ({"train": {"epochs": 0}}, {"train.batch_size": 64}, f"{CONFIG}: train.epochs: "),
        ({"train": {"epochs": 3}}, {"train.epochs": 0}, "--set: train.epochs: "),
        ({"train": None}, {}, f"{CONFIG}: train: a group of keys is needed"),
        ({"model": "cnnn"}, {}, f"{CONFIG}: model: no architecture 'cnnn'"),
        ({}, {"model.name": "cnnn"}, "--set: model: no architecture 'cnnn'"),
        ({"model": {"settings": {"kernle": 3}}}, {}, f"{CONFIG}: unknown key 'model.settings.kernle' (did you mean"),
        ({}, {"train.optimizer.settings.betta_1": 0.8}, "--set: unknown key 'train.optimizer.settings.betta_1' (did"),
        (
            {},
            {"augment.steps.1.settings.levls": 3},
            "--set: unknown key 'augment.steps.1.settings.levls' (did you mean",
        ),
        ({}, {"augment.steps": ["noise"]}, "--set: 'augment.steps.0.settings.levels' is missing"),
        ({"augment": {"steps": [{"name": "noise"}]}}, {}, f"{CONFIG}: 'augment.steps.0.settings.levels' is missing"),
        ({}, {"split.train": 0.3}, "--set: split: train + validation + test must be 1, not 0.4"),
        ({"augment": {"flip": 0.5}}, {}, f"{CONFIG}: unknown key 'augment.flip'; it is augment.steps, flip of step"),
        ({}, {"data.features.image.settings.hight": 3}, "--set: unknown key 'data.features.image.settings.hight' (did"),
    ],
)
def test_a_refusal_names_where_the_value_stands(
    values: dict[str, Any], overlay: dict[str, Any], overrides: dict[str, Any], line: str
) -> None:
    made = layers(values, overlay, overrides)
    with pytest.raises(UsageError) as caught:
        checked(made.values, made.where)
    assert str(caught.value).startswith(line)


def test_what_is_missing_is_missing_in_the_file_below_all(values: dict[str, Any]) -> None:
    del values["split"]["train"]
    made = layers(values, {"split": {"validation": 0.1}}, {"train.epochs": 3})
    with pytest.raises(UsageError, match=r"^params\.yaml: 'split\.train' is missing$"):
        checked(made.values, made.where)


def test_layers_that_say_nothing_change_nothing(values: dict[str, Any]) -> None:
    assert checked(layers(values, {}, {}).values, "x") == checked(values, "x")


def test_an_override_of_a_group_is_not_changed_by_one_within_it(values: dict[str, Any]) -> None:
    group = {"rows": 10, "tolerance": 0.2}
    made = layers(values, {}, {"gate.parity": group, "gate.parity.tolerance": 0.3})
    assert made.values["gate"]["parity"]["tolerance"] == 0.3
    assert group["tolerance"] == 0.2


@pytest.mark.parametrize("layer", ["lower", "upper"])
def test_a_layer_without_an_end_is_refused_by_its_name(values: dict[str, Any], layer: str) -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(UsageError, match=rf"^{layer}: nested too deeply$"):
        Layers.of(deep if layer == "lower" else values, "lower").overlaid(deep, "upper")
