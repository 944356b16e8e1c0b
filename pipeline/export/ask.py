"""Queries an exported model in a fresh process."""

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
    """Return the probabilities that a stored model's exported form predicts for images; see `exported` and `ask`."""
    if not len(images):
        raise DataError("there are no rows to ask the exported model about")
    return ask(exported(model_folder, exports), images, scratch)


def ask(
    saved_model: Path, images: npt.NDArray[np.uint8], scratch: Path, *, timeout_s: float = ASK_TIMEOUT_S
) -> npt.NDArray[np.float32]:
    """Load a SavedModel in a fresh process, query it, and return its probabilities `[row, class] float32`.

    Like a model server, the process loads neither Keras nor this package's models. Raises DataError with the last line
    it printed if it fails; TryAgain if it exceeds the time-out or is killed, which says nothing about the model.
    `scratch` is a folder for this call alone, removed afterwards.
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
    images_path, answers_path, log = scratch / "images.npy", scratch / "probabilities.npy", scratch / "query.log"
    np.save(images_path, images, allow_pickle=False)
    command = [sys.executable, "-m", "pipeline.export.query", str(saved_model), str(images_path), str(answers_path)]
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
    answers: npt.NDArray[np.float32] = np.load(answers_path, allow_pickle=False)
    return answers
