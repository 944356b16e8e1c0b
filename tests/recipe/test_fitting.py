"""Choices that do not fit the recipe's features are refused with the recipe, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.fitting import columns_of
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.resolving import checked, load_checked
from pipeline.recipe.strict_yaml import parse_yaml

ROOT = Path(__file__).parents[2]
IMAGE = {"kind": "image", "settings": {"raw_height": 28, "raw_width": 28, "channels": 1, "height": 28, "width": 28}}


def refused(**features: Any) -> str:
    values = parse_yaml(ROOT / PARAMS_FILE)
    values["data"]["features"] = features
    with pytest.raises(UsageError) as error:
        checked(values, PARAMS_FILE)
    return str(error.value)


def test_a_feature_that_the_source_does_not_deliver_is_refused_and_what_it_delivers_is_named() -> None:
    line = refused(image=IMAGE, imagee=IMAGE)

    assert line == (
        "params.yaml: data.source idx: delivers no feature 'imagee' (did you mean 'image'?); it delivers image"
    )


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (("label",), "data.features.label: its column 'label' is one of every row too"),
        (("copy",), "data.features.copy: its column 'copy' is one of every row too"),
        (
            ("image", "image_mean"),
            "data.features.image_mean: its column 'image_mean' is one of feature 'image' too; rename it",
        ),
    ],
)
def test_a_feature_whose_column_is_another_s_is_refused(
    features: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.data.sources import idx

    monkeypatch.setattr(idx, "FEATURES", dict.fromkeys(features, "image"))

    assert said in refused(**dict.fromkeys(features, IMAGE))


def test_a_feature_of_another_kind_than_delivered_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.data.sources import idx

    monkeypatch.setattr(idx, "FEATURES", {"image": "sound"})

    assert refused(image=IMAGE) == "params.yaml: data.source idx: delivers feature 'image' of kind sound, not image"


def test_a_step_that_changes_no_feature_of_the_recipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.data.augmentations import noise

    monkeypatch.setattr(noise, "KINDS", ("sound",))

    assert refused(image=IMAGE) == (
        "params.yaml: augment.steps.1 noise: changes features of kind sound, of which the recipe has none; "
        "take it out of augment.steps"
    )


def test_a_contract_knows_the_columns_of_its_own_data_only() -> None:
    recipe = load_checked(ROOT)
    raw, prepared = set(columns_of(recipe, "raw")), set(columns_of(recipe, "prepared"))
    assert {"image_encoding", "content_digest", "image_bytes"} <= raw
    assert {"image_mean", "parts_with_row", "image_bytes"} <= prepared
    assert not {"image_mean", "parts_with_row"} & raw
    assert not {"image_encoding", "content_digest"} & prepared
    assert raw | prepared <= set(columns_of(recipe))
