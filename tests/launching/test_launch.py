"""Starting ranks, with small programs in their place. Real ranks: tests/system."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from pipeline.errors import DataError, UsageError
from pipeline.launching import launch
from pipeline.launching.hosts import assign_slots
from pipeline.recipe.execution import HorovodSettings
from pipeline.recipe.recipe import AugmentParams, TrainParams
from pipeline.recipe.slots import Choice
from pipeline.records.training_history import EpochRecord
from pipeline.runtime.progress import Progress
from pipeline.training import checkpoints
from pipeline.training.checkpoints import Checkpoint
from pipeline.training.job import Job
from tests.nvidia_smi import install_tensorflow_with_cuda, put_nvidia_smi, uuid

KEEP_ENVIRONMENT = (
    "import json, os, pathlib, sys; job = pathlib.Path(sys.argv[-1]);"
    "name = 'rank-' + os.environ.get('HOROVOD_RANK', 'alone');"
    "(job.parent / name).write_text(json.dumps({'job': json.loads(job.read_text()), **os.environ}))"
)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job of two epochs."""
    (tmp_path / "work").mkdir()
    return Job(
        task=Choice(name="classification"),
        model=Choice(name="mlp"),
        train=TrainParams(epochs=2, batch_size=8, learning_rate=0.01),
        augment=AugmentParams(copies=0),
        seed=1,
        classes=("cat", "dog"),
        code={},
        prepared=str(tmp_path / "prepared"),
        augmented=str(tmp_path / "augmented"),
        work=str(tmp_path / "work"),
        tensorboard=str(tmp_path / "tensorboard"),
        workers=1,
        threads=3,
    )


def finish(job: Job, epochs: int) -> None:
    """Leave the checkpoint of a job of which so many epochs are done."""
    figures = {"train": {"loss": 0.5}, "validation": {"loss": 0.5}}
    history = tuple(EpochRecord(epoch=epoch, learning_rate=0.1, **figures) for epoch in range(1, epochs + 1))
    weights = {"kernel": np.ones(2, np.float32)}
    checkpoints.save(Path(job.work), Checkpoint(history, weights, weights, weights, 4))


def ranks_that_run(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(launch, "worker_command", lambda arguments: [sys.executable, "-S", "-c", program, *arguments])


def told(job: Job, name: str) -> dict[str, str]:
    """Return the environment that a rank was given, and its job."""
    return dict(json.loads(Path(job.work, name).read_text()))


def train(job: Job, workers: int = 1) -> None:
    launch.train(job, HorovodSettings(workers=workers), Progress("train"))


def test_a_job_of_which_all_epochs_are_done_starts_nothing(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> NoReturn:
        raise AssertionError("a rank was started")

    finish(job, 2)
    monkeypatch.setattr(launch, "worker_command", never)
    train(job)
    assert [path.name for path in Path(job.work).iterdir()] == ["epoch-00002"]


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_job_with_epochs_to_do_is_given_to_a_rank(job: Job, monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    if epochs:
        finish(job, epochs)
    ranks_that_run(monkeypatch, KEEP_ENVIRONMENT)
    train(job)
    assert told(job, "rank-alone")["job"] == job.model_dump(mode="json")


def test_a_single_rank_is_told_its_threads_and_of_no_other_rank(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks_that_run(monkeypatch, KEEP_ENVIRONMENT)
    train(job)
    environment = told(job, "rank-alone")
    assert environment["OMP_NUM_THREADS"] == "3"
    assert not [name for name in environment if name.startswith("HOROVOD_")]


def test_several_ranks_are_told_their_places_and_where_they_meet(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks_that_run(monkeypatch, KEEP_ENVIRONMENT)
    train(job, workers=2)
    first, second = told(job, "rank-0"), told(job, "rank-1")
    assert (first["HOROVOD_SIZE"], first["HOROVOD_LOCAL_RANK"], second["HOROVOD_LOCAL_RANK"]) == ("2", "0", "1")
    assert first["HOROVOD_GLOO_RENDEZVOUS_ADDR"] == "127.0.0.1"
    assert first["HOROVOD_GLOO_RENDEZVOUS_PORT"] == second["HOROVOD_GLOO_RENDEZVOUS_PORT"]


def test_a_rank_sees_no_gpu_if_it_is_to_compute_on_the_processor(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ranks_that_run(monkeypatch, KEEP_ENVIRONMENT)
    on_a_machine_with(2, tmp_path, monkeypatch)
    train(job)
    assert told(job, "rank-alone")["CUDA_VISIBLE_DEVICES"] == ""


def test_each_rank_sees_a_gpu_of_its_own_and_exchanges_through_the_interface_that_is_named(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ranks_that_run(monkeypatch, KEEP_ENVIRONMENT)
    on_a_machine_with(2, tmp_path, monkeypatch)
    train(on_gpus(job), workers=2)
    ranks = [told(job, f"rank-{number}") for number in (0, 1)]
    assert [rank["CUDA_VISIBLE_DEVICES"] for rank in ranks] == [uuid(0), uuid(1)]
    assert {rank["NCCL_SOCKET_IFNAME"] for rank in ranks} == {"=lo"}


def test_a_rank_on_another_host_is_told_the_gpu_of_its_number_there(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other host is an address that belongs to nobody (RFC 5737), and `ssh` keeps what it is asked to run."""
    ranks_that_run(monkeypatch, KEEP_ENVIRONMENT)
    on_a_machine_with(1, tmp_path, monkeypatch)
    ssh = tmp_path / "driver" / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{tmp_path}/asked-$$"\n')
    ssh.chmod(0o755)
    launch.train(on_gpus(job), HorovodSettings(workers=3, hosts="localhost:1,192.0.2.1:2"), Progress("train"))
    asked = "".join(path.read_text() for path in tmp_path.glob("asked-*"))
    assert told(job, "rank-0")["CUDA_VISIBLE_DEVICES"] == uuid(0)
    assert asked.count("192.0.2.1\n") == asked.count("CUDA_DEVICE_ORDER=PCI_BUS_ID") == 2
    for local_rank in ("0", "1"):
        assert re.search(rf"CUDA_VISIBLE_DEVICES={local_rank} .*HOROVOD_LOCAL_RANK={local_rank} ", asked)


def test_without_a_gpu_no_rank_is_started(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ranks_that_run(monkeypatch, KEEP_ENVIRONMENT)
    on_a_machine_with(0, tmp_path, monkeypatch)
    with pytest.raises(UsageError, match=r"^train\.device: gpu, but this machine has none"):
        train(on_gpus(job))
    assert list(Path(job.work).iterdir()) == []


def on_gpus(job: Job) -> Job:
    return job.model_copy(update={"train": job.train.model_copy(update={"device": "gpu"})})


def on_a_machine_with(gpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_tensorflow_with_cuda(monkeypatch)
    for name, value in put_nvidia_smi(tmp_path / "driver", gpus).items():
        monkeypatch.setenv(name, value)


def test_what_a_rank_raised_is_raised(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    event = json.dumps({"event": "failed", "kind": "DataError", "message": "the loss is nan"})
    ranks_that_run(monkeypatch, f"print({event!r}, flush=True); raise SystemExit(65)")
    with pytest.raises(DataError, match=r"^the loss is nan$"):
        train(job)


def meet(**changes: object) -> None:
    with launch.rendezvous(HorovodSettings(workers=2, **changes), assign_slots([("localhost", 2)], 2)):
        pass


def test_without_horovod_several_workers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"Horovod is not installed, and horovod\.workers is 2"):
        meet()


def test_an_unknown_interface_is_refused() -> None:
    with pytest.raises(UsageError, match="no interface 'lo0' on this machine"):
        meet(interface="lo0")
