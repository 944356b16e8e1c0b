"""Targets of a table's rows, from texts: classes by name, classes between edges of a number, or numbers."""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.entries import UNKNOWN_LABEL, labels_of
from pipeline.data.problems import TARGET_NOT_A_NUMBER
from pipeline.data.row_faults import Faults

# A decimal number as programs write it. Neither nan nor inf is a target.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_BLANKS = " \t\r\n"
_SHOWN = 100  # characters


def targets(
    texts: pa.Array, classes: tuple[str, ...], edges: tuple[float, ...], faults: Faults, decimal: str = "."
) -> pa.Array:
    """Return the label of each row, `[row] int32 | float64`; null for a blank text, and for what is no number.

    Without classes it is the number, `decimal` before its fraction; with edges, how many of them it is above; else the
    place of the text in `classes`, or -1.
    """
    encoded = texts.dictionary_encode()
    distinct: list[str] = encoded.dictionary.to_pylist()
    places = encoded.indices
    if classes and not edges:
        label_of = labels_of(classes)
        labels = [label_of(text) if text.strip() else None for text in distinct]
        numbers = pa.array([None if label is None else label.number for label in labels], pa.int32())
        found = numbers.take(places)
        if any(label is not None and label.number == UNKNOWN_LABEL for label in labels):
            unknown = _mask(pc.equal(found, UNKNOWN_LABEL))
            faults.note(unknown, lambda row: getattr(labels[places[row].as_py()], "detail", None))
        return found
    values = np.array([_number(text, decimal) for text in distinct], np.float64)
    is_blank = np.array([not text.strip(_BLANKS) for text in distinct], np.bool_)
    is_number = np.isfinite(values)
    if not (is_number | is_blank).all():
        wrong = _mask(pa.array(~(is_number | is_blank)).take(places))
        faults.add(wrong, TARGET_NOT_A_NUMBER, lambda row: f"target {texts[row].as_py()[:_SHOWN]!r}")
    if edges:
        above = np.searchsorted(np.array(edges), values, side="left").astype(np.int32)
        return pa.array(above, mask=~is_number).take(places)
    return pa.array(values, mask=~is_number).take(places)


def _number(text: str, decimal: str) -> float:
    """Return the number that a text is; nan for none, or for one beyond the range of numbers."""
    bare = text.strip(_BLANKS)
    if decimal == ",":
        bare = "" if "." in bare else bare.replace(",", ".")
    number = float(bare) if _NUMBER.fullmatch(bare) else math.nan
    return number + 0.0 if math.isfinite(number) else math.nan  # of -0.0: 0.0


def _mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = column.fill_null(False).to_numpy(zero_copy_only=False)
    return found
