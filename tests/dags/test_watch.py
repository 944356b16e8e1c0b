"""Watching a source: only what has really changed is news."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import AssetEventResponse, AssetResponse
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import AssetEventsResult, GetAssetEventByAsset
from airflow.sdk.execution_time.context import InletEventsAccessors, OutletEventAccessors

from dags import assets, watch

NOTHING: dict[str, Any] = {}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "2026-11-01").mkdir(parents=True)
    (folder / "labels").write_bytes(b"abc")
    (folder / "2026-11-01" / "images").write_bytes(b"0123456789")
    return folder


def touch(path: Path) -> None:
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))


def test_a_first_look_is_news(source: Path) -> None:
    seen = watch.look(source, NOTHING)
    assert seen
    assert (seen["files"], seen["bytes"]) == (2, 13)
    assert seen["version"] == seen["content"] != seen["listing"]


def test_what_has_not_changed_is_no_news_and_is_not_read(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watch.look(source, NOTHING)
    assert seen
    monkeypatch.setattr(watch, "digest_file", pytest.fail)
    assert watch.look(source, seen) is None


def test_what_was_merely_touched_is_no_news(source: Path) -> None:
    seen = watch.look(source, NOTHING)
    assert seen
    touch(source / "labels")
    assert watch.look(source, seen) is None


def test_the_same_content_written_anew_is_no_news(source: Path) -> None:
    seen = watch.look(source, NOTHING)
    assert seen
    (source / "aside").write_bytes(b"abc")
    (source / "aside").replace(source / "labels")
    touch(source / "labels")
    assert watch.look(source, seen) is None


def change(source: Path) -> None:
    (source / "labels").write_bytes(b"abd")
    touch(source / "labels")


def grow(source: Path) -> None:
    (source / "labels").write_bytes(b"abcd")


def add(source: Path) -> None:
    (source / "2026-11-01" / "more").touch()


def remove(source: Path) -> None:
    (source / "labels").unlink()


def rename(source: Path) -> None:
    (source / "labels").rename(source / "names")


def move(source: Path) -> None:
    (source / "2026-11-01").rename(source / "2026-11-02")


@pytest.mark.parametrize("happens", [change, grow, add, remove, rename, move], ids=lambda one: one.__name__)
def test_what_has_changed_is_news_once(source: Path, happens: Any) -> None:
    before = watch.look(source, NOTHING)
    assert before
    happens(source)
    after = watch.look(source, before)
    assert after
    assert after["version"] != before["version"]
    assert watch.look(source, after) is None


def test_going_back_to_what_was_before_is_news_too(source: Path) -> None:
    first = watch.look(source, NOTHING)
    change(source)
    second = watch.look(source, first or {})
    (source / "labels").write_bytes(b"abc")
    touch(source / "labels")
    third = watch.look(source, second or {})
    assert first
    assert third
    assert third["version"] == first["version"]


def test_an_empty_source_is_one(tmp_path: Path) -> None:
    seen = watch.look(tmp_path, NOTHING)
    assert seen
    assert (seen["files"], seen["bytes"]) == (0, 0)
    assert watch.look(tmp_path, seen) is None


def test_a_source_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"nowhere does not exist; name the folder .* in data\.path"):
        watch.look(tmp_path / "nowhere", NOTHING)


@pytest.mark.parametrize(
    ("target", "said"),
    [("nowhere", "source/link: No such file or directory"), (".", "Too many levels of symbolic links")],
)
def test_a_link_that_leads_nowhere_says_which(source: Path, target: str, said: str) -> None:
    (source / "link").symlink_to(target)
    with pytest.raises(AirflowFailException, match=rf"{said}; .*/source cannot be read completely"):
        watch.look(source, NOTHING)


# -- the task


class Comms:
    """Answers as Airflow's supervisor does when a task asks for an asset's events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any] | None] = []

    def send(self, message: Any) -> AssetEventsResult:
        assert isinstance(message, GetAssetEventByAsset)
        assert (message.ascending, message.limit) == (False, 1)
        asset = AssetResponse(name=message.name, uri=message.uri, group="ratchet")
        now = datetime(2026, 11, 22, tzinfo=UTC)
        newest_first = [
            AssetEventResponse(id=number, timestamp=now, extra=extra, asset=asset, created_dagruns=[])
            for number, extra in enumerate(self.events)
        ][::-1]
        return AssetEventsResult(asset_events=newest_first[: message.limit])


@pytest.fixture
def comms(monkeypatch: pytest.MonkeyPatch) -> Comms:
    comms = Comms()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    return comms


def look(source: Path, comms: Comms) -> dict[str, Any]:
    task = watch.Look(task_id="look", config="one", path=str(source))
    context: Any = {"inlet_events": InletEventsAccessors(task.inlets), "outlet_events": OutletEventAccessors()}
    token = ExecutorSafeguard.tracker.set(task)
    try:
        task.execute(context)
    finally:
        ExecutorSafeguard.tracker.reset(token)
    extra = dict(context["outlet_events"][assets.source("one")].extra)
    comms.events.append(extra)
    return extra


def test_the_asset_is_updated_when_the_source_has_changed_and_only_then(source: Path, comms: Comms) -> None:
    assert look(source, comms)["files"] == 2
    with pytest.raises(AirflowSkipException, match="has not changed"):
        look(source, comms)
    touch(source / "labels")
    with pytest.raises(AirflowSkipException):
        look(source, comms)
    add(source)
    assert look(source, comms)["files"] == 3
    assert len(comms.events) == 2


@pytest.mark.parametrize("extra", [None, {}, {"from_rest_api": True}], ids=str)
def test_an_event_by_hand_holds_no_listing_and_is_followed_by_a_look(source: Path, comms: Comms, extra: Any) -> None:
    comms.events.append(extra)
    assert look(source, comms)["files"] == 2


def test_a_path_is_meant_from_the_project_as_everywhere(tmp_path: Path, comms: Comms, monkeypatch: Any) -> None:
    (tmp_path / "samples").mkdir()
    monkeypatch.setattr(watch, "ROOT", tmp_path)
    assert look(Path("samples"), comms)["files"] == 0


def test_only_the_sources_own_asset_is_updated(source: Path) -> None:
    task = watch.Look(task_id="look", config="one", path=str(source))
    assert task.outlets == task.inlets == [assets.source("one")]
    assert assets.source("one") != assets.source("two")


def test_an_archive_is_watched_as_a_folder_is(tmp_path: Path) -> None:
    archive = tmp_path / "pictures.zip"
    archive.write_bytes(b"one")
    seen = watch.look(archive, NOTHING)
    assert seen
    assert (seen["files"], seen["bytes"]) == (1, 3)
    assert watch.look(archive, seen) is None
    archive.write_bytes(b"another")
    assert watch.look(archive, seen)
