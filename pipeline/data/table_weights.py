"""Weights of a table's rows, from texts: how much each row counts in the loss of a training.

A weight is a number by the grammar of features (`number_texts.py`), with a point, from a millionth to a million. One of
0 would leave its row out in silence, and a negative one would teach the opposite of it. Within these bounds losses,
which are float32, neither vanish nor overflow.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.data.number_texts import read_numbers
from pipeline.data.problems import NO_WEIGHT, NOT_A_WEIGHT
from pipeline.data.row_faults import Faults

SMALLEST, LARGEST = 1e-6, 1e6
_SHOWN = 100  # characters of a value


def weights(texts: pa.Array, column: str, faults: Faults) -> pa.Array:
    """Return the weight of each row, `[row] float64`; null, with the row's problem, for what is none."""
    read = read_numbers(texts, ".")
    faults.add(read.is_blank, NO_WEIGHT, lambda _: f"column {column!r} is empty")
    with np.errstate(invalid="ignore"):
        is_weight = read.is_number & (read.values >= SMALLEST) & (read.values <= LARGEST)

    def told(row: int) -> str:
        text = texts[row].as_py()[:_SHOWN]
        why = f"is not from {SMALLEST:g} to {LARGEST:,.0f}" if read.is_number[row] else "is not a number"
        return f"column {column!r}: {text!r} {why}"

    faults.add(~read.is_blank & ~is_weight, NOT_A_WEIGHT, told)
    return pa.array(read.values, mask=~is_weight)
