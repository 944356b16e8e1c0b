"""Which keys a recipe may have, and what an unknown one is meant to be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.recipe.keys import is_key, meant
from pipeline.recipe.resolving import checked, complete
from pipeline.recipe.settings import flatten, set_dotted


@pytest.mark.parametrize(
    "key",
    [
        "train",
        "train.epochs",
        "train.optimizer.name",
        "train.optimizer.settings.anything.below",
        "augment.steps.0.settings.levels",
        "data.features.image.kind",
        "gate.minimum.recall",
        "gate.slices.class.ankle boot.minimum.recall",
    ],
)
def test_a_key_that_a_recipe_may_have(key: str) -> None:
    assert is_key(key)


@pytest.mark.parametrize(
    "key",
    [
        *("", ".", "train.", ".train", "train..epochs", "trian", "train.epochs.x", "seed.0"),
        *("augment.steps.name", "augment.steps.-1.name", "augment.steps.01", "augment.steps.²", "augment.steps.٣"),
        *("augment.steps." + "9" * 5000, "data.features.image.name", "gate.slices.class.bag.minimun"),
    ],
)
def test_a_key_that_a_recipe_cannot_have(key: str) -> None:
    assert not is_key(key)


@pytest.mark.parametrize(
    ("key", "clause"),
    [
        ("train.epocs", " (did you mean 'train.epochs'?)"),
        ("trian.epochs", " (did you mean 'train.epochs'?)"),
        ("epochs", " (did you mean 'train.epochs'?)"),
        ("train.optimizer.nme", " (did you mean 'train.optimizer.name'?)"),
        ("augment.steps.1.setings.levels", " (did you mean 'augment.steps.1.settings.levels'?)"),
        ("data.features.image.knd", " (did you mean 'data.features.image.kind'?)"),
        ("gate.slices.class.bag.minimun.recall", " (did you mean 'gate.slices.class.bag.minimum.recall'?)"),
        ("gate.parity.zzz", " (valid: gate.parity.rows, gate.parity.tolerance)"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(key: str, clause: str) -> None:
    assert meant(key) == clause


@pytest.mark.parametrize(
    ("key", "now"),
    [
        ("data.image", "data.features.image.settings"),
        ("data.image.raw_height", "data.features.image.settings.raw_height"),
        ("normalize.width", "data.features.image.settings.width"),
        ("evaluate.calibration_bins", "task.settings.calibration_bins"),
        ("train.weight_decay", "train.optimizer.settings.weight_decay"),
        ("train.label_smoothing", "train.loss.settings.label_smoothing"),
        ("augment.erase_area", "augment.steps, area of step erase"),
    ],
)
def test_a_key_of_an_earlier_recipe_says_where_it_is_now(values: dict[str, Any], key: str, now: str) -> None:
    assert meant(key) == f"; it is {now} now"
    set_dotted(values, key, 1)
    with pytest.raises(UsageError, match=rf"^params\.yaml: unknown key '{key.partition('.')[0]}.*; it is data\.|{now}"):
        checked(values, "params.yaml")


def test_every_key_of_the_complete_recipe_is_one(values: dict[str, Any]) -> None:
    assert all(map(is_key, flatten(complete(checked(values, "x")))))


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_answered_in_one_line(key: str) -> None:
    assert is_key(key) or "\n" not in meant(key).replace(key, "")
