"""A run's own params.yaml has the written form where nothing has changed: its lock is that of a run in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recipe.changing import as_written
from pipeline.recipe.layers import Layers
from pipeline.recipe.strict_yaml import parse_yaml, parse_yaml_text

ROOT = Path(__file__).parents[2]
SHIPPED = parse_yaml(ROOT / "params.yaml")
BARE_OR_NOT: dict[str, list[Any]] = {
    "optimizer": ["adam", {"name": "adam"}, {"settings": {"beta_1": 0.8}}, {"name": "sgd", "settings": {}}],
    "schedule": ["cosine", {"name": "constant"}, {"settings": {"floor": 0.1}}],
}


def unchanged(values: dict[str, Any]) -> dict[str, Any]:
    layers = Layers.of(values, "params.yaml").overlaid({}, "configs/one.yaml")
    return as_written(layers.values, layers.written)


@given(st.fixed_dictionaries({name: st.sampled_from(forms) for name, forms in BARE_OR_NOT.items()}))
def test_what_nobody_changes_is_as_it_was_written(train: dict[str, Any]) -> None:
    values = {**SHIPPED, "train": {**SHIPPED["train"], **train}, "augment": {"copies": 1, "steps": ["warp", "noise"]}}
    assert unchanged(values) == values


@pytest.mark.parametrize(
    ("key", "value", "by_hand"),
    [
        ("train.epochs", 3, "epochs: 8 → epochs: 3"),
        ("train.optimizer", "sgd", "optimizer: adam → optimizer: sgd"),
        ("train.optimizer.name", "sgd", "optimizer: adam → optimizer: sgd"),
    ],
)
def test_a_change_by_option_is_the_same_as_by_hand(key: str, value: object, by_hand: str) -> None:
    text = (ROOT / "params.yaml").read_text()
    edited = parse_yaml_text(text.replace(*by_hand.split(" → ")), "params.yaml")
    layers = Layers.of(SHIPPED, "params.yaml").overridden({key: value}, "--set")
    assert as_written(layers.values, layers.written) == edited != SHIPPED
