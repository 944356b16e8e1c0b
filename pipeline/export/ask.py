"""Queries an exported model in a fresh process."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, TryAgain
from pipeline.export.apart import ended, last_said
from pipeline.export.column_files import write_columns
from pipeline.export.saved_model import exported
from pipeline.models import stored
from pipeline.models.serving import in_raw_types
from pipeline.runtime.progress import Starting
from pipeline.storage.shards import Columns

ASK_TIMEOUT_S = 300.0
_ROWS_IN_A_SECOND = 20.0  # which every model that is worth serving answers
_QUERY = "pipeline.export.query"


def ask_export(
    model_folder: Path, exports: Path, columns: Columns, scratch: Path, starting: Starting = nullcontext
) -> npt.NDArray[np.float32]:
    """Return what a stored model's exported form answers to features, `[row, …]` by name; see `exported` and `ask`.

    They are given in the types that the model takes raw.
    """
    if not columns or not all(len(values) for values in columns.values()):
        raise DataError("there are no rows to ask the exported model about")
    architecture = stored.read_architecture(model_folder)
    return ask(exported(model_folder, exports, starting), in_raw_types(architecture, columns), scratch)


def ask(
    saved_model: Path, columns: Columns, scratch: Path, *, timeout_s: float | None = None
) -> npt.NDArray[np.float32]:
    """Load a SavedModel in a fresh process, query it, and return its answers `[row, …] float32`.

    Like a model server, the process loads neither Keras nor this package's models. Raises DataError with the last line
    it printed if it fails; TryAgain if it exceeds the time-out or is killed, which says nothing about the model.
    `scratch` is a folder for this call alone, removed afterwards.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    if timeout_s is None:
        timeout_s = ASK_TIMEOUT_S + max(map(len, columns.values())) / _ROWS_IN_A_SECOND
    try:
        return _answer(saved_model, columns, scratch, timeout_s)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _answer(saved_model: Path, columns: Columns, scratch: Path, timeout_s: float) -> npt.NDArray[np.float32]:
    questions, answers_path, log = scratch / "columns", scratch / "answers.npy", scratch / "query.log"
    questions.mkdir()
    write_columns(questions, columns)
    arguments = [str(path.absolute()) for path in (saved_model, questions, answers_path)]
    with log.open("wb") as output:
        try:
            code = ended(_QUERY, arguments, output, timeout_s)
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise TryAgain(f"the exported model did not answer within {timeout_s:g} s; run again") from error
    if code < 0:
        raise TryAgain(f"the process that asks the exported model was ended by signal {-code}; run again")
    if code != 0:
        raise DataError(f"the exported model does not answer: {last_said(log)}")
    answers: npt.NDArray[np.float32] = np.load(answers_path, allow_pickle=False)
    return answers
