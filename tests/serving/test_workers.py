"""Several workers at one address: what becomes of it when one ends, and what they tell of themselves together."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.export.bounds import MachineBounds
from pipeline.serving import workers as workers_module
from pipeline.serving.metrics import Metrics
from pipeline.serving.prediction_log import LogSettings
from pipeline.serving.readings import Readings, merged, socket_of
from pipeline.serving.roles import Shares
from pipeline.serving.serve import ServeSettings, serve
from pipeline.serving.workers import Workers, keep, taken
from tests.serving import made
from tests.serving.running import Kept, running, serving
from tests.serving.test_guard import wait_for

# Answers each connection with its process id.
ANSWERING = """
import os, socket, sys
listening = socket.socket(fileno=0)
while True:
    connection, _ = listening.accept()
    connection.sendall(str(os.getpid()).encode())
    connection.close()
"""


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def answer(listening: socket.socket) -> int:
    """Ask until there is an answer: whoever is cut before it asks again."""
    content = b""
    while not content:
        with suppress(ConnectionError), socket.create_connection(listening.getsockname(), timeout=60) as connection:
            content = connection.recv(100)
    return int(content)


@pytest.mark.long
def test_a_worker_that_is_killed_is_started_again_and_another_answers_meanwhile(
    listening: socket.socket, tmp_path: Path
) -> None:
    log = Kept()
    settings = ServeSettings(tmp_path, workers=2)
    workers = Workers(settings, listening, tmp_path, log, lambda *_: [sys.executable, "-c", ANSWERING])
    with closing(workers):
        killed = answer(listening)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: answer(listening) != killed)
        wait_for(lambda: log.lines)
        assert {line["event"] for line in log.lines} <= {"worker 0 ended", "worker 1 ended"}
        assert log.lines[0]["exit_code"] == -signal.SIGKILL
        pids = {each.process.pid for each in workers.supervisors if each.process}
        wait_for(lambda: killed not in {each.process.pid for each in workers.supervisors if each.process})
        assert workers.exit_code is None
        pids |= {each.process.pid for each in workers.supervisors if each.process}
        assert len(pids) == 3
    for each in workers.supervisors:
        assert each.process is not None
        assert each.process.poll() is not None


@pytest.mark.long
@pytest.mark.parametrize("challenger", [True, Path("true")])
def test_a_worker_takes_address_and_settings_but_not_the_follower(
    listening: socket.socket, tmp_path: Path, challenger: Path | bool
) -> None:
    settings = ServeSettings(
        tmp_path / "served",
        challenger=challenger,
        shares=Shares(0.1, 1 / 3),
        workers=3,
        follower=("follow",),
        calls=None,
        tokens=tmp_path / "tokens",
        prediction_log=tmp_path / "log",
        logged=LogSettings(0.1),
        bounds=MachineBounds(5.1, None),
    )
    with closing(Workers(settings, listening, tmp_path, Kept(), lambda *_: ["sleep", "1000"])):
        kept = os.dup(0)
        try:
            os.dup2(listening.fileno(), 0)
            found, address, worker = taken(tmp_path, 2)
            assert Path("/proc/self/fd/0").readlink() == Path(os.devnull)
        finally:
            os.dup2(kept, 0)
            os.close(kept)
        with address:
            assert address.getsockname() == listening.getsockname()
    assert found.calls is not None
    assert replace(found, calls=None, follower=("follow",)) == settings
    assert not found.follower
    assert worker == (tmp_path, 2, 3)


@pytest.mark.long
@pytest.mark.parametrize(
    ("codes", "has_answered", "expected"),
    [
        ((DataError.exit_code,) * 2, False, DataError.exit_code),
        ((DataError.exit_code,) * 2, True, None),
        ((DataError.exit_code, 75), False, None),
        ((DataError.exit_code, None), False, None),
    ],
)
def test_workers_that_all_say_that_it_is_no_use_are_believed_if_none_has_ever_answered(
    listening: socket.socket, tmp_path: Path, codes: tuple[int, ...], has_answered: bool, expected: int | None
) -> None:
    with closing(
        Workers(ServeSettings(tmp_path, workers=2), listening, tmp_path, Kept(), lambda *_: ["sleep", "1000"])
    ) as workers:
        for supervisor, code in zip(workers.supervisors, codes, strict=True):
            supervisor.exit_code = code
        if has_answered:
            socket_of(tmp_path, 0).touch()
        assert workers.exit_code == expected


def test_all_end_when_the_first_process_is_told_to(
    listening: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[int, object] = {}
    monkeypatch.setattr(workers_module.signal, "signal", lambda number, handler: told.update({number: handler}))
    monkeypatch.setattr(workers_module, "worker_command", lambda *_: ["sleep", "1000"])
    monkeypatch.setattr(workers_module.time, "sleep", lambda _: told[signal.SIGTERM](signal.SIGTERM, None))
    assert keep(ServeSettings(tmp_path, workers=2), listening) == 0


def test_what_workers_share_is_kept_from_whoever_tidies_up_temporary_files(
    listening: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[int, object] = {}
    locked: list[bool] = []

    def command(folder: Path, _: int) -> list[str]:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked.append(False)
        except BlockingIOError:
            locked.append(True)
        os.close(handle)
        return ["sleep", "1000"]

    monkeypatch.setattr(workers_module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(workers_module.signal, "signal", lambda number, handler: told.update({number: handler}))
    monkeypatch.setattr(workers_module, "worker_command", command)
    monkeypatch.setattr(workers_module.time, "sleep", lambda _: told[signal.SIGTERM](signal.SIGTERM, None))
    assert keep(ServeSettings(tmp_path, workers=2), listening) == 0
    assert locked == [True, True]
    assert list(tmp_path.iterdir()) == []


def test_where_no_socket_can_have_its_name_workers_are_not_started(
    listening: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module.signal, "signal", lambda *_: None)
    place = tmp_path / ("x" * 100)
    place.mkdir()
    monkeypatch.setattr(workers_module.tempfile, "tempdir", str(place))
    with pytest.raises(StorageError, match=r"too long a name for the sockets of workers.*TMPDIR"):
        keep(ServeSettings(tmp_path, workers=2), listening)
    assert list(place.iterdir()) == []


def test_a_path_that_is_not_utf_8_is_refused_in_one_line(listening: socket.socket, tmp_path: Path) -> None:
    served = Path(os.fsdecode(b"served-\xff"))
    with pytest.raises(UsageError, match="a path that is not UTF-8"):
        Workers(ServeSettings(served, workers=2), listening, tmp_path, Kept(), lambda *_: ["sleep", "1000"])


@pytest.mark.parametrize("count", [0, 65, 2**40])
def test_so_many_workers_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 64"):
        serve(ServeSettings(tmp_path, port=0, workers=count))


def values(text: bytes, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name, by worker and the values of the other labels."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            worker = sample.labels.pop("worker", "")
            if sample.name == name:
                found[worker, *(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def test_any_worker_tells_the_readings_of_all_that_answer(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((100).to_bytes(8, "big") + b"ratchet_rows_total 1")
        writer.close()

    async def scenario() -> bytes:
        own, other = (Readings(tmp_path, number, 5, patience_s=0.2) for number in (0, 1))
        metrics = Metrics()
        metrics.answered("3", 7)
        await other.offer(lambda: text_of(metrics))
        metrics.answered("3", 1)  # it is asked when the readings are, not before
        left = await asyncio.start_unix_server(silent, socket_of(tmp_path, 2))
        broken = await asyncio.start_unix_server(cut, socket_of(tmp_path, 3))
        async with left, broken:
            return await own.of_all(text_of(Metrics()))

    text = asyncio.run(scenario())
    assert values(text, "ratchet_worker_up") == {("0",): 1, ("1",): 1, ("2",): 0, ("3",): 0, ("4",): 0}
    assert values(text, "ratchet_rows_total") == {("1", "3"): 8}
    lines = text.decode().splitlines()
    declared = [line for line in lines if line.startswith("# TYPE")]
    assert len(declared) == len(set(declared))
    assert all('worker="' in line for line in lines if line and not line.startswith("#"))


def text_of(metrics: Metrics) -> bytes:
    return metrics.text(model=None, queued_rows=0, rows_per_s=1.0, bodies_bytes=0, following=None)


def test_joined_readings_have_the_values_that_each_worker_told() -> None:
    metrics = Metrics()
    metrics.serves(made.model(made.TABLE), is_swap=True)
    metrics.request("/predict", 200, 0.003)
    own = text_of(metrics)
    joined = merged({1: own, 0: None})
    for name in ("ratchet_model", "ratchet_requests_total", "ratchet_request_seconds_bucket", "ratchet_swaps_total"):
        told = values(own, name)
        assert told
        assert values(joined, name) == {("1", *labels): value for (_, *labels), value in told.items()}


def test_a_service_of_several_workers_gives_the_readings_of_all(tmp_path: Path) -> None:
    model = made.model(made.TABLE)
    with running(serving(model, readings=Readings(tmp_path, 1, 2))) as service:
        service.post("/predict", {"distance": 1, "carrier": "A"})
        text = service.ask("GET", "/metrics").body
    assert values(text, "ratchet_worker_up") == {("0",): 0, ("1",): 1}
    assert values(text, "ratchet_rows_total") == {("1", "3"): 1}
