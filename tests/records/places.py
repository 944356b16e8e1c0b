"""Every place in a record where its file may be wrong, and its JSON with one such place changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.records.record import Record

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A field of a record, or of one in it: its path in the JSON, and what is declared of it."""

    path: Path
    value: Any
    is_required: bool
    is_free: bool  # any JSON may stand there

    def __str__(self) -> str:
        return ".".join(map(str, self.path))


def places(record: Record, above: Path = ()) -> Iterator[Place]:
    """Return the fields of a record and of all records in it."""
    for name, field in type(record).model_fields.items():
        path = (*above, field.serialization_alias or name)
        value = getattr(record, name)
        yield Place(path, value, field.is_required(), field.annotation is Any)
        for step, inner in _inner(value):
            if isinstance(inner, Record):
                yield from places(inner, (*path, *step))


def records_in(record: Record, above: Path = ()) -> Iterator[tuple[Path, Record]]:
    """Return a record and all records in it, each with its path in the JSON."""
    yield above, record
    for name, field in type(record).model_fields.items():
        for step, inner in _inner(getattr(record, name)):
            if isinstance(inner, Record):
                yield from records_in(inner, (*above, field.serialization_alias or name, *step))


def numbers(value: Any, above: Path = ()) -> Iterator[Path]:
    """Return where in a JSON value a number stands that has a fraction."""
    if isinstance(value, float):
        yield above
    for step, inner in _inner(value):
        if step:
            yield from numbers(inner, (*above, *step))


def with_changed(value: Any, path: Path, change: Callable[[Any, Any], None]) -> Any:
    """Return a copy of a JSON value in which `change(container, key)` was called for one place."""
    changed = copy.deepcopy(value)
    container = changed
    for step in path[:-1]:
        container = container[step]
    change(container, path[-1])
    return changed


def _inner(value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        yield from (((key,), inner) for key, inner in value.items())
    elif isinstance(value, list | tuple):
        yield from (((index,), inner) for index, inner in enumerate(value))
    else:
        yield (), value
