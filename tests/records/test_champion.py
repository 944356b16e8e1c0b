"""The champion to be met, as every Ratchet has written it."""

from __future__ import annotations

import pytest

from pipeline.errors import DataError
from pipeline.records.champion import Champion
from tests.records.examples import IDENTITY

VERSION_1 = {"champion": IDENTITY.to_json(), "registry": "local", "problem": None}


def test_it_is_written_in_version_3() -> None:
    assert Champion(identity=IDENTITY, registry="local").to_json() == {
        "record_version": 3,
        "identity": IDENTITY.to_json(),
        "registry": "local",
        "problem": None,
        "computed_on": [],
    }


def test_version_2_is_read() -> None:
    written = {"record_version": 2, "identity": IDENTITY.to_json(), "registry": "local", "problem": None}
    assert Champion.from_json(written, "x.json") == Champion(identity=IDENTITY, registry="local")


def test_version_1_is_read() -> None:
    assert Champion.from_json(VERSION_1, "x.json") == Champion(identity=IDENTITY, registry="local")


def test_version_1_without_a_champion_is_read() -> None:
    assert Champion.from_json({**VERSION_1, "champion": None}, "x.json").identity is None


def test_the_name_of_version_1_is_unknown_since_version_2() -> None:
    with pytest.raises(DataError, match=r"x\.json: identity: is missing"):
        Champion.from_json({**VERSION_1, "record_version": 2}, "x.json")


def test_version_1_without_its_champion_is_refused() -> None:
    with pytest.raises(DataError, match=r"x\.json: identity: is missing"):
        Champion.from_json({"registry": "local", "problem": None}, "x.json")


def test_a_later_version_is_refused_in_words() -> None:
    with pytest.raises(DataError, match=r"x\.json: written by a later Ratchet \(record_version 4\)"):
        Champion.from_json({**VERSION_1, "record_version": 4}, "x.json")
