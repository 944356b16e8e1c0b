"""What a rank sends to its launcher, whatever becomes of it. Real ranks: tests/system."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.launching import worker
from pipeline.launching.worker import LOST_PEER_CODE, Channel

ROOT = Path(__file__).parents[2]


def sent(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json() -> None:
    stream = io.StringIO()
    Channel(stream).send("failed", kind="DataError", message="two\nlines")
    assert stream.getvalue().count("\n") == 1
    assert sent(stream) == [{"event": "failed", "kind": "DataError", "message": "two\nlines"}]


def test_progress_is_sent_now_and_then_and_the_last_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "EVENT_INTERVAL_S", 3600.0)
    stream = io.StringIO()
    channel = Channel(stream)
    for done in range(1, 101):
        channel.advance(done, 100, "images", f"loss {1 / done:.2f}")
    assert [(event["event"], event["done"], event["note"]) for event in sent(stream)] == [
        ("advance", 1, "loss 1.00"),
        ("advance", 100, "loss 0.01"),
    ]


def test_steps_are_never_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "EVENT_INTERVAL_S", 3600.0)
    stream = io.StringIO()
    channel = Channel(stream)
    for what in ("starting TensorFlow", "building the model"):
        channel.step(what)
    assert [event["what"] for event in sent(stream)] == ["starting TensorFlow", "building the model"]


def test_a_rank_that_does_not_report_still_says_why_it_failed() -> None:
    stream = io.StringIO()
    channel = Channel(stream, is_reporting=False)
    channel.step("starting TensorFlow")
    channel.advance(1, 1, "images", "")
    channel.send("lost")
    assert sent(stream) == [{"event": "lost"}]


def ran(tmp_path: Path, training: str, rank: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a worker with a training of our own in place of the real one."""
    program = (
        "import os, sys\n"
        "from pipeline import errors\n"
        "from pipeline.launching import worker\n"
        "from pipeline.training import collective, rank\n"
        f"def train_rank(job, report):\n    {training}\n"
        "rank.train_rank = train_rank\n"
        "sys.exit(worker.main())\n"
    )
    job = tmp_path / "job.json"
    job.write_text(
        json.dumps(
            {
                "task": "classification",
                "model": {"name": "mlp", "settings": {}},
                "train": {"epochs": 1, "batch_size": 8, "learning_rate": 0.01},
                "augment": {"copies": 0},
                "seed": 1,
                "classes": ["cat", "dog"],
                "code": {},
                **dict.fromkeys(("prepared", "augmented", "work", "tensorboard"), str(tmp_path)),
                "workers": 1,
                "threads": 1,
            }
        )
    )
    return subprocess.run(
        [sys.executable, "-c", program, "--parent", str(os.getpid()), str(job)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOROVOD_RANK": str(rank)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_what_a_library_prints_never_mixes_with_the_channel(tmp_path: Path) -> None:
    finished = ran(tmp_path, "report.step('training'); os.write(1, b'a library says\\n'); print(job.seed)")
    assert (finished.returncode, finished.stdout) == (0, '{"event": "step", "what": "training"}\n')
    assert finished.stderr == "a library says\n1\n"


@pytest.mark.long
def test_an_error_is_sent_and_its_code_is_the_ranks(tmp_path: Path) -> None:
    finished = ran(tmp_path, "raise errors.DataError('the loss is nan')")
    assert json.loads(finished.stdout) == {"event": "failed", "kind": "DataError", "message": "the loss is nan"}
    assert finished.returncode == 65


@pytest.mark.long
def test_a_rank_that_lost_the_others_says_so_and_leaves(tmp_path: Path) -> None:
    finished = ran(tmp_path, "raise collective.PeerLost")
    assert (json.loads(finished.stdout), finished.returncode) == ({"event": "lost"}, LOST_PEER_CODE)


@pytest.mark.long
def test_only_the_first_rank_reports(tmp_path: Path) -> None:
    finished = ran(tmp_path, "report.step('training')", rank=1)
    assert (finished.returncode, finished.stdout) == (0, "")
