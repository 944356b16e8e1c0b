"""The trigger form: one field a recipe key, checked by Airflow's own Param."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from dags import form
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import dotted_keys
from tests.dags.conftest import ROOT
from tests.dags.form_values import MEGABYTE, param, recipe

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def test_every_key_of_the_recipe_is_a_field_and_so_are_the_runs_own_questions() -> None:
    keys = dotted_keys(Recipe)
    leaves = {key for key in keys if not any(other.startswith(f"{key}.") for other in keys)}
    assert set(form.fields(recipe())) == leaves | {"reason", "force", "overrides"}


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
        ("train.optimizer", "sgd"),
        ("train.learning_rate", 100),
        ("augment.shift", 0.999),
        ("data.image.channels", 3),
        ("ingest.as_of", "2026-11-22"),
        ("ingest.as_of", None),
        ("gate.minimum.auc", None),
        ("gate.minimum.mcc", -1),
        ("data.classes", ["cat", "dog"]),
        ("model.settings", {"dense": 8}),
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
        ("train.optimizer", None),
        ("name", 3),
        ("model.settings", "dense=8"),
        ("data.classes", "cat, dog"),
        ("data.classes", ["cat", 3]),
        ("force", "yes"),
        ("overrides", "train.epochs=3"),
        # out of range
        ("train.epochs", 0),
        ("train.epochs", 10_001),
        ("train.learning_rate", 0),
        ("augment.flip", 1.01),
        ("augment.shift", 1),
        ("gate.champion.confidence", 0.5),
        ("gate.champion.confidence", float("inf")),
        ("gate.minimum.mcc", -1.01),
        ("seed", 2**63),
        ("data.classes", ["cat"]),
        ("data.path", ""),
        # not one of the choices
        ("train.optimizer", "adamm"),
        ("split.method", ""),
        ("data.image.channels", 2),
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
