"""The device of a rank: how TensorFlow is set up for it, and the note of what the training was computed on.

`computed_on.json` lies beside the checkpoints. It lists each kind of machine that has computed a part of what they
hold: more than one, if a training was continued on another.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, UsageError
from pipeline.recipe.recipe import Device
from pipeline.records.computed_on import ComputedOn
from pipeline.runtime.processor import processor
from pipeline.storage import artifacts
from pipeline.training import checkpoints
from pipeline.training.job import versions

COMPUTED_ON_FILE = "computed_on.json"


def use(tf: Any, device: Device, *, is_exact: bool) -> ComputedOn:
    """Set TensorFlow up, before it computes anything, for the one device that this rank sees; return what that is.

    A GPU's memory is taken as it is needed. `is_exact`: a GPU computes in float32 throughout (no TF32), and by kernels
    that add in a fixed order; an operation that has none is refused when it runs. Raises UsageError if the recipe says
    gpu and TensorFlow does not find exactly one.
    """
    gpu = _use_gpu(tf, is_exact=is_exact) if device == "gpu" else ""
    own = processor()
    return ComputedOn(
        device="gpu" if gpu else "cpu",
        processor=own.name,
        instructions=own.instructions,
        gpu=gpu,
        libraries=versions(),
    )


def _use_gpu(tf: Any, *, is_exact: bool) -> str:
    found = tf.config.list_physical_devices("GPU")
    if len(found) != 1:
        why = "its CUDA libraries, or the driver for them, cannot be loaded" if tf.test.is_built_with_cuda() else ""
        raise UsageError(
            f"train.device: gpu, but on {socket.gethostname()} TensorFlow finds {len(found) or 'no'} GPU"
            f"{'s' if len(found) > 1 else ''} for this rank, which needs one of its own "
            f"({why or 'it was built without CUDA' if not found else 'something has shown it more'}); "
            "`ratchet doctor` there says what it sees"
        )
    tf.config.experimental.set_memory_growth(found[0], True)
    if is_exact:
        tf.config.experimental.enable_tensor_float_32_execution(False)
        tf.config.experimental.enable_op_determinism()
    details = tf.config.experimental.get_device_details(found[0])
    capability = ".".join(map(str, details.get("compute_capability", ())))
    return str(details.get("device_name", "GPU")) + (f", compute capability {capability}" if capability else "")


def note(work: Path, own: ComputedOn, virtual_workers: int) -> None:
    """Note what goes on with a job: of earlier notes those stay whose work does, in a checkpoint."""
    earlier = noted(work) if checkpoints.finished_epochs(work, virtual_workers) else ()
    if own not in earlier:
        artifacts.write_json(work / COMPUTED_ON_FILE, [one.to_json() for one in (*earlier, own)])


def noted(work: Path) -> tuple[ComputedOn, ...]:
    """Return what a job was computed on, in the order of its epochs; nothing if it was not noted."""
    path = work / COMPUTED_ON_FILE
    if not path.is_file():
        return ()
    try:
        values = artifacts.read_json(path)
        if not isinstance(values, list):
            raise DataError(f"{path}: must be a JSON list")
        return tuple(ComputedOn.from_json(value, str(path)) for value in values)
    except DataError as error:
        raise DataError(f"{error}; remove the folder {work}, and run again") from error
