"""The trigger form: one field per recipe key, typed by the recipe's own classes. No Airflow here.

Airflow's `Param` takes pydantic's JSON schema of a field: ranges, choices and descriptions are written once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.errors import UsageError, nearest
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import dotted_keys, validate
from pipeline.recipe.strict_yaml import parse_yaml_value

OVERRIDES, REASON, FORCE = "overrides", "reason", "force"
_RUN = "This run"
_KEPT = (
    "type", "enum", "const", "format", "pattern", "items",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "minItems", "maxItems",
)  # fmt: skip
_LONGEST = 4096  # characters of a text that has no limit of its own


@dataclass(frozen=True)
class Field:
    """One field: its default, its meaning, and the JSON schema that refuses invalid values."""

    default: Any
    description: str
    schema: Mapping[str, Any]


def fields(recipe: Recipe) -> dict[str, Field]:
    """Return the form of a recipe: the fields about the run first, then every key with the recipe's value."""
    described = _schema()
    values = recipe.model_dump(mode="json")
    return _own() | dict(_leaves(described, described, values, "", "Recipe"))


@cache
def _schema() -> dict[str, Any]:
    return Recipe.model_json_schema()


def _own() -> dict[str, Field]:
    return {
        REASON: Field(
            "",
            "why this run; shown in its report",
            {"type": ["string", "null"], "maxLength": 2000, "section": _RUN, "title": "reason"},
        ),
        FORCE: Field(
            False, "run every stage, even what is up to date", {"type": "boolean", "section": _RUN, "title": "force"}
        ),
        OVERRIDES: Field(
            [],
            "further changes to the recipe, KEY=VALUE, one per line: model.settings.dense=128",
            {
                "type": ["array", "null"],
                "items": {"type": "string", "maxLength": 1000},
                "maxItems": 100,
                "section": _RUN,
                "title": "overrides",
            },
        ),
    }


def changes(params: Mapping[str, Any], recipe: Recipe, conf: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values, by dotted key, in which a filled-in form differs from the recipe.

    Raises UsageError for a key of the trigger's `conf` that the form does not have (naming the nearest), for a
    free-form line that is not KEY=VALUE, and for a value that is not JSON: JSON Schema accepts NaN.
    """
    form = fields(recipe)
    for key in conf:
        if key not in form:
            raise UsageError(f"conf {key:.80}: unknown key{nearest(key[:80], form)}")
    changed = {
        key: value
        for key, value in params.items()
        if key in form and key not in (OVERRIDES, REASON, FORCE) and value != form[key].default
    }
    for line in params.get(OVERRIDES) or ():
        key, separator, text = line.partition("=")
        key = key.strip()
        if not separator or not key:
            raise UsageError(f"overrides {line!r:.80}: expected KEY=VALUE, like train.epochs=3")
        if key not in dotted_keys(Recipe) and not key.startswith("model.settings."):
            raise UsageError(f"overrides {key:.80}: unknown key{nearest(key[:80], dotted_keys(Recipe))}")
        changed[key] = parse_yaml_value(text, f"overrides {key}")
    for key, value in changed.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise UsageError(f"{key}: a finite number or a text in quotes is needed, not {value!s:.80}") from None
    return changed


def recipe_of(values: Mapping[str, Any], where: str) -> Recipe:
    """Return a config's whole recipe, checked."""
    return validate(Recipe, values, where)


def _leaves(
    whole: Mapping[str, Any], schema: Mapping[str, Any], values: Mapping[str, Any], prefix: str, section: str
) -> list[tuple[str, Field]]:
    found: list[tuple[str, Field]] = []
    for name, declared in schema["properties"].items():
        own = _resolved(whole, declared)
        key = prefix + name
        if "properties" in own:
            found += _leaves(whole, own, values[name], f"{key}.", section if prefix else name)
            continue
        kept = {word: own[word] for word in _KEPT if word in own}
        if "items" in kept:
            kept["items"] = _bounded(kept["items"])
        of_key = {**_bounded(kept), "section": section, "title": key}
        found.append((key, Field(values[name], own.get("description", ""), of_key)))
    return found


def _bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that limits the length of free text."""
    is_free_text = "string" in _types(schema) and "enum" not in schema
    return {"maxLength": _LONGEST, **schema} if is_free_text else dict(schema)


def _resolved(whole: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return a property's schema with its reference resolved, and `X or null` as one type."""
    own = dict(declared)
    if "$ref" in own:
        own = {**whole["$defs"][own.pop("$ref").rpartition("/")[2]], **own}
    if "anyOf" in own:
        choices = [_resolved(whole, choice) for choice in own.pop("anyOf")]
        real = [choice for choice in choices if choice.get("type") != "null"]
        own = {**real[0], **own}
        if len(real) < len(choices):
            own["type"] = [*_types(real[0]), "null"]
            if "enum" in own:
                own["enum"] = [*own["enum"], None]
    return own


def _types(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)
