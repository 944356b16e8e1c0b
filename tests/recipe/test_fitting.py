"""Choices that do not fit the recipe's features are refused with the recipe, before any work."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.changing import apply_overrides
from pipeline.recipe.fitting import columns_of, mixed_columns, require_divisible, require_fit
from pipeline.recipe.recipe import AUGMENTATION, PARAMS_FILE, Recipe
from pipeline.recipe.resolving import checked, load_checked
from pipeline.recipe.slots import Feature, choices
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
    from pipeline.augmentation.steps import noise

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


OVERLAY = {"name": "overlay", "settings": {"mixup": 0.5}}


def mixing(*steps: Any) -> dict[str, Any]:
    return {"augment.steps": [*steps]}


def recipe_with(asked: dict[str, Any]) -> Recipe:
    return checked(apply_overrides(parse_yaml(ROOT / PARAMS_FILE), asked, "x"), "x")


def test_a_step_that_lays_rows_over_each_other_fits_pictures_and_their_classes() -> None:
    assert recipe_with(mixing("warp", OVERLAY)).augment.steps[1].name == "overlay"


def test_a_second_step_that_lays_rows_over_each_other_is_refused_by_both_positions() -> None:
    with pytest.raises(
        UsageError, match=r"augment\.steps\.0 overlay: is not the only step .*\(augment\.steps\.0 and 2\)"
    ):
        recipe_with(mixing(OVERLAY, "warp", OVERLAY))


def test_a_feature_that_cannot_be_laid_over_is_refused_by_name() -> None:
    made = recipe_with(mixing(OVERLAY))
    features = {**made.data.features, "sound": Feature(kind="sound")}
    both = made.model_copy(update={"data": made.data.model_copy(update={"features": features})})
    [chosen] = [each for each in choices(both) if each.slot is AUGMENTATION]
    require_fit(chosen, made)
    with pytest.raises(UsageError, match=r"^augment\.steps\.0 overlay: lays .* not feature 'sound' of kind sound"):
        require_fit(chosen, both)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("pipeline.training.losses.cross_entropy", r"train\.loss cross_entropy cannot take"),
        ("pipeline.training.objectives.classification", "task classification cannot take"),
    ],
)
def test_a_loss_or_a_task_that_takes_no_mixed_targets_is_refused_by_name(
    file: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(importlib.import_module(file), "TAKES_MIXED_TARGETS")
    recipe_with(mixing("warp"))
    with pytest.raises(UsageError, match=rf"augment\.steps\.1 overlay: makes targets of two labels, which {said}"):
        recipe_with(mixing("warp", OVERLAY))


@pytest.mark.parametrize(
    ("when", "copies", "has_them"), [("before", 1, True), ("during", 1, False), ("before", 0, False)]
)
def test_a_contract_may_be_about_second_labels_where_copies_with_them_are_written(
    when: str, copies: int, has_them: bool
) -> None:
    made = recipe_with({**mixing(OVERLAY), "augment.when": when, "augment.copies": copies})
    assert ({"other_label", "share"} <= set(columns_of(made, "prepared"))) == has_them
    step = "augment.steps.0 overlay"
    assert mixed_columns(made, "prepared") == ({"other_label": step, "share": step} if has_them else {})
    assert "share" not in columns_of(recipe_with(mixing("warp")), "prepared")
    assert mixed_columns(made, "raw") == {}


@pytest.fixture
def table_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped recipe's source, whose rows may have roles."""
    from pipeline.data.sources import idx

    monkeypatch.setattr(idx, "KINDS", ("image",), raising=False)


def divided(roles: dict[str, str] | None = None, **split: Any) -> str:
    """Return why a recipe that divides its rows in this way is refused; "" if it is not."""
    values = parse_yaml(ROOT / PARAMS_FILE)
    values["data"]["roles"] = roles or {}
    values["split"] = {"train": 0.8, "validation": 0.1, "test": 0.1, **split}
    try:
        checked(values, PARAMS_FILE)
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.usefixtures("table_source")
@pytest.mark.parametrize(("method", "role"), [("grouped", "group"), ("time", "time")])
def test_rows_are_divided_only_by_a_role_that_they_have(method: str, role: str) -> None:
    assert divided(method=method) == (
        f"params.yaml: split.method: {method} divides rows by their {role}, and data.roles.{role} names no column of "
        "it; name one, or take another method"
    )
    assert divided({"id": "x"}, method=method)
    assert divided({role: "x"}, method=method) == ""


@pytest.mark.usefixtures("table_source")
def test_a_split_by_time_may_be_frozen_and_one_by_group_not() -> None:
    assert divided({"time": "x"}, method="time", frozen="mine") == ""
    said = divided({"group": "x"}, method="grouped", frozen="mine")
    assert "split: frozen must be null with method grouped: its thresholds are the shares, which never move" in said


@pytest.mark.usefixtures("table_source")
@pytest.mark.parametrize("method", ["hash", "stratified"])
def test_a_group_is_not_passed_over_in_silence(method: str) -> None:
    said = divided({"group": "x"}, method=method)
    assert f"split.method: {method} parts rows of one group, which data.roles.group ('x') says must stay" in said


@pytest.mark.usefixtures("table_source")
def test_rows_with_weights_are_not_laid_over_each_other() -> None:
    weights = {"data.roles": {"weight": "w"}}
    assert "row_weight" in columns_of(recipe_with(mixing("warp") | weights), "raw")
    with pytest.raises(
        UsageError, match=r"augment\.steps\.1 overlay: makes one row of two, .* \(data\.roles\.weight\)"
    ):
        recipe_with(mixing("warp", OVERLAY) | weights)


def test_weights_stand_in_tables_alone() -> None:
    with pytest.raises(UsageError, match=r"data\.roles: data\.source idx has no columns .* as row_weight; leave"):
        recipe_with({"data.roles": {"weight": "w"}})


def of_number(recipe: Recipe, **split: Any) -> Recipe:
    """Return a recipe whose target is a number, whether or not the rest goes with that."""
    data = recipe.data.model_copy(update={"classes": ()})
    return recipe.model_copy(update={"data": data, "split": recipe.split.model_copy(update=split)})


def test_the_source_s_parts_of_a_number_have_nothing_to_freeze() -> None:
    recipe = load_checked(ROOT)

    require_divisible(of_number(recipe, method="source", frozen=None))
    require_divisible(of_number(recipe, method="stratified", frozen="mine"))
    require_divisible(recipe.model_copy(update={"split": recipe.split.model_copy(update={"frozen": "mine"})}))
    with pytest.raises(
        UsageError, match=r"^split\.frozen: with method source the rows of a number have no bins, and the"
    ):
        require_divisible(of_number(recipe, method="source", frozen="mine"))


def augmented(*steps: Any, **augment: Any) -> Recipe:
    values = parse_yaml(ROOT / PARAMS_FILE)
    values["augment"] = {"copies": 0, "steps": list(steps), **augment}
    return checked(values, PARAMS_FILE)


def test_a_step_that_adds_copies_needs_no_feature_of_its_own_and_copies_to_add_to() -> None:
    assert augmented("oversample").augment.writes_copies
    assert augmented("oversample", when="during", copies=1).augment.makes_copies
    with pytest.raises(UsageError) as error:
        augmented("oversample", when="during")
    assert str(error.value) == (
        "params.yaml: augment.steps.0 oversample: adds copies to those that an epoch makes in the place of the rows, "
        "which are augment.copies: 0; set augment.copies to 1, or augment.when to before"
    )


def test_a_step_that_adds_copies_by_class_is_refused_where_the_target_is_a_number() -> None:
    recipe = augmented("oversample", copies=1)
    [chosen] = [each for each in choices(recipe) if each.slot is AUGMENTATION]

    with pytest.raises(
        UsageError, match=r"^augment\.steps\.0 oversample: adds copies of rows by their class, and a tar"
    ):
        require_fit(chosen, of_number(recipe))


def test_noise_of_numbers_is_refused_where_there_are_none() -> None:
    with pytest.raises(UsageError, match="jitter: changes features of kind number, of which the recipe has none"):
        augmented({"name": "jitter", "settings": {"deviation": 0.1}}, copies=1)
