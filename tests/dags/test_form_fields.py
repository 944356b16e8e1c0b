"""The trigger form: one field a recipe key, checked by Airflow's own Param."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pydantic
import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from dags import form
from pipeline.recipe.recipe import OPTIMIZER
from pipeline.recipe.resolving import complete
from pipeline.recipe.settings import Settings
from tests.dags.conftest import ROOT
from tests.dags.form_values import MEGABYTE, param, recipe, recipe_with

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def leaves(values: Any, key: str = "") -> list[str]:
    """The keys of a complete recipe's values; those of a free mapping, and a list of plain values, are one."""
    if key.endswith(".settings") and values == {}:
        return []
    if key in ("gate.minimum", "gate.maximum", "gate.slices") or not values:
        return [key]
    if isinstance(values, dict):
        return [leaf for name, inner in values.items() for leaf in leaves(inner, f"{key}.{name}".strip("."))]
    if isinstance(values, list) and isinstance(values[0], dict):
        return [leaf for number, inner in enumerate(values) for leaf in leaves(inner, f"{key}.{number}")]
    return [key]


@pytest.mark.parametrize("steps", [None, [], ["warp", "warp"]], ids=["as shipped", "no steps", "two steps"])
def test_every_value_of_the_complete_recipe_is_a_field_and_so_are_the_runs_own_questions(steps: Any) -> None:
    made = recipe() if steps is None else recipe_with({"augment.steps": steps})
    assert [*form.fields(made)] == ["reason", "force", "overrides", *leaves(complete(made))]


def test_a_slot_offers_the_files_of_its_folder_and_the_settings_of_the_one_in_use() -> None:
    fields = form.fields(recipe_with({"train.optimizer": "momentum"}))
    assert fields["train.optimizer.name"].default == "momentum"
    assert fields["train.optimizer.name"].schema["enum"] == OPTIMIZER.names()
    settings = [key for key in fields if key.startswith("train.optimizer.settings.")]
    assert settings == ["train.optimizer.settings.momentum", "train.optimizer.settings.weight_decay"]


class Inner(Settings):
    """A group within a setting."""

    a: int = 1


class Typed(Settings):
    """Settings of every type that a slot's file may declare."""

    either: int | list[str] = pydantic.Field(default=3, description="a number, or names")
    maybe: int | str | None = None
    one: int | None = pydantic.Field(default=None, ge=1)
    word: Literal["a", "b"] | None = None
    pair: tuple[int, float] = pydantic.Field(default=(1, 0.5), strict=False)
    group: Inner = Inner()
    maybe_group: Inner | None = None
    groups: tuple[Inner, ...] = pydantic.Field(default=(), strict=False)
    by_name: dict[str, float] = pydantic.Field(default_factory=dict)
    itself: Typed | None = None


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The form of a recipe whose optimizer has these settings."""
    monkeypatch.setattr(OPTIMIZER.member("sgd"), "Settings", Typed)
    return form.fields(recipe_with({"train.optimizer": "sgd"}))


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("either", [3, ["a"]], [None, 2.5, "x", [3]]),
        ("maybe", [3, "x", None], [2.5, [1]]),
        ("one", [None, 1], [0, "x"]),
        ("word", [None, "a"], ["c", 3]),
        ("pair", [[1, 0.5]], [[1], ["x", 1], 3]),
        ("group.a", [1], [None, "x"]),
        ("maybe_group", [None, {"a": 1}], [3, {"a": "x"}]),
        ("groups", [[], [{"a": 1}]], [3, [3]]),
        ("by_name", [{}, {"x": 0.5}], [3, {"x": "y"}]),
        ("itself", [None, {"either": 3}], [3]),
    ],
)
def test_a_setting_of_any_type_is_a_field_that_airflow_checks(
    typed: Any, name: str, accepted: list[Any], refused: list[Any]
) -> None:
    field = typed[f"train.optimizer.settings.{name}"]
    box = Param(field.default, description=field.description, **field.schema)
    assert box.resolve() == field.default
    assert [box.resolve(value) for value in accepted] == accepted
    for value in refused:
        with pytest.raises(ParamValidationError):
            box.resolve(value)


def test_a_union_is_not_taken_for_its_first_member(typed: Any) -> None:
    field = typed["train.optimizer.settings.either"]
    assert [each["type"] for each in field.schema["anyOf"]] == ["integer", "array"]
    assert field.description == "a number, or names"


def test_a_field_shows_the_recipes_value_its_meaning_and_its_place() -> None:
    epochs = form.fields(recipe())["train.epochs"]
    assert (epochs.default, epochs.description) == (recipe().train.epochs, "passes over the training part")
    assert (epochs.schema["title"], epochs.schema["section"]) == ("train.epochs", "train")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_what_every_shipped_config_says_is_accepted_by_its_own_form(config: Path) -> None:
    for key, field in form.fields(recipe(config)).items():
        assert Param(field.default, **field.schema).resolve() == field.default, key
    assert form.fields(recipe(config))["data.path"].default == recipe(config).data.path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.epochs", 1),
        ("train.epochs", 10_000),
        ("train.optimizer.name", "sgd"),
        ("train.optimizer.settings.beta_1", 0.999),
        ("train.learning_rate", 100),
        ("augment.steps.0.settings.shift", 0.999),
        ("augment.steps.0.name", "noise"),
        ("data.features.image.settings.channels", 3),
        ("ingest.as_of", "2026-11-22"),
        ("ingest.as_of", None),
        ("gate.minimum", {}),
        ("gate.minimum", {"mcc": -1, "auc": 0.9}),
        ("gate.minimum", {"accuracy": {"none": "no labels yet"}}),
        ("gate.slices", {"class": {"bag": {"minimum": {"recall": 0.7}}}}),
        ("gate.rule.name", "margin"),
        ("gate.rule.settings.total_margin", 0.02),
        ("gate.rule.settings.total_margin", {"none": "a new sensor"}),
        ("gate.rule.settings.slice_margins", {"class": {"bag": 0.1}}),
        ("data.classes", ["cat", "dog"]),
        ("model.settings.filters", [8]),
        ("reason", None),
        ("force", True),
        ("overrides", None),
        ("overrides", ["model.settings.dense=8"]),
    ],
)
def test_a_value_in_range_is_accepted(key: str, value: object) -> None:
    assert param(key).resolve(value) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        # of another type
        ("train.epochs", "3"),
        ("train.epochs", 2.5),
        ("train.epochs", True),
        ("train.epochs", None),
        ("train.learning_rate", "0.1"),
        ("train.optimizer.name", None),
        ("name", 3),
        ("model.settings.filters", "8"),
        ("model.settings.filters", ["8"]),
        ("gate.minimum", 0.9),
        ("gate.minimum", {"accuracy": "x"}),
        ("gate.minimum", {"accuracy": {"none": ""}}),
        ("gate.rule.settings.total_margin", 0),
        ("gate.rule.settings.total_margin", {}),
        ("gate.slices", {"class": {"bag": {"minimum": 3}}}),
        ("gate.slices", {"class": {"bag": {"least": {}}}}),
        ("data.classes", "cat, dog"),
        ("data.classes", ["cat", 3]),
        ("force", "yes"),
        ("overrides", "train.epochs=3"),
        # out of range
        ("train.epochs", 0),
        ("train.epochs", 10_001),
        ("train.learning_rate", 0),
        ("augment.steps.0.settings.flip", 1.01),
        ("augment.steps.0.settings.shift", 1),
        ("train.optimizer.settings.beta_1", 1),
        ("gate.confidence", 0.5),
        ("gate.confidence", float("inf")),
        ("seed", 2**63),
        ("data.classes", ["cat"]),
        ("data.path", ""),
        # not one of the choices
        ("train.optimizer.name", "adamm"),
        ("augment.steps.1.name", "flip"),
        ("split.method", ""),
        ("data.features.image.settings.channels", 2),
        # no such form of text
        ("name", "Fashion"),
        ("name", "x" * 64),
        ("ingest.as_of", "yesterday"),
        ("ingest.as_of", "2026-13-01"),
        # without an end
        ("data.path", MEGABYTE),
        ("data.contracts", MEGABYTE),
        ("data.classes", ["cat", MEGABYTE]),
        ("model.name", MEGABYTE),
        ("reason", MEGABYTE),
        ("overrides", [MEGABYTE]),
        ("overrides", ["train.epochs=3"] * 101),
    ],
    ids=lambda value: f"{value!s:.24}",
)
def test_any_other_value_is_refused(key: str, value: object) -> None:
    with pytest.raises(ParamValidationError):
        param(key).resolve(value)


def test_every_text_of_the_form_has_an_end() -> None:
    def texts(schema: Any) -> list[Any]:
        inner = texts(schema["items"]) if "items" in schema else []
        is_free_text = "string" in schema.get("type", ()) and "enum" not in schema
        return [schema, *inner] if is_free_text else inner

    found = {key: texts(field.schema) for key, field in form.fields(recipe()).items()}
    assert found["data.path"]
    assert found["data.classes"]
    assert all("maxLength" in schema for schemas in found.values() for schema in schemas)


def test_reading_the_form_twice_gives_the_same_form() -> None:
    assert form.fields(recipe()) == form.fields(recipe())


@pytest.mark.parametrize("text", ["{{ 1 }}", "$(touch injected)", "; rm -rf /", "a\nb"])
def test_injected_text_is_no_name_of_a_model(text: str) -> None:
    for key in ("name", "model.name"):
        with pytest.raises(ParamValidationError):
            param(key).resolve(text)
