"""What holds for every record: it is read as it was written, and anything else is refused in a line that says where.

`record_kinds` finds the records by itself: one that is added is held to all of this, and fails without an example.
"""

from __future__ import annotations

import json
from operator import delitem, setitem
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.records.record import Record
from tests.records.examples import EXAMPLES, record_kinds
from tests.records.places import Path, Place, numbers, places, records_in, with_changed


def refused(kind: type[Record], value: object) -> str:
    """Return the one line that refuses a value read from `x.json`, without its beginning."""
    with pytest.raises(DataError) as caught:
        kind.from_json(value, "x.json")
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("x.json: ")
    return line.removeprefix("x.json: ")


def named(record: Record, *path: str | int) -> str:
    """Return the name of a test's case."""
    return ".".join(map(str, (type(record).__name__, *path)))


def fields(*, is_required: bool | None = None, is_free: bool | None = None) -> list[Any]:
    """Return every field of every example, of those kinds that are asked for."""
    return [
        pytest.param(record, place, id=named(record, *place.path))
        for record in EXAMPLES
        for place in places(record)
        if is_required in (None, place.is_required) and is_free in (None, place.is_free)
    ]


every_example = pytest.mark.parametrize("record", EXAMPLES, ids=named)


def test_every_record_has_an_example() -> None:
    shown = {type(record) for example in EXAMPLES for _, record in records_in(example)}
    assert sorted(kind.__name__ for kind in shown) == [kind.__name__ for kind in record_kinds()]


@pytest.mark.parametrize("kind", record_kinds(), ids=lambda kind: kind.__name__)
def test_a_field_that_a_writer_adds_and_the_reader_does_not_know_is_refused(kind: type[Record]) -> None:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate_json('{"added_by_a_writer": 1}')
    assert ("extra_forbidden", ("added_by_a_writer",)) in [
        (each["type"], each["loc"]) for each in caught.value.errors()
    ]


@every_example
def test_what_was_written_is_read_back(record: Record) -> None:
    written = json.loads(json.dumps(record.to_json(), allow_nan=False))
    assert type(record).from_json(written, "x.json") == record


@every_example
def test_what_was_read_is_written_again(record: Record) -> None:
    written = json.loads(json.dumps(record.to_json()))
    assert type(record).from_json(written, "x.json").to_json() == written


@every_example
def test_a_record_is_not_changed_once_made(record: Record) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, next(iter(type(record).model_fields)), None)


@pytest.mark.parametrize(
    ("record", "path"),
    [pytest.param(record, path, id=named(record, *path)) for record in EXAMPLES for path, _ in records_in(record)],
)
def test_an_unknown_field_is_refused_by_its_name(record: Record, path: Path) -> None:
    value = with_changed(record.to_json(), (*path, "surprise"), lambda container, key: setitem(container, key, 1))
    assert refused(type(record), value).startswith(".".join(map(str, (*path, "surprise: "))))


@pytest.mark.parametrize(("record", "place"), fields(is_required=True))
def test_a_missing_field_is_refused_by_its_name(record: Record, place: Place) -> None:
    value = with_changed(record.to_json(), place.path, delitem)
    assert refused(type(record), value) == f"{place}: is missing; make it again"


@pytest.mark.parametrize(("record", "place"), fields(is_free=False))
def test_a_wrong_type_is_refused_by_its_field(record: Record, place: Place) -> None:
    value = with_changed(record.to_json(), place.path, lambda container, key: setitem(container, key, [{}]))
    assert refused(type(record), value).startswith(str(place))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")], ids=str)
@pytest.mark.parametrize(
    ("record", "path"),
    [pytest.param(record, path, id=named(record, *path)) for record in EXAMPLES for path in numbers(record.to_json())],
)
def test_a_number_that_is_not_finite_is_refused_by_its_field(record: Record, path: Path, number: float) -> None:
    value = with_changed(record.to_json(), path, lambda container, key: setitem(container, key, number))
    line = refused(type(record), value)
    assert line.startswith(str(path[0]))
    assert "finite number" in line or "not finite" in line


@pytest.mark.parametrize("value", [None, [], "x", 3, True])
@every_example
def test_json_that_is_no_object_is_refused(record: Record, value: object) -> None:
    assert refused(type(record), value).startswith("must be a JSON object")


@every_example
def test_what_a_later_ratchet_wrote_is_refused_in_words(record: Record) -> None:
    value = {**record.to_json(), "record_version": record.VERSION + 1}
    assert refused(type(record), value).startswith("written by a later Ratchet")
