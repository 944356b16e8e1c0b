"""The train stage for real: Horovod ranks, kills, resumption. Each run starts TensorFlow in one or two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.errors import DataError
from pipeline.models import stored
from pipeline.stages import resolve, train
from pipeline.stages.context import StageContext
from pipeline.storage import shards
from tests.processes_in import is_gone
from tests.system.project import ROOT
from tests.system.training_project import RUN_STAGES, history_of, make_root, tree
from tests.waiting import HANG_S, wait_for, work_of

EPOCHS = 6


def run_stage(root: Path, monkeypatch: pytest.MonkeyPatch, workers: int = 2, hosts: str = "localhost") -> Path:
    """Run the stage in this process; return the candidate."""
    monkeypatch.setenv("RATCHET_HOROVOD__WORKERS", str(workers))
    monkeypatch.setenv("RATCHET_HOROVOD__HOSTS", f"'{hosts}'")
    for stage in (resolve, train):
        stage.run(StageContext.load(root, stage.__name__.rpartition(".")[2]))
    return root / "models/candidate"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The candidate of a run of two ranks that nothing disturbed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield run_stage(make_root(tmp_path_factory.mktemp("training") / "undisturbed"), monkeypatch)


def test_two_ranks_learn_and_publish_a_whole_candidate(undisturbed: Path) -> None:
    assert sorted(tree(undisturbed)) == ["architecture.json", "history.csv", "training.json", "weights.safetensors"]
    history = history_of(undisturbed.parents[1])
    assert [epoch.epoch for epoch in history] == list(range(1, EPOCHS + 1))
    assert history[-1].validation["accuracy"] > 0.95
    account = json.loads((undisturbed / "training.json").read_text())
    assert account["rows"] == {"train": 1500, "augmented": 500, "validation": 301}
    assert account["best_epoch"] == min(history, key=lambda epoch: epoch.validation["loss"]).epoch


def test_what_was_in_hand_is_removed_and_the_logs_are_there(undisturbed: Path) -> None:
    root = undisturbed.parents[1]
    assert not list((root / ".ratchet/checkpoints").iterdir())
    assert list((root / "reports/tensorboard").glob("events.out.tfevents.*"))


def test_the_best_epoch_is_what_the_published_weights_answer(undisturbed: Path) -> None:
    root = undisturbed.parents[1]
    rows = shards.read_rows(root / "data/prepared/validation")
    answer = stored.load(undisturbed)({name: values[:] for name, values in rows.columns.items()}).numpy()
    best = json.loads((undisturbed / "training.json").read_text())["best_epoch"]
    loss = -np.log(answer[np.arange(len(answer)), rows.labels]).mean()
    assert loss == pytest.approx(history_of(root)[best - 1].validation["loss"], rel=1e-3)


@pytest.mark.parametrize(("workers", "threads"), [(1, 1), (1, 2), (4, 1)])
def test_any_number_of_workers_and_threads_gives_the_same_bytes(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, threads: int
) -> None:
    monkeypatch.setenv("RATCHET_HOROVOD__THREADS_PER_WORKER", str(threads))
    assert tree(run_stage(make_root(tmp_path / "other"), monkeypatch, workers=workers)) == tree(undisturbed)


def test_workers_that_cut_the_tree_in_its_branches_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = {"epochs": 1, "batch_size": 48, "virtual_workers": 6}
    one, three, two = (
        tree(run_stage(make_root(tmp_path / str(workers), train=train), monkeypatch, workers=workers))
        for workers in (1, 3, 2)
    )
    assert one == three == two


def test_a_residual_network_learns_on_two_ranks_and_one_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"model": {"name": "resnet", "settings": {"width": 4, "blocks": [1, 1]}}, "train": {"epochs": 3}}
    one, two = (
        run_stage(make_root(tmp_path / str(workers), **changes), monkeypatch, workers=workers) for workers in (1, 2)
    )
    assert tree(one) == tree(two)
    assert history_of(tmp_path / "2")[-1].validation["accuracy"] > 0.95


def test_rows_that_are_changed_and_mixed_in_each_epoch_give_the_same_bytes_on_any_number_of_workers_and_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [
        {"name": "noise", "settings": {"levels": 4.0}},
        {"name": "overlay", "settings": {"mixup": 0.3, "cutmix": 0.3}},
    ]
    augment, trees = {"when": "during", "copies": 1, "steps": steps}, []
    for workers, threads in ((1, 1), (2, 1), (1, 2)):
        monkeypatch.setenv("RATCHET_HOROVOD__THREADS_PER_WORKER", str(threads))
        root = make_root(tmp_path / f"{workers}-{threads}", augment=augment, train={"epochs": 3})
        trees.append(tree(run_stage(root, monkeypatch, workers=workers)))
    assert trees[0] == trees[1] == trees[2]
    assert json.loads(trees[0]["training.json"])["steps_per_epoch"] == 1500 // 32
    history = history_of(root)
    assert history[-1].validation["accuracy"] > 0.9 > history[-1].train["accuracy"]  # half of the rows are mixed


def test_a_training_that_need_not_be_exact_learns_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_HOROVOD__THREADS_PER_WORKER", "2")
    root = make_root(tmp_path / "fast", train={"exact": False, "epochs": 3})
    run_stage(root, monkeypatch)
    assert history_of(root)[-1].validation["accuracy"] > 0.95


def test_two_hosts_of_this_machine_give_the_same_bytes(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = run_stage(make_root(tmp_path / "again"), monkeypatch, hosts="localhost:1,127.0.0.1:1")
    assert tree(candidate) == tree(undisturbed)


def test_a_diverging_run_stops_with_one_line_and_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_root(tmp_path / "diverging", train={"learning_rate": 100.0, "optimizer": "sgd"})
    with pytest.raises(DataError, match=r"the loss is (nan|inf) in epoch 1, step \d+: .*lower train\.learning_rate"):
        run_stage(root, monkeypatch)
    assert not (root / "models").exists()


@contextmanager
def started_stage(root: Path, workers: int = 2) -> Iterator[subprocess.Popen[str]]:
    """Start the stage in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN_STAGES, str(root), "resolve", "train"],
        cwd=ROOT,
        env=os.environ | {"RATCHET_HOROVOD__WORKERS": str(workers)},
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
    return sorted(ranks, key=lambda rank: rank.environ().get("HOROVOD_RANK", "0"))


@pytest.mark.parametrize(("victim", "then"), [(0, 2), (1, 1)])
def test_a_killed_rank_ends_the_run_and_the_next_one_ends_the_same_on_another_number_too(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: int, then: int
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
    assert tree(run_stage(root, monkeypatch, workers=then)) == tree(undisturbed)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_launcher_takes_its_ranks_with_it_and_the_next_run_on_two_ends_the_same(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    root = make_root(tmp_path / "killed-launcher")
    with started_stage(root, workers) as process:
        ranks = wait_for_an_epoch(root, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: all(is_gone(rank.pid) for rank in ranks), "the ranks are gone")
    assert not (root / "models").exists()
    assert tree(run_stage(root, monkeypatch)) == tree(undisturbed)
