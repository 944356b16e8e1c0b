"""What counts as ahead of another service, which answers are the same, and how a peer is named, asked and ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks import serving_peers
from benchmarks.asking import BOUNDARY, form, picture, question
from benchmarks.serving_peers import Measured


def figures(p50_ms: float, rows_per_s: float) -> dict[int, Measured]:
    return {clients: Measured(p50_ms, 2 * p50_ms, rows_per_s) for clients in serving_peers.CLIENTS}


def test_ahead_at_one_image_and_twice_the_rows_are_as_asked() -> None:
    lines, is_met = serving_peers.judged({"ratchet": figures(2.0, 1000), "bentoml": figures(4.0, 500)})
    assert is_met
    assert lines == [
        "  bentoml, one image: p50 0.50 of its (asked: ahead, below 1) as asked",
        "  bentoml, 32 clients: rows/s ours / theirs 2.00 (asked: at least 2) as asked",
        "  bentoml, 64 clients: rows/s ours / theirs 2.00 (asked: at least 2) as asked",
    ]


@pytest.mark.parametrize(("p50_ms", "rows_per_s"), [(2.0, 500.0), (4.0, 501.0)])
def test_as_slow_at_one_image_or_fewer_rows_are_not(p50_ms: float, rows_per_s: float) -> None:
    lines, is_met = serving_peers.judged({"ratchet": figures(2.0, 1000), "bentoml": figures(p50_ms, rows_per_s)})
    assert not is_met
    assert any(line.endswith("NOT as asked") for line in lines)


def test_rows_beside_litserve_are_told_but_nothing_is_asked_of_them() -> None:
    lines, is_met = serving_peers.judged({"ratchet": figures(2.0, 1000), "litserve": figures(4.0, 2000)})
    assert is_met
    assert lines[1] == "  litserve, 32 clients: rows/s ours / theirs 0.50 (nothing asked)"


def test_each_figure_is_the_median_of_the_rounds() -> None:
    rounds = [figures(1.0, 300), figures(9.0, 100), figures(2.0, 200)]
    assert serving_peers.medians(rounds) == figures(2.0, 200)


def test_answers_within_the_bound_are_equal() -> None:
    ours = np.full((3, 10), 0.1)
    serving_peers.require_equal("bentoml", ours + 9e-6, ours)


@pytest.mark.parametrize("given", [np.full((3, 10), 0.1 + 2e-5), np.full((3, 10), np.nan), np.full((2, 10), 0.1)])
def test_others_end_the_measurement(given: serving_peers.Probabilities) -> None:
    with pytest.raises(SystemExit, match="bentoml: its answers differ from ours"):
        serving_peers.require_equal("bentoml", given, np.full((3, 10), 0.1))


def test_peers_are_named_with_their_python() -> None:
    assert serving_peers.named(["bentoml=a/python", "litserve=b=c"]) == {
        "bentoml": Path("a/python"),
        "litserve": Path("b=c"),
    }


@pytest.mark.parametrize("text", ["bentoml", "bentoml=", "triton=python", "=python"])
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SystemExit, match=r"one of bentoml=PYTHON, litserve=PYTHON is wanted"):
        serving_peers.named([text])


def test_a_form_carries_the_same_picture_as_the_plain_request() -> None:
    content = picture(3)
    for request in (question(content), form(content)):
        head, _, body = request.partition(b"\r\n\r\n")
        assert int(head.split(b"content-length: ")[1]) == len(body)
        assert content in body
    assert form(content).endswith(f"\r\n--{BOUNDARY}--\r\n".encode())


@pytest.mark.long
def test_what_a_service_has_started_is_ended_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that leaves at its signal, and a worker of it that does not hear it."""
    worker = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    server = (
        "import subprocess, sys, time\n"
        f"worker = subprocess.Popen([sys.executable, '-c', {worker!r}], stdout=subprocess.PIPE)\n"
        "worker.stdout.readline(); print(worker.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    worker_pid = int(process.stdout.readline())
    serving_peers.end(process)
    process.stdout.close()
    assert process.poll() is not None
    assert not psutil.pid_exists(worker_pid) or psutil.Process(worker_pid).status() == psutil.STATUS_ZOMBIE
