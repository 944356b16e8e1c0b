"""The follower: what it does for each champion, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import DataError, RatchetError, StorageError, TryAgain
from pipeline.records.following import FOLLOWER_FILE
from pipeline.registry.versions import CHAMPION, DIGEST, HISTORY, OUTCOME, Version
from pipeline.serving import follower as following
from pipeline.serving.follower import Follower, export_by_command, folder_of
from pipeline.serving.metrics import Metrics
from pipeline.serving.models import Models
from pipeline.serving.pointers import CHALLENGER_POINTER, LAST_GOOD, POINTER, pointed_to
from pipeline.serving.supervising import Supervisor, follower_command
from tests.serving import made
from tests.serving.running import Kept, running, serving
from tests.serving.test_guard import wait_for


def version(number: int, **tags: str) -> Version:
    digest = {DIGEST: made.record(made.TABLE, version=number).digest}
    return Version("zoo", number, "2026-11-01T00:00:00Z", "run", {**digest, **tags}, (CHAMPION,))


class Registry:
    """A registry with one name, or one that cannot be reached."""

    def __init__(self) -> None:
        self.champion: Version | None = None
        self.aliases: dict[str, Version] = {}
        self.error: RatchetError | None = None

    def __call__(self) -> Registry:
        if self.error is not None:
            raise self.error
        return self

    def by_alias(self, name: str, alias: str) -> Version | None:
        assert name == "zoo"
        return self.champion if alias == CHAMPION else self.aliases.get(alias)

    def version(self, name: str, number: int) -> Version | None:
        return version(number) if number < 10 else None

    def versions(self, name: str) -> list[Version]:
        return [version(number) for number in (1, 2, 3)]


class Exporting:
    """Exports made folders; keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.error: RatchetError | None = None

    def __call__(self, champion: Version, target: Path) -> None:
        self.asked.append(champion.version)
        if self.error is not None:
            raise self.error
        made.folder(target, made.TABLE, version=champion.version)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def exporting() -> Exporting:
    return Exporting()


@pytest.fixture
def follower(tmp_path: Path, registry: Registry, exporting: Exporting) -> Follower:
    return Follower("zoo", tmp_path, registry, exporting, clock=lambda: 5.0)  # type: ignore[arg-type]


def test_a_new_champion_is_exported_once_and_pointed_to(
    follower: Follower, registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    assert follower.look().state == "waiting"
    assert pointed_to(tmp_path, "current") is None
    registry.champion = version(1)
    for _ in range(3):
        found = follower.look()
        assert (found.state, found.version, found.looked_at_s) == ("following", 1, 5.0)
    assert exporting.asked == [1]
    assert pointed_to(tmp_path, "current") == folder_of(version(1))
    assert json.loads((tmp_path / FOLLOWER_FILE).read_text())["version"] == 1


def test_a_champion_of_before_comes_back_without_another_export(
    follower: Follower, registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    for number in (1, 2, 1):
        registry.champion = version(number)
        follower.look()
    assert exporting.asked == [1, 2]
    assert pointed_to(tmp_path, "current") == folder_of(version(1))


def test_a_registry_that_is_gone_changes_nothing(follower: Follower, registry: Registry, tmp_path: Path) -> None:
    registry.champion = version(1)
    follower.look()
    registry.error = StorageError("the registry cannot be reached")
    found = follower.look()
    assert (found.state, found.why) == ("unreachable", "the registry cannot be reached")
    assert pointed_to(tmp_path, "current") == folder_of(version(1))
    registry.error = None
    assert follower.look().state == "following"


def test_a_damaged_champion_is_refused_once_and_the_pointer_stays(
    follower: Follower, registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    registry.champion = version(1)
    follower.look()
    registry.champion, exporting.error = version(2), DataError("zoo v2 is damaged")
    for _ in range(3):
        found = follower.look()
        assert (found.state, found.why, found.version) == ("refused", "zoo v2 is damaged", 2)
    assert exporting.asked == [1, 2]
    assert pointed_to(tmp_path, "current") == folder_of(version(1))
    exporting.error = None
    follower._clock = lambda: 1000.0  # much later
    assert follower.look().state == "following"
    assert exporting.asked == [1, 2, 2]


def test_what_may_pass_is_tried_again(follower: Follower, registry: Registry, exporting: Exporting) -> None:
    registry.champion, exporting.error = version(1), TryAgain("no memory")
    assert follower.look().state == "refused"
    exporting.error = None
    assert follower.look().state == "following"
    assert exporting.asked == [1, 1]


def test_a_folder_of_another_model_is_not_pointed_to(follower: Follower, registry: Registry, tmp_path: Path) -> None:
    made.folder(tmp_path / folder_of(version(1)), made.TABLE, version=9)
    registry.champion = version(1)
    found = follower.look()
    assert found.state == "refused"
    assert "another model" in found.why


def test_old_folders_go_but_the_last_good_one_stays(follower: Follower, registry: Registry, tmp_path: Path) -> None:
    for number in range(1, 8):
        registry.champion = version(number)
        follower.look()
        newest = tmp_path / folder_of(version(number))
        os.utime(newest / "model.json", (number, number))
        if number == 1:
            (tmp_path / LAST_GOOD).write_text(folder_of(version(1)))
    kept = {folder.name for folder in tmp_path.glob("v*/")}
    assert kept == {folder_of(version(number)) for number in (1, 5, 6, 7)}


def challenging(tmp_path: Path, registry: Registry, exporting: Exporting, which: str) -> Follower:
    return Follower("zoo", tmp_path, registry, exporting, clock=lambda: 5.0, challenger=which)  # type: ignore[arg-type]


def beside(follower: Follower) -> tuple[str, int | None]:
    found = follower.look().challenger
    assert found is not None
    return found.state, found.version


def test_a_challenger_is_exported_beside_the_champion_and_pointed_to(
    registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    follower = challenging(tmp_path, registry, exporting, "4")
    assert beside(follower) == ("waiting", 4)  # there is no champion yet
    registry.champion = version(3)
    for _ in range(2):
        assert beside(follower) == ("following", 4)
    assert exporting.asked == [3, 4]
    assert pointed_to(tmp_path, POINTER) == folder_of(version(3))
    assert pointed_to(tmp_path, CHALLENGER_POINTER) == folder_of(version(4))
    for number in range(5, 9):  # the folder stays, however many champions come
        registry.champion = version(number)
        assert beside(follower) == ("following", 4)
    assert exporting.asked == [3, 4, 5, 6, 7, 8]


def test_an_alias_is_followed_and_without_it_there_is_no_challenger(
    registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    follower = challenging(tmp_path, registry, exporting, "challenger")
    registry.champion = version(3)
    found = follower.look().challenger
    assert found is not None
    assert (found.state, found.why[:42]) == ("waiting", "model registry: zoo has no version 'challe")
    for number in (4, 5):
        registry.aliases["challenger"] = version(number)
        assert beside(follower) == ("following", number)
        assert pointed_to(tmp_path, CHALLENGER_POINTER) == folder_of(version(number))
    registry.champion = version(5)
    assert beside(follower) == ("waiting", 5)  # it is the champion
    assert pointed_to(tmp_path, CHALLENGER_POINTER) is None
    assert pointed_to(tmp_path, POINTER) == folder_of(version(5))
    assert exporting.asked == [3, 4, 5]


def test_a_challenger_that_cannot_be_exported_has_no_pointer_and_the_champion_stays(
    registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    registry.champion, registry.aliases["challenger"] = version(3), version(4)
    follower = challenging(tmp_path, registry, exporting, "challenger")
    assert beside(follower) == ("following", 4)
    registry.aliases["challenger"], exporting.error = version(5), DataError("zoo v5 is damaged")
    for _ in range(2):
        found = follower.look()
        assert (found.state, found.version) == ("following", 3)
        assert found.challenger is not None
        assert (found.challenger.state, found.challenger.why) == ("refused", "zoo v5 is damaged")
        assert pointed_to(tmp_path, CHALLENGER_POINTER) is None
    assert exporting.asked == [3, 4, 5]


@pytest.mark.parametrize(
    ("tags", "may_answer"),
    [
        ({}, False),
        ({OUTCOME: "refuse"}, False),
        ({OUTCOME: "promote"}, True),
        ({OUTCOME: "refuse", HISTORY: '[{"event": "promoted by hand"}]'}, True),
        ({OUTCOME: "refuse", HISTORY: '[{"event": "promoted by hand"}, {"event": "withdrawn"}]'}, False),
    ],
)
def test_answers_are_given_of_what_the_gate_or_a_person_has_let_pass(
    registry: Registry, exporting: Exporting, tmp_path: Path, tags: dict[str, str], *, may_answer: bool
) -> None:
    registry.champion, registry.aliases["challenger"] = version(3), version(4, **tags)
    found = challenging(tmp_path, registry, exporting, "challenger").look().challenger
    assert found is not None
    assert (found.state, found.may_answer) == ("following", may_answer)


def test_a_challenger_whose_tags_were_broken_by_hand_is_refused(
    registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    registry.champion, registry.aliases["challenger"] = version(3), version(4, **{HISTORY: "{"})
    assert beside(challenging(tmp_path, registry, exporting, "challenger")) == ("refused", 4)


def test_while_the_registry_is_gone_the_challenger_stays_over_a_restart_too(
    registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    registry.champion, registry.aliases["challenger"] = version(3), version(4, **{OUTCOME: "promote"})
    before = challenging(tmp_path, registry, exporting, "challenger").look()
    registry.error = StorageError("the registry cannot be reached")
    found = challenging(tmp_path, registry, exporting, "challenger").look()
    assert found.state == "unreachable"
    assert found.challenger == before.challenger
    assert pointed_to(tmp_path, CHALLENGER_POINTER) == folder_of(version(4))


def test_a_follower_that_is_told_of_none_takes_the_pointer_away(
    follower: Follower, registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    registry.champion = version(3)
    challenging(tmp_path, registry, exporting, "4").look()
    assert follower.look().challenger is None
    assert pointed_to(tmp_path, CHALLENGER_POINTER) is None


def test_the_service_says_what_the_follower_found(
    follower: Follower, registry: Registry, exporting: Exporting, tmp_path: Path
) -> None:
    registry.champion = version(1)
    follower.look()
    registry.champion, exporting.error = version(2), DataError("zoo v2 is damaged")
    follower.look()
    log, metrics = Kept(), Metrics()
    models = Models(tmp_path, metrics, log, lambda folder: made_model(folder))
    models.open()
    with running(serving(None, models=models, metrics=metrics, log=log)) as service:
        wait_for(lambda: models.following)
        ready = service.ask("GET", "/health/ready")
        assert ready.status == 200
        assert ready.json["model"]["version"] == 1
        assert ready.json["follower"]["state"] == "refused"
        assert ready.json["follower"]["why"] == "zoo v2 is damaged"
        readings = service.ask("GET", "/metrics").body
        assert b'ratchet_follower{state="refused"} 1.0' in readings
        assert b"ratchet_follower_silent_seconds" in readings


@pytest.mark.long
@pytest.mark.parametrize(("error", "state"), [(None, "waiting"), (StorageError("it cannot be reached"), "unreachable")])
def test_a_registry_that_is_empty_or_gone_at_the_start_is_said_by_a_service_that_lives(
    follower: Follower, registry: Registry, tmp_path: Path, error: RatchetError | None, state: str
) -> None:
    registry.error = error
    follower.look()
    models = Models(tmp_path, Metrics(), Kept(), lambda folder: made_model(folder))
    models.open()
    with running(serving(None, models=models)) as service:
        wait_for(lambda: models.following)
        ready = service.ask("GET", "/health/ready")
        assert (ready.status, ready.json["follower"]["state"]) == (503, state)
        asked = service.post("/predict", {"distance": 1, "carrier": "A"})
        assert (asked.status, asked.headers["retry-after"]) == (503, "5")
        assert "no model is served" in asked.error
        registry.error, registry.champion = None, version(1)
        follower.look()
        wait_for(lambda: service.post("/predict", {"distance": 1, "carrier": "A"}).status == 200)


def test_a_registry_that_does_not_answer_holds_up_the_follower_alone(
    follower: Follower, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.champion = version(1)
    follower.look()
    models = Models(tmp_path, Metrics(), Kept(), lambda folder: made_model(folder))
    models.open()
    answers = threading.Event()
    monkeypatch.setattr(registry, "by_alias", lambda *_: answers.wait(60) and version(2))
    looking = threading.Thread(target=follower.look)
    looking.start()
    try:
        with running(serving(None, models=models)) as service:
            wait_for(lambda: models.following)
            for _ in range(3):
                assert service.post("/predict", {"distance": 1, "carrier": "A"}).status == 200
            ready = service.ask("GET", "/health/ready").json
            assert ready["follower"]["silent_s"] > 1e6  # it last looked at 5 s after the epoch
            answers.set()
            wait_for(lambda: models.current and models.current.version == "2")
    finally:
        answers.set()
        looking.join()


def made_model(folder: Path) -> object:
    from tests.serving.test_models import loaded

    return loaded(folder)


def standing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a script stand in for Python."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def test_a_champion_is_exported_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standing_in(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/asked')
    export_by_command(tmp_path, ["saved_model", "onnx"])(version(3), tmp_path / "target")
    assert (tmp_path / "asked").read_text().split() == [
        "-m", "pipeline", "export", "zoo@3", "--to", str(tmp_path / "target"), "--formats", "saved_model,onnx",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "kind"), [(65, DataError), (2, DataError), (70, DataError), (74, TryAgain), (75, TryAgain)]
)
def test_an_export_that_fails_says_why_in_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[RatchetError]
) -> None:
    standing_in(tmp_path, monkeypatch, f'echo noise; echo "ratchet: {tmp_path}/x is damaged" >&2; exit {code}')
    with pytest.raises(kind, match=r"^x is damaged$"):
        export_by_command(tmp_path, [])(version(3), tmp_path / "target")


def test_an_export_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standing_in(tmp_path, monkeypatch, "exec sleep 1000")
    monkeypatch.setattr(following, "_EXPORT_S", 0.1)
    with pytest.raises(TryAgain, match="not exported within"):
        export_by_command(tmp_path, [])(version(3), tmp_path / "target")


def test_a_follower_that_is_killed_is_started_again_and_ends_with_the_service(tmp_path: Path) -> None:
    log = Kept()
    started = tmp_path / "started"
    command = ["sh", "-c", f"echo x >> {started}; exec sleep 1000"]
    supervisor = Supervisor(command, tmp_path, log, first_wait_s=0.01)
    wait_for(lambda: started.exists() and supervisor.process)
    first = supervisor.process
    assert first is not None
    first.kill()
    wait_for(lambda: supervisor.process is not first and len(started.read_text()) == 4)
    assert log.lines[0]["event"] == "follower ended"
    supervisor.close()
    assert supervisor.process is not None
    assert supervisor.process.poll() is not None


def test_a_process_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    log, folder = Kept(), tmp_path / "not there yet"
    supervisor = Supervisor(["sleep", "1000"], folder, log, first_wait_s=0.01, name="worker 0")
    with closing(supervisor):
        wait_for(lambda: log.lines)
        assert log.lines[0]["event"] == "worker 0 not started"
        assert log.lines[0]["why"]
        folder.mkdir()
        wait_for(lambda: supervisor.process)


def test_its_command_looks_once_or_goes_on(tmp_path: Path) -> None:
    assert follower_command(tmp_path, "zoo", tmp_path, [], once=True)[-1] == "--once"
    assert follower_command(tmp_path, "zoo", tmp_path, ["onnx"])[-2:] == ["--formats", "onnx"]
    assert follower_command(tmp_path, "zoo", tmp_path, [], challenger="4")[-2:] == ["--challenger", "4"]
    assert shutil.which(follower_command(tmp_path, "zoo", tmp_path, [])[0])
