"""The train stage for real: Horovod ranks, kills, resumption. Each run starts TensorFlow in one or two processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
import yaml

from pipeline.errors import DataError
from pipeline.models import stored
from pipeline.records.contract_result import ContractResult
from pipeline.stages import train
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts, shards
from pipeline.storage.record_files import write_record
from tests.processes_in import is_gone
from tests.system.project import ROOT
from tests.waiting import HANG_S, wait_for, work_of

SHAPE = (12, 12, 1)
CLASSES = ["left", "right", "both"]
EPOCHS = 6
RUN_STAGE = """
import sys, pathlib
from pipeline.errors import RatchetError
from pipeline.stages import train
from pipeline.stages.context import StageContext
try:
    print(train.run(StageContext.load(pathlib.Path(sys.argv[1]), "train")))
except RatchetError as error:
    print("error:", error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def write_part(folder: Path, rows: int, seed: int) -> None:
    """Write images with a bright bar on the side that the label says, under noise."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, 3, rows).astype(np.int32)
    pixels = numbers.integers(0, 140, (rows, *SHAPE)).astype(np.uint8)
    pixels[labels != 1, :, :3] += 60
    pixels[labels != 0, :, -3:] += 60
    schema = shards.image_schema(SHAPE)
    with artifacts.published_folder(folder) as aside:
        columns = {
            "id": [f"{seed}-{row}" for row in range(rows)],
            "label": labels,
            "pixels": shards.pixel_column(pixels),
            "pixel_mean": pixels.mean((1, 2, 3)).astype(np.float32),
            "pixel_std": pixels.std((1, 2, 3)).astype(np.float32),
        }
        shards.finish_dataset(aside, [shards.write_shard(aside, 0, schema, [pa.table(columns)])], schema, shape=SHAPE)


def make_root(root: Path, **train_changes: Any) -> Path:
    """Make a project folder in which the train stage can run."""
    root.mkdir(exist_ok=True)
    for name in ("dvc.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, root / name)
    recipe = yaml.safe_load((ROOT / "params.yaml").read_text())
    recipe["data"]["classes"] = CLASSES
    recipe["model"] = {"name": "cnn", "settings": {"filters": [4, 8], "dense": 16, "dropout": 0.3}}
    recipe["train"] |= {"epochs": EPOCHS, "batch_size": 32, "learning_rate": 0.01, **train_changes}
    (root / "params.yaml").write_text(yaml.safe_dump(recipe))
    write_part(root / "data/prepared/train", 1500, 1)
    write_part(root / "data/prepared/validation", 301, 2)  # odd: the ranks' shares differ
    write_part(root / "data/augmented", 500, 3)
    artifacts.write_json(root / "data/prepared/statistics.json", {"rows": 1500, "mean": [95.0], "std": [55.0]})
    write_record(
        root / "reports/contracts/prepared/result.json",
        ContractResult(suite="s", rows=1, outcome="pass", expectations=(), data_digest="sha256:00"),
    )
    return root


def run_stage(root: Path, monkeypatch: pytest.MonkeyPatch, workers: int = 2, hosts: str = "localhost") -> Path:
    """Run the stage in this process; return the candidate."""
    monkeypatch.setenv("RATCHET_HOROVOD__WORKERS", str(workers))
    monkeypatch.setenv("RATCHET_HOROVOD__HOSTS", f"'{hosts}'")
    train.run(StageContext.load(root, "train"))
    return root / "models/candidate"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The candidate of a run of two ranks that nothing disturbed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield run_stage(make_root(tmp_path_factory.mktemp("training") / "undisturbed"), monkeypatch)


def history_of(candidate: Path) -> np.ndarray[Any, Any]:
    return np.loadtxt(candidate / "history.csv", delimiter=",", skiprows=1)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_ranks_learn_and_publish_a_whole_candidate(undisturbed: Path) -> None:
    assert sorted(tree(undisturbed)) == ["architecture.json", "history.csv", "training.json", "weights.safetensors"]
    history = history_of(undisturbed)
    assert history[:, 0].tolist() == list(range(1, EPOCHS + 1))
    assert history[-1, 5] > 0.95  # validation accuracy
    account = json.loads((undisturbed / "training.json").read_text())
    assert account["rows"] == {"train": 1500, "augmented": 500, "validation": 301}
    assert account["best_epoch"] == 1 + int(np.argmin(history[:, 4]))


def test_what_was_in_hand_is_removed_and_the_logs_are_there(undisturbed: Path) -> None:
    root = undisturbed.parents[1]
    assert not list((root / ".ratchet/checkpoints").iterdir())
    assert list((root / "reports/tensorboard").glob("events.out.tfevents.*"))


def test_the_best_epoch_is_what_the_published_weights_answer(undisturbed: Path) -> None:
    images = shards.read_images(undisturbed.parents[1] / "data/prepared/validation")
    answer = stored.load(undisturbed)(images.pixels).numpy()
    best = json.loads((undisturbed / "training.json").read_text())["best_epoch"]
    loss = -np.log(answer[np.arange(len(answer)), images.labels]).mean()
    assert loss == pytest.approx(history_of(undisturbed)[best - 1, 4], rel=1e-3)


def test_one_worker_learns_what_two_do(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = run_stage(make_root(tmp_path / "one"), monkeypatch, workers=1)
    # The same batches, the same dropout: only the order of the additions differs.
    assert history_of(candidate)[:2] == pytest.approx(history_of(undisturbed)[:2], rel=2e-3)
    one, two = stored.read_weights(candidate), stored.read_weights(undisturbed)
    assert max(np.abs(one[name] - two[name]).max() for name in two) < 0.05


def test_two_hosts_of_this_machine_give_the_same_bytes(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = run_stage(make_root(tmp_path / "again"), monkeypatch, hosts="localhost:1,127.0.0.1:1")
    assert tree(candidate) == tree(undisturbed)


def test_a_diverging_run_stops_with_one_line_and_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_root(tmp_path / "diverging", learning_rate=100.0, optimizer="sgd", weight_decay=10.0)
    with pytest.raises(DataError, match=r"the loss is (nan|inf) in epoch 1, step \d+: .*lower train\.learning_rate"):
        run_stage(root, monkeypatch)
    assert not (root / "models").exists()


@contextmanager
def started_stage(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the stage in a process of its own, with two ranks."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN_STAGE, str(root)],
        cwd=ROOT,
        env=os.environ | {"RATCHET_HOROVOD__WORKERS": "2"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_an_epoch(root: Path, process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait until a checkpoint stands while training goes on; return the ranks' processes by rank."""
    launcher = psutil.Process(process.pid)
    wait_for(
        lambda: list((root / ".ratchet/checkpoints").glob("*/epoch-*")) or process.poll() is not None,
        "an epoch is finished",
        progress=lambda: work_of([launcher, *launcher.children()]),
        look_s=0.01,
    )
    assert process.poll() is None, process.stderr.read() if process.stderr else ""
    ranks = [child for child in launcher.children() if "pipeline.launching.worker" in child.cmdline()]
    return sorted(ranks, key=lambda rank: rank.environ()["HOROVOD_RANK"])


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_run_and_the_next_one_ends_the_same(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: int
) -> None:
    root = make_root(tmp_path / "killed-rank")
    with started_stage(root) as process:
        ranks = wait_for_an_epoch(root, process)
        ranks[victim].send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=HANG_S)
    assert process.returncode == 75
    told = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(told) == 1
    assert f"rank {victim} on localhost was ended by SIGKILL" in told[0]
    assert not any(rank.is_running() for rank in ranks)
    assert not (root / "models").exists()
    assert tree(run_stage(root, monkeypatch)) == tree(undisturbed)


def test_a_killed_launcher_takes_its_ranks_with_it_and_the_next_run_ends_the_same(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_root(tmp_path / "killed-launcher")
    with started_stage(root) as process:
        ranks = wait_for_an_epoch(root, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: all(is_gone(rank.pid) for rank in ranks), "the ranks are gone")
    assert not (root / "models").exists()
    assert tree(run_stage(root, monkeypatch)) == tree(undisturbed)
