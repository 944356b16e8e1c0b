"""The GPUs of a machine, listed by a stand-in for NVIDIA's driver: there is none where these tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.runtime import gpus
from tests.nvidia_smi import DRIVER, MODEL, install_tensorflow_with_cuda, put_nvidia_smi, uuid


@pytest.fixture(autouse=True)
def tensorflow_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    install_tensorflow_with_cuda(monkeypatch)


def names(environment: dict[str, str]) -> list[str]:
    return [gpu.name for gpu in gpus.look(environment).usable]


def test_every_gpu_that_the_driver_lists_is_usable(tmp_path: Path) -> None:
    seen = gpus.look(put_nvidia_smi(tmp_path, 2))
    assert seen.usable == tuple(gpus.Gpu(uuid(number), f"{MODEL}, driver {DRIVER}") for number in (0, 1))
    assert seen.in_words() == f"2 GPUs: 2 × {MODEL}, driver {DRIVER}"


def test_one_gpu_is_told_in_the_singular(tmp_path: Path) -> None:
    assert gpus.look(put_nvidia_smi(tmp_path, 1)).in_words().startswith("1 GPU: 1 × ")


def test_without_the_driver_there_is_none(tmp_path: Path) -> None:
    seen = gpus.look({"PATH": str(tmp_path)})
    assert (seen.usable, seen.in_words()) == ((), "no GPU")
    assert seen.problem.startswith("there is no nvidia-smi on PATH")


def test_a_driver_that_fails_is_quoted(tmp_path: Path) -> None:
    environment = put_nvidia_smi(tmp_path, 0, exit_code=9, says="couldn't communicate\nwith the NVIDIA driver")
    seen = gpus.look(environment)
    assert seen.usable == ()
    assert seen.problem.endswith("nvidia-smi ended with 9: couldn't communicate with the NVIDIA driver")


def test_a_driver_without_gpus_is_told(tmp_path: Path) -> None:
    assert gpus.look(put_nvidia_smi(tmp_path, 0)).problem == "nvidia-smi lists none"


@pytest.mark.parametrize(
    ("selected", "visible"),
    [
        ("1", [1]),
        ("2,0", [2, 0]),
        (" 1 , 2", [1, 2]),
        ("", []),
        ("-1", []),
        ("1,-1,2", [1]),
        ("7,1", []),
        (uuid(2), [2]),
        (uuid(1)[:12], [1]),
        ("GPU-", []),
        ("H100", []),
    ],
)
def test_those_that_somebody_has_selected_are_visible_in_that_order(
    tmp_path: Path, selected: str, visible: list[int]
) -> None:
    environment = {**put_nvidia_smi(tmp_path, 3), "CUDA_VISIBLE_DEVICES": selected}
    assert names(environment) == [uuid(number) for number in visible]


def test_a_part_of_a_gpu_counts_as_one(tmp_path: Path) -> None:
    environment = {**put_nvidia_smi(tmp_path, 1), "CUDA_VISIBLE_DEVICES": "MIG-0a,MIG-0b"}
    assert names(environment) == ["MIG-0a", "MIG-0b"]


def test_where_none_is_selected_the_variable_is_named(tmp_path: Path) -> None:
    environment = {**put_nvidia_smi(tmp_path, 2), "CUDA_VISIBLE_DEVICES": "-1"}
    assert gpus.look(environment).problem == "CUDA_VISIBLE_DEVICES=-1 shows none of them"


def test_a_tensorflow_that_knows_no_gpu_uses_none_and_they_are_still_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    seen = gpus.look(put_nvidia_smi(tmp_path, 2))
    assert (len(seen.gpus), seen.usable) == (2, ())
    assert seen.problem.startswith("tensorflow-cpu 2.")
