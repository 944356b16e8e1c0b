"""The model beside the champion: when it is taken, when not, and when its role ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import TryAgain
from pipeline.records.following import FOLLOWER_FILE, FollowedChallenger, Following
from pipeline.records.served_model import ServedModel
from pipeline.serving.challenger import difference
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel
from pipeline.serving.models import Models
from pipeline.serving.pointers import CHALLENGER_POINTER, point_away, point_to
from pipeline.storage.artifacts import write_json
from tests.serving import made
from tests.serving.running import Kept
from tests.serving.test_models import loaded


def plain(root: Path, champion: dict[str, Any], challenger: dict[str, Any]) -> Models:
    """The models of a service with two served folders, after a look at both."""
    first = made.folder(root / "one", champion.pop("kinds", made.TABLE), **champion)
    second = made.folder(root / "two", challenger.pop("kinds", made.TABLE), **challenger)
    found = Models(first, Metrics(), Kept(), loaded, challenger=second)
    found.open()
    found.look()
    return found


def followed(root: Path, metrics: Metrics | None = None, *, challenger: Path | bool = True) -> Models:
    """The models of a followed folder with the champion v1."""
    made.folder(root / "v1", made.TABLE, version=1)
    point_to(root, "v1")
    found = Models(root, metrics or Metrics(), Kept(), loaded, challenger)
    found.open()
    found.look()
    return found


def versions(models: Models) -> tuple[str | None, str | None]:
    taken = models.challenger.taken
    return models.current.version if models.current else None, taken.model.version if taken else None


def test_a_challenger_is_taken_beside_the_champion(tmp_path: Path) -> None:
    found = plain(tmp_path, {"version": 3}, {"version": 4})
    assert versions(found) == ("3", "4")
    assert found.current is not None
    assert found.challenger.beside(found.current) is not None
    assert found.may_answer  # a person has named its folder
    assert found.why_no_challenger == ""


@pytest.mark.parametrize(
    ("challenger", "why"),
    [
        ({"version": 4, "wrong": 0.5}, "zoo v4 fails its golden rows"),
        ({"version": 4, "kinds": made.TEXT}, "other features than the champion: body, carrier, distance differ"),
        ({"version": 4, "classes": ("cat", "hen", "dog")}, "other classes than the champion"),
        ({"version": 4, "classes": ()}, "it answers with prediction (regression), the champion with probabilities"),
        ({"version": 3}, "it is the champion"),
    ],
)
def test_one_that_cannot_answer_in_its_place_is_not_taken_and_the_champion_goes_on(
    tmp_path: Path, challenger: dict[str, Any], why: str
) -> None:
    found = plain(tmp_path, {"version": 3}, challenger)
    assert versions(found) == ("3", None)
    assert why in found.why_no_challenger
    assert str(tmp_path) not in found.why_no_challenger


def test_swapped_bytes_and_folders_that_are_none_are_not_taken(tmp_path: Path) -> None:
    first, second = made.folder(tmp_path / "one", made.TABLE), made.folder(tmp_path / "two", made.TABLE, version=4)
    (second / "saved_model/1/saved_model.pb").write_bytes(b"another")
    for folder in (second, tmp_path / "nowhere", tmp_path):
        found = Models(first, metrics := Metrics(), log := Kept(), loaded, challenger=folder)
        found.open()
        found.look()
        assert versions(found) == ("3", None)
        assert found.why_no_challenger
        assert b"ratchet_challenger_refused 1.0" in text_of(metrics)
        assert [line["event"] for line in log.lines] == ["model taken", "challenger refused"]


def text_of(metrics: Metrics) -> bytes:
    return metrics.text(model=None, queued_rows=0, rows_per_s=0, bodies_bytes=0, following=None)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"name": "park"}, "a version of park, the champion one of zoo"),
        ({"version": 3, "digest": "sha256:" + "1" * 64}, "the champion's version number, 3"),
        ({"unit": "h"}, "it answers in 'h', the champion in 'min'"),
        ({"task": "ranking"}, "it answers with prediction (ranking)"),
        ({}, ""),
    ],
)
def test_what_differs_is_said(values: dict[str, Any], why: str) -> None:
    champion = made.record(made.TABLE, classes=())
    challenger: ServedModel = made.record(made.TABLE, classes=(), version=4).changed(**values)
    found = difference(champion, challenger)
    assert bool(found) == bool(why)
    assert why in found


def test_a_followed_challenger_comes_and_goes_with_its_pointer(tmp_path: Path) -> None:
    found = followed(tmp_path)
    assert versions(found) == ("1", None)
    made.folder(tmp_path / "v2", made.TABLE, version=2)
    point_to(tmp_path, "v2", CHALLENGER_POINTER)
    found.look()
    assert versions(found) == ("1", "2")
    point_away(tmp_path, CHALLENGER_POINTER)
    point_away(tmp_path, CHALLENGER_POINTER)
    found.look()
    assert versions(found) == ("1", None)


def test_a_service_that_wants_none_loads_none(tmp_path: Path) -> None:
    made.folder(tmp_path / "v2", made.TABLE, version=2)
    point_to(tmp_path, "v2", CHALLENGER_POINTER)
    found = followed(tmp_path, challenger=False)
    assert versions(found) == ("1", None)
    assert not found.has_challenger


@pytest.mark.long
def test_when_the_challenger_becomes_champion_its_role_ends(tmp_path: Path) -> None:
    metrics = Metrics()
    found = followed(tmp_path, metrics)
    made.folder(tmp_path / "v2", made.TABLE, version=2)
    point_to(tmp_path, "v2", CHALLENGER_POINTER)
    found.look()
    assert b'ratchet_challenger{digest="' in text_of(metrics)
    point_to(tmp_path, "v2")
    found.look()
    assert versions(found) == ("2", None)
    assert found.why_no_challenger == "it is the champion"
    assert b'ratchet_challenger{digest="' not in text_of(metrics)
    assert b"ratchet_challenger_refused 0.0" in text_of(metrics)


@pytest.mark.long
def test_it_stays_beside_the_next_champion_if_it_can_answer_in_that_ones_place(tmp_path: Path) -> None:
    found = followed(tmp_path)
    made.folder(tmp_path / "v2", made.TABLE, version=2)
    point_to(tmp_path, "v2", CHALLENGER_POINTER)
    found.look()
    before = found.current
    assert before is not None
    assert found.challenger.taken is not None
    model = found.challenger.taken.model
    made.folder(tmp_path / "v3", made.TABLE, version=3)
    point_to(tmp_path, "v3")
    found.look()
    assert found.current is not None
    assert found.challenger.beside(found.current) is model  # not loaded again
    assert found.challenger.beside(before) is None
    made.folder(tmp_path / "v4", made.TEXT, version=4)
    point_to(tmp_path, "v4")
    found.look()
    assert versions(found) == ("4", None)
    assert "other features" in found.why_no_challenger


@pytest.mark.long
def test_a_challenger_makes_room_for_a_champion_that_needs_its_memory(tmp_path: Path) -> None:
    found = followed(tmp_path)
    made.folder(tmp_path / "v2", made.TABLE, version=2)
    point_to(tmp_path, "v2", CHALLENGER_POINTER)
    found.look()
    asked: list[str] = []

    def crowded(folder: Path) -> LoadedModel:
        asked.append(folder.name)
        if found.challenger.taken is not None or folder.name == "v2":
            raise TryAgain("zoo needs more memory than is free")
        return loaded(folder)

    found._loading = found.challenger._loading = crowded
    made.folder(tmp_path / "v3", made.TABLE, version=3)
    point_to(tmp_path, "v3")
    found.look()
    assert asked == ["v3", "v3", "v2"]
    assert versions(found) == ("3", None)
    assert found.refused is None
    assert "more memory" in found.why_no_challenger


def said(root: Path, version: int, *, may_answer: bool) -> None:
    """Write what a follower has found."""
    challenger = FollowedChallenger(state="following", version=version, may_answer=may_answer)
    found = Following(state="following", version=1, looked_at_s=1.0, challenger=challenger)
    write_json(root / FOLLOWER_FILE, found.to_json())


def test_what_the_follower_does_not_let_answer_does_not(tmp_path: Path) -> None:
    found = followed(tmp_path)
    made.folder(tmp_path / "v2", made.TABLE, version=2)
    point_to(tmp_path, "v2", CHALLENGER_POINTER)
    found.look()
    assert versions(found) == ("1", "2")
    assert not found.may_answer  # nothing is said of it
    for version, may_answer in ((2, False), (9, True)):
        said(tmp_path, version, may_answer=may_answer)
        found.following = found._followed()
        assert not found.may_answer
        assert "the gate has not let it pass" in found.why_no_challenger
    said(tmp_path, 2, may_answer=True)
    found.following = found._followed()
    assert found.may_answer


def test_why_the_follower_has_none_is_said(tmp_path: Path) -> None:
    found = followed(tmp_path)
    assert found.why_no_challenger == "none is named"
    challenger = FollowedChallenger(state="waiting", why="zoo has no version '9'")
    following = Following(state="following", version=1, looked_at_s=1.0, challenger=challenger)
    write_json(tmp_path / FOLLOWER_FILE, following.to_json())
    found.following = found._followed()
    assert found.why_no_challenger == "zoo has no version '9'"
