"""What a rank's TensorFlow is told before it computes. There is no GPU here: where one is asked for, it is made up.

Each time in a process of its own: what TensorFlow is told holds for all of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from pipeline.errors import UsageError

# TensorFlow as it is, with so many GPUs listed: what is asked of one is kept instead, and there is no CUDA to ask.
STAND_IN = """
import json, sys
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.training import device
from tensorflow.python.framework import config

tf, asked, gpus = import_tensorflow(), [], int(sys.argv[1])
real = tf.config.list_physical_devices
tf.config.list_physical_devices = lambda kind=None: (
    [tf.config.PhysicalDevice(f"/physical_device:GPU:{n}", "GPU") for n in range(gpus)] if kind == "GPU" else real(kind)
)
tf.config.experimental.set_memory_growth = lambda gpu, grows: asked.append([gpu.name, grows])
tf.config.experimental.get_device_details = lambda gpu: {"device_name": "NVIDIA H100", "compute_capability": (9, 0)}
on = device.use(tf, sys.argv[2], is_exact=sys.argv[3] == "exact")
told = {
    "computed_on": on.to_json(),
    "memory_growth": asked,
    "tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled(),
    "op_determinism": config.is_op_determinism_enabled(),
}
"""
COMPUTES = "told['sum'] = float(tf.reduce_sum(tf.ones(3)))\n"
TELLS = "print(json.dumps(told))\n"


def used(gpus: int, device: str, how: str, then: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", STAND_IN + then + TELLS, str(gpus), device, how],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UsageError(done.stderr.strip().splitlines()[-1])
    return dict(json.loads(done.stdout))


def test_on_the_processor_nothing_is_asked_of_a_gpu_even_if_there_is_one() -> None:
    told = used(1, "cpu", "exact", COMPUTES)
    assert (told["computed_on"]["device"], told["computed_on"]["gpu"], told["memory_growth"]) == ("cpu", "", [])
    assert "tensorflow-cpu" in told["computed_on"]["libraries"]
    assert told["computed_on"]["processor"]
    assert told["sum"] == 3.0


def test_a_gpu_takes_memory_as_it_needs_it_and_computes_exactly() -> None:
    told = used(1, "gpu", "exact")
    assert told["memory_growth"] == [["/physical_device:GPU:0", True]]
    assert (told["tensor_float_32"], told["op_determinism"]) == (False, True)
    assert told["computed_on"]["device"] == "gpu"
    assert told["computed_on"]["gpu"] == "NVIDIA H100, compute capability 9.0"


def test_a_gpu_that_may_reorder_computes_as_fast_as_it_can() -> None:
    told = used(1, "gpu", "fast")
    assert (told["tensor_float_32"], told["op_determinism"]) == (True, False)


@pytest.mark.parametrize(
    ("gpus", "why"), [(0, "no GPU for this rank.*built without CUDA"), (2, "2 GPUs for this rank")]
)
def test_a_rank_without_a_gpu_of_its_own_says_so_and_where(gpus: int, why: str) -> None:
    with pytest.raises(UsageError, match=f"train.device: gpu, but on .* TensorFlow finds {why}"):
        used(gpus, "gpu", "exact")
