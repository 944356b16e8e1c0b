"""The JSON schema of one field of settings, as Airflow's `Param` takes it. No Airflow here.

Pydantic writes the schema of a whole class at once, which for a recipe takes as long as all else that a parse does with
it. So fields of plain types with bounds, which nearly all are, are written here, and pydantic writes the others.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union

from pydantic import BaseModel, Discriminator, Tag
from pydantic.fields import FieldInfo

from pipeline.recipe.settings import Settings

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_BOUNDS = {  # what annotated_types and pydantic call a bound, and what JSON Schema calls it
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}
_NO_BOUNDS = {"strict", "allow_inf_nan"}  # the resolver's business
_BY_NAME = ("properties", "patternProperties")
_DEEPEST = 20  # schemas in each other: a type that holds itself has no end


def schema_of(kind: type[BaseModel], name: str) -> Mapping[str, Any]:
    """Return a field's schema with its references resolved, and `X or null` as one type."""
    schema: Mapping[str, Any] = _plain(kind.model_fields[name]) or _by_pydantic(kind)["properties"][name]
    return schema


def _plain(info: FieldInfo) -> dict[str, Any] | None:
    """Return the schema of a field of plain types, and of lists and mappings of them; None for any other."""
    schema = _of_type(info.annotation, info.metadata)
    if schema is None or callable(info.json_schema_extra):
        return None
    schema |= info.json_schema_extra or {}
    return {**schema, "description": info.description} if info.description else schema


def _of_type(kind: Any, marks: Iterable[Any]) -> dict[str, Any] | None:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        of_inner = [mark for each in inner[1:] for mark in (each.metadata if isinstance(each, FieldInfo) else [each])]
        return _of_type(inner[0], [*of_inner, *marks])
    schema: dict[str, Any] | None = None
    lengths = "Length"
    if kind in _TYPES:
        schema = {"type": _TYPES[kind]}
    elif origin is typing.Literal and len(inner) > 1 and len({type(word) for word in inner} & {str, int}) == 1:
        schema = {"type": _TYPES[type(inner[0])], "enum": list(inner)}
    elif origin is tuple and inner[1:] == (...,) and (items := _of_type(inner[0], ())):
        schema, lengths = {"type": "array", "items": items}, "Items"
    elif origin is dict and inner[0] is str and (values := _of_type(inner[1], ())):
        schema, lengths = {"type": "object", "additionalProperties": values}, "Properties"
    elif isinstance(kind, type) and issubclass(kind, Settings):
        schema = _of_group(kind)
    elif isinstance(kind, UnionType) and len(inner) == 2 and inner[1] is NoneType and inner[0] is str:
        schema = {"type": ["string", "null"]}
    elif origin in (Union, UnionType) and NoneType not in inner:
        members = [_of_type(each, ()) for each in inner]
        schema = None if None in members else {"anyOf": members}
    return schema if schema is not None and _bound(schema, marks, lengths) else None


def _of_group(kind: type[Settings]) -> dict[str, Any] | None:
    own = {name: _plain(info) for name, info in kind.model_fields.items()}
    required = [name for name, info in kind.model_fields.items() if info.is_required()]
    schema = {"type": "object", "properties": own, "additionalProperties": False}
    return None if None in own.values() else {**schema, "required": required} if required else schema


def _bound(schema: dict[str, Any], marks: Iterable[Any], lengths: str) -> bool:
    """Add the bounds that marks on a type say; return whether all that they say is known here."""
    for mark in marks:
        if isinstance(mark, Tag | Discriminator):  # which of a union's types a value is
            continue
        names = [name for name in (*_BOUNDS, *_NO_BOUNDS) if getattr(mark, name, None) is not None]
        if not names:
            return False
        schema |= {_BOUNDS[name].replace("Length", lengths): getattr(mark, name) for name in names if name in _BOUNDS}
    return True


@cache
def _by_pydantic(kind: type[BaseModel]) -> Mapping[str, Any]:
    whole = kind.model_json_schema()
    resolved: Mapping[str, Any] = _resolved(whole, whole, 0)
    return resolved


def _resolved(whole: Mapping[str, Any], schema: Any, depth: int) -> Any:
    if isinstance(schema, list):
        return [_resolved(whole, each, depth) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    own = {word: value for word, value in schema.items() if word not in ("$defs", "$ref", "discriminator")}
    if "$ref" in schema:
        if depth > _DEEPEST:
            return {}  # whatever it is: the resolver checks it
        own = {**whole["$defs"][schema["$ref"].rpartition("/")[2]], **own}
    if "oneOf" in own:
        own["anyOf"] = own.pop("oneOf")
    own = {
        word: {name: _resolved(whole, inner, depth + 1) for name, inner in value.items()}
        if word in _BY_NAME
        else _resolved(whole, value, depth + 1)
        if word not in ("enum", "const", "default", "required", "type")
        else value
        for word, value in own.items()
    }
    return _without_union_of_one(own)


def _without_union_of_one(own: dict[str, Any]) -> dict[str, Any]:
    """Return a schema in which `X or null` is X whose type may be null too; other unions stay."""
    members = own.get("anyOf", [])
    real = [member for member in members if member.get("type") != "null"]
    if len(real) != 1 or not types_in(real[0]):
        return own
    one = {**real[0], **{word: value for word, value in own.items() if word != "anyOf"}}
    if len(real) < len(members):
        one["type"] = [*types_in(real[0]), "null"]
        if "enum" in one:
            one["enum"] = [*one["enum"], None]
    return one


def types_in(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema allows; none if it does not say."""
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)
