"""What the doctor says of GPUs: what there is in any case, what is missing where the recipe wants one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.doctor import gpus
from pipeline.doctor.gpus import check_gpus
from pipeline.doctor.software import has_nccl
from tests.nvidia_smi import install_tensorflow_with_cuda, put_nvidia_smi


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs, and a TensorFlow that knows them."""
    install_tensorflow_with_cuda(monkeypatch)
    monkeypatch.setattr(os, "environ", {**os.environ, **put_nvidia_smi(tmp_path / "driver", 2)})


def test_a_machine_without_gpus_is_well_if_the_recipe_wants_none(empty_path: Path) -> None:
    check = check_gpus("cpu", 2)
    assert check.is_ok
    assert check.found.startswith("no GPU: there is no nvidia-smi on PATH")
    assert check.found.endswith("(train.device: cpu)")


def test_a_machine_without_gpus_is_not_well_if_the_recipe_wants_one(empty_path: Path) -> None:
    check = check_gpus("gpu", 1)
    assert not check.is_ok
    assert check.found.endswith("and train.device is gpu")
    assert check.remedy == "ratchet run --set train.device=cpu"


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_gpus_that_are_not_asked_for_are_seen_all_the_same(two: None, device: str) -> None:
    check = check_gpus(device, 2)
    assert check.is_ok
    assert check.found.startswith("2 GPUs: 2 × NVIDIA H100")
    assert check.found.endswith(f"(train.device: {device})")


@pytest.mark.parametrize(
    ("workers", "is_built", "exchange"),
    [(1, True, "one worker exchanges nothing"), (2, True, "by NCCL"), (2, False, "by Gloo: Horovod lacks NCCL")],
)
def test_it_says_how_the_workers_would_exchange(
    two: None, monkeypatch: pytest.MonkeyPatch, workers: int, is_built: bool, exchange: str
) -> None:
    monkeypatch.setattr(gpus, "has_nccl", lambda: is_built)
    check = check_gpus("gpu", workers)
    assert check.is_ok
    assert check.found.endswith(exchange)


def test_more_workers_than_gpus_are_too_many(two: None) -> None:
    check = check_gpus("gpu", 4)
    assert not check.is_ok
    assert check.remedy == "ratchet run --execution horovod.workers=2"


def test_gpus_that_tensorflow_does_not_know_are_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, **put_nvidia_smi(tmp_path / "driver", 1)})
    check = check_gpus("gpu", 1)
    assert not check.is_ok
    assert check.found.startswith("1 GPU: 1 × NVIDIA H100 80GB HBM3, driver 570.86.15: tensorflow-cpu 2.")


def test_the_horovod_of_this_environment_is_built_without_nccl() -> None:
    assert not has_nccl()
