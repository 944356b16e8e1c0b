"""A stored model's answers: the same bits however it is asked, and one line for what it does not take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.predict import BATCH_ROWS, predict
from pipeline.models import stored
from tests.models.made import Columns, rows_of

ASK = """
import sys
from pathlib import Path
from pipeline.evaluation.predict import predict
from pipeline.models import stored
from tests.models.made import rows_of
folder = Path(sys.argv[1])
print(predict(folder, rows_of(stored.read_architecture(folder), 600)).tobytes().hex())
"""


@pytest.fixture
def rows(two: Path) -> Columns:
    return rows_of(stored.read_architecture(two), BATCH_ROWS + 44)


def test_the_number_of_rows_makes_no_difference_to_a_rows_answer(two: Path, rows: Columns) -> None:
    whole = predict(two, rows)
    for start, end in ((0, 1), (3, 10), (BATCH_ROWS - 1, BATCH_ROWS + 1)):
        part = predict(two, {name: values[start:end] for name, values in rows.items()})
        assert part.tobytes() == whole[start:end].tobytes()


def test_no_rows_have_no_answers(two: Path, rows: Columns) -> None:
    assert predict(two, {name: values[:0] for name, values in rows.items()}).shape == (0, 2)


def test_one_core_and_all_give_the_same_bits(two: Path) -> None:
    said = []
    for cores in (set(list(os.sched_getaffinity(0))[:1]), os.sched_getaffinity(0)):
        done = subprocess.run(
            [sys.executable, "-c", ASK, str(two)],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda cores=cores: os.sched_setaffinity(0, cores),
        )
        said.append(done.stdout)
    assert said[0] == said[1]


def test_progress_is_told_in_rows(two: Path, rows: Columns) -> None:
    told: list[tuple[int, int]] = []
    predict(two, rows, progress=lambda done, total: told.append((done, total)))
    assert told == [(BATCH_ROWS, BATCH_ROWS + 44), (BATCH_ROWS + 44, BATCH_ROWS + 44)]


def test_a_column_that_the_model_does_not_take_is_left_out(two: Path, rows: Columns) -> None:
    assert predict(two, {**rows, "weather": np.zeros(3)}).tobytes() == predict(two, rows).tobytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": None, "imag": np.zeros(3)}, r"takes feature 'image', there is none \(did you mean 'imag'\?\)"),
        ({"file": np.zeros((3, 8, 9, 1), np.uint8)}, r"takes file as uint8\[8,8,1\], got uint8\[8,9,1\]"),
        ({"file": np.zeros((3, 8, 8, 1), np.float32)}, r"takes file as uint8\[8,8,1\], got float32\[8,8,1\]"),
        ({"file": np.zeros((3, 8, 8, 1), np.uint8)}, r"features of \[3, 300\] rows do not go together"),
    ],
    ids=["missing", "shape", "dtype", "rows"],
)
def test_what_the_model_does_not_take_is_one_line_by_the_features_name(
    two: Path, rows: Columns, changes: dict[str, Any], said: str
) -> None:
    columns = {name: values for name, values in {**rows, **changes}.items() if values is not None}
    with pytest.raises(DataError, match=said) as error:
        predict(two, columns)
    assert "\n" not in str(error.value)
