"""What keeps two trainings from agreeing bit for bit, in words."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.records.computed_on import ComputedOn
from tests.records.examples import COMPUTED_ON

CPU = COMPUTED_ON.changed(device="cpu", gpu="", libraries={"tensorflow-cpu": "2.21.0", "keras": "3.15.1"})


def test_the_same_machine_and_libraries_keep_nothing_apart() -> None:
    assert COMPUTED_ON.differences(COMPUTED_ON.changed()) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"processor": "Xeon"}, ["processor Xeon, not AMD EPYC (family 26, model 2, stepping 1)"]),
        ({"instructions": ("avx2", "avx512f", "fma")}, ["instructions avx512f more"]),
        ({"instructions": ("avx2",)}, ["instructions fma fewer"]),
        ({"instructions": ("amx_tile", "fma")}, ["instructions amx_tile more", "instructions avx2 fewer"]),
        ({"libraries": {"tensorflow-cpu": "2.21.0", "keras": "3.14.0"}}, ["keras 3.14.0, not 3.15.1"]),
        ({"libraries": {"tensorflow-cpu": "2.21.0"}}, ["keras none, not 3.15.1"]),
        ({"libraries": {**CPU.libraries, "numpy": "2.4.6"}}, ["numpy 2.4.6, not none"]),
    ],
)
def test_whatever_else_there_is_is_named(change: dict[str, Any], why: list[str]) -> None:
    assert CPU.changed(**change).differences(CPU) == why


def test_a_gpu_and_a_processor_differ_in_the_device_and_the_gpu() -> None:
    gpu = CPU.changed(device="gpu", gpu="NVIDIA H100")
    assert gpu.differences(CPU) == ["device gpu, not cpu", "GPU NVIDIA H100, not none"]


def test_two_gpus_are_told_apart() -> None:
    assert COMPUTED_ON.changed(gpu="NVIDIA L4").differences(COMPUTED_ON) == [
        "GPU NVIDIA L4, not NVIDIA H100, compute capability 9.0"
    ]


def test_the_order_in_which_libraries_are_listed_is_no_difference() -> None:
    assert ComputedOn(**{**dict(CPU), "libraries": dict(reversed(CPU.libraries.items()))}).differences(CPU) == []
