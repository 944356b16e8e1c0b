"""The schema of a field is pydantic's own, whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pydantic
import pytest
from pydantic import BaseModel

from dags import schemas
from pipeline.recipe import recipe
from pipeline.recipe.configs import Config
from pipeline.recipe.execution import Execution
from pipeline.recipe.settings import Fraction, Settings
from pipeline.recipe.slots import Slot


class Group(Settings):
    """A group."""

    a: int = 1
    b: dict[str, float] = pydantic.Field(description="by name")


class Typed(Settings):
    """Fields of the types that are written here, and of those that pydantic writes."""

    number: Annotated[int, pydantic.Field(gt=3, multiple_of=5)] = 5
    share: Fraction = 0.5
    word: str = pydantic.Field(default="a", pattern="^a", min_length=1, max_length=9, description="a word")
    maybe: str | None = pydantic.Field(default=None, pattern="^a", json_schema_extra={"format": "date"})
    maybe_number: int | None = pydantic.Field(default=None, ge=1)
    either: int | str = 3
    one: Literal["a"] = "a"
    mixed: Literal["a", 3] = "a"
    words: tuple[str, ...] = pydantic.Field(default=(), strict=False, min_length=0, max_length=3)
    numbers: tuple[Annotated[int, pydantic.Field(ge=1)], ...] = pydantic.Field(default=(), strict=False, max_length=3)
    pair: tuple[int, str] = pydantic.Field(default=(1, "a"), strict=False)
    by_name: dict[str, Annotated[float, pydantic.Field(ge=0)]] = pydantic.Field(default_factory=dict, max_length=3)
    by_names: dict[str, dict[str, int]] = pydantic.Field(default_factory=dict, min_length=0)
    by_number: dict[int, str] = pydantic.Field(default_factory=dict)
    named: dict[Annotated[str, pydantic.Field(pattern="^a")], str] = pydantic.Field(default_factory=dict)
    group: Group
    maybe_group: Group | None = None
    groups: tuple[Group, ...] = pydantic.Field(default=(), strict=False)
    extra: Annotated[int, pydantic.WithJsonSchema({"type": "integer", "x": 1})] = 3
    called: int = pydantic.Field(default=3, json_schema_extra=lambda schema: schema.update(x=1))


def groups(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield kind
    for info in kind.model_fields.values():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from groups(info.annotation)


SLOTS = [each for each in vars(recipe).values() if isinstance(each, Slot)]
MEMBERS = [slot.member(name).Settings for slot in SLOTS for name in slot.names()]
KINDS = [*groups(recipe.Recipe), *groups(Config), *groups(Execution), Typed, *MEMBERS]


def without(schema: Any, *words: str) -> Any:
    """A schema without what says nothing of a value; the words of a group within it are not shown."""
    if isinstance(schema, list):
        return [without(each, "description") for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "properties" in schema:
        properties = {name: without(inner) for name, inner in schema["properties"].items()}
        schema = {**schema, "properties": properties}
    return {
        word: value if word == "properties" else without(value, "description")
        for word, value in schema.items()
        if word not in ("default", "title", *words)
    }


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_field_has_the_schema_that_pydantic_writes(kind: type[BaseModel]) -> None:
    whole = schemas._by_pydantic(kind).get("properties", {})
    assert list(kind.model_fields) == list(whole)
    for name, info in kind.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            continue  # a group: its own fields are asked for
        expected, found = without(whole[name]), without(schemas.schema_of(kind, name))
        assert found == expected, name


def test_most_fields_of_the_recipe_are_written_here() -> None:
    plain = [schemas._plain(info) for kind in groups(recipe.Recipe) for info in kind.model_fields.values()]
    assert sum(each is not None for each in plain) > 20
