"""The trigger form: one field for each value of the complete recipe, typed by what declares it. No Airflow here.

Airflow's `Param` takes pydantic's JSON schema of a field: ranges, choices and descriptions are written once. A slot has
a field for its name, the files of its folder to choose from, and one for each setting of the file that the recipe
names. Where somebody chooses another file, the settings are those of that file: its defaults, or lines in `overrides`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from dags.schemas import schema_of, types_in
from pipeline.errors import UsageError
from pipeline.recipe.keys import is_key, meant
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.resolving import complete
from pipeline.recipe.slots import Chosen, choices
from pipeline.recipe.strict_yaml import parse_yaml_value

OVERRIDES, REASON, FORCE = "overrides", "reason", "force"
_RUN = "This run"
_KEPT = (
    "type", "enum", "const", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minLength", "maxLength", "items", "prefixItems", "minItems", "maxItems", "uniqueItems",
    "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties",
    "maxProperties", "anyOf",
)  # fmt: skip
_BY_NAME = ("properties", "patternProperties")
_LONGEST = 4096  # characters of a text that has no limit of its own


@dataclass(frozen=True)
class Field:
    """One field: its default, its meaning, and the JSON schema that refuses invalid values."""

    default: Any
    description: str
    schema: Mapping[str, Any]


def fields(recipe: Recipe) -> dict[str, Field]:
    """Return the form of a checked recipe: the fields about the run first, then every key with the recipe's value."""
    chosen = {each.key: each for each in choices(recipe)}
    return _own() | dict(_fields(Recipe, complete(recipe), "", chosen))


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
            "further changes to the recipe, KEY=VALUE, one per line: train.optimizer.settings.momentum=0.8",
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

    A trigger's `conf` may have further keys of the recipe, which are no fields: `train.optimizer`. Raises UsageError
    for one that the recipe cannot have (naming the nearest), for a free-form line that is not KEY=VALUE, and for a
    value that is not JSON: JSON Schema accepts NaN.
    """
    form = fields(recipe)
    changed = {
        key: value
        for key, value in params.items()
        if key in form and key not in (OVERRIDES, REASON, FORCE) and value != form[key].default
    }
    for key, value in conf.items():
        if key not in form:
            changed[_known(key, "conf")] = value
    for line in params.get(OVERRIDES) or ():
        key, separator, text = line.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"overrides {line!r:.80}: expected KEY=VALUE, like train.epochs=3")
        key = _known(key.strip(), "overrides")
        changed[key] = parse_yaml_value(text, f"overrides {key}")
    for key, value in changed.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise UsageError(f"{key}: a finite number or a text in quotes is needed, not {value!s:.80}") from None
    return changed


def _known(key: str, where: str) -> str:
    if not is_key(key):
        raise UsageError(f"{where} {key:.80}: unknown key{meant(key)}")
    return key


def _fields(
    kind: type[BaseModel], values: Mapping[str, Any], prefix: str, chosen: Mapping[str, Chosen]
) -> Iterator[tuple[str, Field]]:
    """Yield a field for each value of a group: of its groups, and of the choices in its mappings and lists, too."""
    for name, info in kind.model_fields.items():
        key, value, inner = prefix + name, values[name], info.annotation
        within = [each for each in chosen.values() if each.key.rpartition(".")[0] == key]
        if key in chosen:
            yield from _of_choice(chosen[key], info.description or "", value)
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, value, f"{key}.", chosen)
        elif within:
            entries = value.values() if isinstance(value, Mapping) else value
            for each, entry in zip(within, entries, strict=True):
                yield from _of_choice(each, "", entry)
        else:
            yield key, _field(key, schema_of(kind, name), value)


def _of_choice(chosen: Chosen, meaning: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    label = chosen.choice.label
    key, names = f"{chosen.key}.{label}", {"type": "string", "enum": chosen.slot.names()}
    yield key, _field(key, {**names, "description": meaning or f"a file in {chosen.slot.folder}/"}, value[label])
    yield from _fields(chosen.member().Settings, value["settings"], f"{chosen.key}.settings.", {})


def _field(key: str, schema: Mapping[str, Any], value: Any) -> Field:
    kept = {**_kept(schema), "section": key.partition(".")[0] if "." in key else "Recipe", "title": key}
    return Field(value, schema.get("description", ""), kept)


def _kept(schema: Any) -> Any:
    """Return what Airflow's check of a value needs of a schema; free text gets an end."""
    if isinstance(schema, list):
        return [_kept(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept: dict[str, Any] = {}
    for word in _KEPT:
        if word in _BY_NAME and word in schema:
            kept[word] = {name: _kept(inner) for name, inner in schema[word].items()}
        elif word in schema:
            kept[word] = _kept(schema[word]) if isinstance(schema[word], Mapping) or word == "anyOf" else schema[word]
    is_free_text = "string" in types_in(kept) and "enum" not in kept
    return {"maxLength": _LONGEST, **kept} if is_free_text else kept
