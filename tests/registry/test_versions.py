"""What the registry knows of a version, read from its tags."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import DataError
from pipeline.records.identity import Identity
from pipeline.registry import versions
from pipeline.registry.versions import Version, history_tag, identity_tag

PROMOTED = {"event": "promoted", "at_utc": "1", "by": "ann"}


def version(**tags: str) -> Version:
    kept = {versions.PREFIX + name: value for name, value in tags.items()}
    return Version("pets", 2, "2026-11-01T00:00:00Z", "run", kept, ("champion",))


def test_a_version_is_known_by_the_digest_of_its_model() -> None:
    assert version(digest="sha256:new").identity == Identity(name="pets", version=2, digest="sha256:new")


def test_a_version_that_ratchet_did_not_register_has_no_digest_and_no_outcome() -> None:
    assert (version().digest, version().outcome, version().metrics, version().history) == ("", "", {}, [])


@pytest.mark.parametrize("champion", [None, Identity(name="pets", version=1, digest="sha256:old")])
def test_whom_a_version_replaced_is_read_as_it_was_written(champion: Identity | None) -> None:
    assert version(met=identity_tag(champion)).replaced == champion


def test_a_tag_that_is_not_one_names_nobody() -> None:
    assert version(met="nobody sha256:old").replaced is None


@pytest.mark.parametrize("tag", ["metrics", "history"])
def test_a_tag_that_was_changed_by_hand_is_named(tag: str) -> None:
    damaged = version(**{tag: "{"})
    with pytest.raises(DataError, match=rf"pets v2: tag ratchet\.{tag} is not JSON"):
        getattr(damaged, tag)


@pytest.mark.parametrize("text", ["{", "{}", "7", '[{"device": "tpu"}]', "[7]"])
def test_what_it_was_computed_on_is_not_known_where_the_tag_is_damaged(text: str) -> None:
    assert version(computed_on=text).computed_on == ()


def test_the_json_of_a_version_shows_where_it_came_from_but_not_where_it_lies() -> None:
    shown = version(
        digest="d",
        git_commit="c0ffee",
        recipe_digest="r",
        met="1 sha256:old",
        run="x",
        photograph="sha256:0a",
        device="gpu",
        computed_on="[]",
    ).to_json()
    assert shown["lineage"] == {
        "computed_on": "[]",
        "device": "gpu",
        "git_commit": "c0ffee",
        "photograph": "sha256:0a",
        "recipe_digest": "r",
        "run": "x",
    }
    assert shown["met"] == {"name": "pets", "version": 1, "digest": "sha256:old"}
    assert not {"source", "location"} & shown.keys()


def test_the_same_event_twice_in_a_row_is_told_once() -> None:
    once = history_tag([], PROMOTED)
    assert json.loads(history_tag(json.loads(once), {**PROMOTED, "at_utc": "2"})) == [PROMOTED]


def test_an_event_by_another_person_is_told_too() -> None:
    bobs = {**PROMOTED, "at_utc": "2", "by": "bob"}
    assert json.loads(history_tag([PROMOTED], bobs)) == [PROMOTED, bobs]


def test_an_event_that_comes_back_after_another_is_told_again() -> None:
    restored = {**PROMOTED, "event": "restored"}
    assert len(json.loads(history_tag([PROMOTED, restored], PROMOTED))) == 3


def test_moments_are_utc_to_the_second() -> None:
    assert versions.as_utc(1_764_000_000_999) == "2025-11-24T16:00:00Z"
