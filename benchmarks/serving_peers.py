"""BentoML and LitServe beside Ratchet's service, on the same model: for `serving.py --others`.

Each is started anew in every round, asked, and ended, so that none takes processor time from another; every other round
goes the other way round. Before it counts, a service answers made pictures that so many clients ask at once: its
probabilities have to be ours. What is printed are medians of the rounds. A lone client comes first, since BentoML
learns from what is asked how long to wait for others, and is slow to forget it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.asking import answers, form, load, picture, question
from benchmarks.quiet import noise_between, take_sample
from pipeline.export.served import read_served

ELSEWHERE = Path(__file__).with_name("serving_elsewhere.py")
PEERS = ("bentoml", "litserve")
OURS = "ratchet"
CLIENTS = (1, 32, 64)
PICTURES = 64  # that are compared
EQUAL = 1e-5
ASKED_ROWS = {"bentoml": 2.0}  # rows in a second, ours by theirs
WARM_S = 6.0  # BentoML looks every five seconds at what it has learned
START_S, END_S, WORKERS_END_S = 120.0, 30.0, 5.0
Probabilities = npt.NDArray[np.float64]
Start = Callable[[], AbstractContextManager[int]]  # yields the port


@dataclass(frozen=True)
class Measured:
    """What so many clients saw: times in ms."""

    p50_ms: float
    p99_ms: float
    rows_per_s: float


def named(texts: list[str]) -> dict[str, Path]:
    """Read `NAME=PYTHON` of each text; raise SystemExit, in one line, if one is not that."""
    found = {}
    for text in texts:
        name, _, python = text.partition("=")
        if name not in PEERS or not python:
            raise SystemExit(f"--others {text}: one of {', '.join(f'{each}=PYTHON' for each in PEERS)} is wanted")
        found[name] = Path(python)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process as its terminal would, and what it started, each by its id."""
    started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(started, timeout=WORKERS_END_S)
    for each in alive:
        each.kill()
    psutil.wait_procs(alive, timeout=WORKERS_END_S)


@contextmanager
def peer(name: str, python: Path, folder: Path) -> Iterator[int]:
    """Serve the SavedModel of a served folder by another framework; yield the port once it answers."""
    served, port = read_served(folder), free_port()
    model = served.format("saved_model")
    if model is None:
        raise SystemExit(f"{folder}: there is no SavedModel in it")
    with tempfile.TemporaryDirectory() as scratch, (Path(scratch) / "log").open("w+b") as log:
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        process = subprocess.Popen(
            [str(python), str(ELSEWHERE), name, str((folder / model.path).resolve()), served.signature, str(port)],
            cwd=scratch,
            env={**kept, "BENTOML_HOME": scratch, "BENTOML_DO_NOT_TRACK": "true"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            until_s = time.perf_counter() + START_S
            while not is_ready(port):
                if process.poll() is not None or time.perf_counter() > until_s:
                    log.seek(0)
                    raise SystemExit(f"{name} did not start: {log.read()[-1000:].decode(errors='replace')}")
                time.sleep(0.1)
            yield port
        finally:
            end(process)


def is_ready(port: int) -> bool:
    """Return whether a service answers a picture."""
    try:
        [(status, _)] = answers(port, [form(picture())])
    except (OSError, EOFError):  # nobody listens yet, or hangs up
        return False
    return status == 200


def probabilities(name: str, port: int, clients: int) -> Probabilities:
    """Return what a service answers to all pictures `[picture, class]`, asked so many at once."""
    asked = [(question if name == OURS else form)(picture(seed)) for seed in range(PICTURES)]
    found = [each for first in range(0, PICTURES, clients) for each in answers(port, asked[first : first + clients])]
    wrong = [status for status, _ in found if status != 200]
    if wrong:
        raise SystemExit(f"{name} answered {wrong[0]} to a picture")
    parsed = [json.loads(body) for _, body in found]
    if name == OURS:
        return np.array([list(each["predictions"][0]["probabilities"].values()) for each in parsed])
    return np.array([each[0] for each in parsed])


def require_equal(name: str, given: Probabilities, expected: Probabilities) -> None:
    """Raise SystemExit if answers differ from ours."""
    apart = float(np.abs(given - expected).max()) if given.shape == expected.shape else float("inf")
    if not apart <= EQUAL:  # nor may one be NaN
        raise SystemExit(f"{name}: its answers differ from ours by {apart:.1e}")


def one_round(name: str, port: int, seconds: float, expected: Probabilities) -> dict[int, Measured]:
    """Ask a service by so many clients after another; raise SystemExit if an answer is another, or none."""
    content = (question if name == OURS else form)(picture())
    found = {}
    for clients in CLIENTS:
        require_equal(name, probabilities(name, port, clients), expected)
        load(port, content, clients, WARM_S)
        one = load(port, content, clients, seconds)
        if one.refused or one.failed:
            raise SystemExit(f"{name}, {clients} clients: {one.refused} refused, {one.failed} failed")
        found[clients] = Measured(one.ms(50), one.ms(99), one.rows_per_s)
    return found


def medians(rounds: list[dict[int, Measured]]) -> dict[int, Measured]:
    """Return the median of each figure, by the number of clients."""
    return {
        clients: Measured(
            *(statistics.median(getattr(each[clients], part) for each in rounds) for part in Measured.__annotations__)
        )
        for clients in rounds[0]
    }


def judged(found: Mapping[str, Mapping[int, Measured]]) -> tuple[list[str], bool]:
    """Return a line for each ratio of ours to a peer's, and whether all that is asked is met."""
    ours, lines, met = found[OURS], [], []
    for name, theirs in found.items():
        if name == OURS:
            continue
        met.append(ours[1].p50_ms < theirs[1].p50_ms)
        lines.append(
            f"  {name}, one image: p50 {ours[1].p50_ms / theirs[1].p50_ms:.2f} of its "
            f"(asked: ahead, below 1) {'as asked' if met[-1] else 'NOT as asked'}"
        )
        for clients in CLIENTS[1:]:
            ratio = ours[clients].rows_per_s / theirs[clients].rows_per_s
            wanted = ASKED_ROWS.get(name)
            said = "(nothing asked)"
            if wanted is not None:
                met.append(ratio >= wanted)
                said = f"(asked: at least {wanted:g}) {'as asked' if met[-1] else 'NOT as asked'}"
            lines.append(f"  {name}, {clients} clients: rows/s ours / theirs {ratio:.2f} {said}")
    return lines, all(met)


def compare(folder: Path, start_ours: Start, others: Mapping[str, Path], rounds: int, seconds: float) -> bool:
    """Measure ours and each other in turns and print; return whether all is as asked."""
    starts: dict[str, Start] = {OURS: start_ours}
    for name, python in others.items():
        starts[name] = partial(peer, name, python, folder)
    found: dict[str, list[dict[int, Measured]]] = {name: [] for name in starts}
    expected: Probabilities | None = None
    before = take_sample()
    for number in range(rounds):
        # Ours comes first in the first round: its answers are what the others' are compared with.
        for name in list(starts)[:: 1 if number % 2 == 0 else -1]:
            with starts[name]() as port:
                expected = probabilities(name, port, 1) if expected is None else expected
                found[name].append(one_round(name, port, seconds, expected))
            said = ", ".join(
                f"{clients}: p50 {each.p50_ms:.2f} ms, {each.rows_per_s:.0f}/s"
                for clients, each in found[name][-1].items()
            )
            print(f"  round {number + 1}, {name:8} {said}", flush=True)
    print(f"answers to {PICTURES} pictures are equal ({EQUAL:.0e}), asked {', '.join(map(str, CLIENTS))} at once")
    print(f"while this was measured: {noise_between(before, take_sample())}")
    middle = {name: medians(each) for name, each in found.items()}
    print(f"medians of {rounds} rounds")
    for name, figures in middle.items():
        rates = ", ".join(f"{clients} clients {figures[clients].rows_per_s:.0f}" for clients in CLIENTS[1:])
        one = figures[1]
        print(f"  {name:8} 1 client: p50 {one.p50_ms:6.2f} ms, p99 {one.p99_ms:6.2f} ms; rows/s: {rates}")
    lines, is_met = judged(middle)
    print("ratios", *lines, sep="\n")
    return is_met
