"""The form of the shipped recipe: its fields, filled in, and the recipe that comes of what was asked."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from airflow.sdk import Param

from dags import form
from pipeline.recipe.changing import apply_overrides
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.resolving import checked
from tests.dags.conftest import ROOT

MEGABYTE = "x" * 10**6


@cache
def recipe(config: Path | None = None) -> Recipe:
    layers = recipe_layers(ROOT, str(config.relative_to(ROOT)) if config else "")
    return checked(layers.values, layers.where)


def param(key: str) -> Param:
    field = form.fields(recipe())[key]
    return Param(field.default, description=field.description, **field.schema)


def filled_in(**changes: Any) -> dict[str, Any]:
    """The form as Airflow hands it to a task: every field, with what somebody has changed."""
    values = {key: field.default for key, field in form.fields(recipe()).items()}
    return values | {key.replace("__", "."): value for key, value in changes.items()}


def recipe_with(changes: dict[str, Any]) -> Recipe:
    """The recipe as `runs open` makes it from what was asked."""
    return checked(apply_overrides(shipped(), changes, "override"), "params.yaml")


@cache
def shipped() -> dict[str, Any]:
    return recipe_layers(ROOT).values


def asked(**changes: Any) -> dict[str, Any]:
    return form.changes(filled_in(**changes), recipe(), {})


def asked_by_conf(conf: dict[str, Any]) -> dict[str, Any]:
    """What a trigger through the REST API asks for: Airflow lays its conf over the form, keys of no field included."""
    return form.changes(filled_in() | conf, recipe(), conf)
