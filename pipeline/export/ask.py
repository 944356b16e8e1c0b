"""Asks an exported model in a fresh process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

import pipeline
from pipeline.errors import DataError, TryAgain
from pipeline.export.saved_model import exported
from pipeline.runtime import processes

ASK_TIMEOUT_S = 300.0
_MESSAGE_LIMIT = 200


def ask_export(
    model_folder: Path, exports: Path, images: npt.NDArray[np.uint8], scratch: Path
) -> npt.NDArray[np.float32]:
    """Return what the exported form of a stored model answers to images; see `exported` and `ask`."""
    if not len(images):
        raise DataError("there are no rows to ask the exported model about")
    return ask(exported(model_folder, exports), images, scratch)


def ask(
    saved_model: Path, images: npt.NDArray[np.uint8], scratch: Path, *, timeout_s: float = ASK_TIMEOUT_S
) -> npt.NDArray[np.float32]:
    """Load a SavedModel in a fresh process, ask it, and return its probabilities `[row, class] float32`.

    The process knows nothing of Keras or of this package's models, as a server would not. Raises DataError with its
    last line if it fails, TryAgain if it takes longer than the time-out or is killed: neither says anything about the
    model. `scratch` is a folder of its own, gone afterwards.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        return _answer(saved_model, images, scratch, timeout_s)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _answer(
    saved_model: Path, images: npt.NDArray[np.uint8], scratch: Path, timeout_s: float
) -> npt.NDArray[np.float32]:
    question, answer, log = scratch / "images.npy", scratch / "probabilities.npy", scratch / "query.log"
    np.save(question, images, allow_pickle=False)
    command = [sys.executable, "-m", "pipeline.export.query", str(saved_model), str(question), str(answer)]
    package_folder = Path(pipeline.__path__[0]).parent
    with log.open("wb") as output:
        process = processes.start(command, folder=package_folder, environment=os.environ, output=output)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TryAgain(f"the exported model did not answer within {timeout_s:g} s; run again") from error
        finally:
            processes.end(process)
    if code < 0:
        raise TryAgain(f"the process that asks the exported model was ended by signal {-code}; run again")
    if code != 0:
        lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        reason = lines[-1].replace(f"{scratch}/", "")[:_MESSAGE_LIMIT]
        raise DataError(f"the exported model does not answer: {reason}")
    answered: npt.NDArray[np.float32] = np.load(answer, allow_pickle=False)
    return answered
