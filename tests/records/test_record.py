"""The base of all records: versions, and how one is made of another."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.records.identity import Identity
from pipeline.records.record import Record

JSON = {"name": "digits", "version": 3, "digest": "sha256:0a"}


class Moved(Record):
    """A record whose field `there` was called `here` in version 1."""

    VERSION: ClassVar[int] = 2
    there: int

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        return {"there": values["here"]} if version == 1 else values


def test_a_first_version_is_not_written() -> None:
    assert Identity(**JSON).to_json() == JSON  # type: ignore[arg-type]


def test_a_later_version_is_written_first() -> None:
    assert list(Moved(there=1).to_json().items()) == [("record_version", 2), ("there", 1)]


def test_an_earlier_version_is_read() -> None:
    assert Moved.from_json({"here": 1}, "x.json") == Moved(there=1)


def test_the_version_of_today_is_read_as_it_is() -> None:
    assert Moved.from_json({"record_version": 2, "there": 1}, "x.json") == Moved(there=1)


def test_a_field_of_an_earlier_version_is_unknown_in_a_later_one() -> None:
    with pytest.raises(DataError, match=r"x\.json: there: is missing"):
        Moved.from_json({"record_version": 2, "here": 1}, "x.json")


def test_a_later_ratchets_record_says_what_to_do() -> None:
    with pytest.raises(DataError) as caught:
        Moved.from_json({"record_version": 3, "elsewhere": 1}, "x.json")
    assert str(caught.value) == "x.json: written by a later Ratchet (record_version 3); use that one, or update"


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True, None, [1]])
def test_a_version_that_is_no_whole_number_above_zero_is_refused(version: object) -> None:
    with pytest.raises(DataError, match=r"x\.json: record_version is .*, not a whole number above 0"):
        Identity.from_json({**JSON, "record_version": version}, "x.json")


def test_text_is_not_taken_for_a_number() -> None:
    with pytest.raises(DataError, match=r"x\.json: version: a whole number is needed; make it again"):
        Identity.from_json({**JSON, "version": "3"}, "x.json")


def test_reading_leaves_the_json_as_it_was() -> None:
    value = {"here": 1}
    Moved.from_json(value, "x.json")
    assert value == {"here": 1}


def test_a_changed_record_keeps_its_other_values() -> None:
    assert Identity.model_validate(JSON).changed(version=4) == Identity.model_validate({**JSON, "version": 4})


@pytest.mark.parametrize("values", [{"version": "four"}, {"versoin": 4}])
def test_a_record_is_not_changed_into_what_it_cannot_be(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Identity.model_validate(JSON).changed(**values)
