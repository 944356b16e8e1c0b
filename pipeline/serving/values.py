"""From JSON values to raw columns, checked: what a model is asked is what its features can be, or a refusal.

A missing value is `null`: of a number NaN, of a category or a text an empty one, as the model takes them. Texts are put
into Unicode's form NFC, as the data phase puts them and no operation in a served model can.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.data.decoding import SIDE_LIMIT
from pipeline.errors import nearest
from pipeline.records.served_model import ServedInput, ServedModel
from pipeline.serving.limits import Limits
from pipeline.serving.pictures import of_base64, of_bytes
from pipeline.serving.refusals import BAD_REQUEST, TOO_LARGE, Refusal
from pipeline.storage.shards import Columns

IMAGE = "image"


class Part(NamedTuple):
    """Rows of a request that can be asked together: columns `[row, *shape]`, and where the rows stand in it."""

    columns: Columns
    places: npt.NDArray[np.intp]


def of_rows(served: ServedModel, rows: Any, limits: Limits) -> list[Part]:
    """Return the parts of a list of rows: objects with a value for each feature, or bare values where there is one."""
    if not isinstance(rows, list):
        raise Refusal(BAD_REQUEST, f"rows must be a list, not {kind_of(rows)}")
    has_count(len(rows), limits)
    names = [each.name for each in served.inputs]
    values: dict[str, list[Any]] = {name: [] for name in names}
    for number, row in enumerate(rows):
        found = row_values(served, row, number)
        for name in names:
            values[name].append(found[name])
    return of_columns(served, values, limits)


def row_values(served: ServedModel, row: Any, number: int) -> Mapping[str, Any]:
    """Return the values of one row by feature."""
    names = [each.name for each in served.inputs]
    if len(names) == 1 and (not isinstance(row, dict) or (set(row) == {"b64"} and names != ["b64"])):
        return {names[0]: row}
    if not isinstance(row, dict):
        raise Refusal(BAD_REQUEST, f"row {number}: must be an object with the features {_listed(names)}")
    has_names(names, row, f"row {number}: ")
    return row


def has_names(expected: Sequence[str], given: Mapping[str, Any], where: str = "") -> None:
    """Raise Refusal unless exactly the expected features are given."""
    for name in given:
        if name not in expected:
            raise Refusal(BAD_REQUEST, f"{where}no feature '{name:.80}'{nearest(name[:80], expected)}")
    for name in expected:
        if name not in given:
            raise Refusal(BAD_REQUEST, f"{where}feature '{name}' is not there; null says that its value is missing")


def of_columns(served: ServedModel, values: Mapping[str, Any], limits: Limits) -> list[Part]:
    """Return the parts of lists of values by feature, all equally long."""
    has_names([each.name for each in served.inputs], values)
    counts = set()
    for name, column in values.items():
        if not isinstance(column, list):
            raise Refusal(BAD_REQUEST, f"feature '{name}': must be a list of values, not {kind_of(column)}")
        counts.add(len(column))
    if len(counts) > 1:
        raise Refusal(BAD_REQUEST, f"the features have {_listed(map(str, sorted(counts)))} rows: all need the same")
    has_count(counts.pop(), limits)
    columns = {each.name: _column(each, values[each.name], limits) for each in served.inputs}
    return grouped(columns)


def grouped(columns: Mapping[str, Any]) -> list[Part]:
    """Return columns as parts whose values have one shape each: pictures of different sizes are asked apart."""
    ragged = [values for values in columns.values() if isinstance(values, list)]
    rows = len(next(iter(columns.values())))
    if rows == 1:
        only = {name: values[0][np.newaxis] if isinstance(values, list) else values for name, values in columns.items()}
        return [Part(only, np.zeros(1, np.intp))]
    by_shape: dict[tuple[Any, ...], list[int]] = {}
    for row in range(rows):
        by_shape.setdefault(tuple(values[row].shape for values in ragged), []).append(row)
    parts = []
    for places in by_shape.values():
        taken = {
            name: np.stack([values[row] for row in places]) if isinstance(values, list) else values[places]
            for name, values in columns.items()
        }
        parts.append(Part(taken, np.asarray(places, np.intp)))
    return parts


def has_count(rows: int, limits: Limits) -> None:
    """Raise Refusal for no rows, or more than one request may have."""
    if rows == 0:
        raise Refusal(BAD_REQUEST, "there are no rows")
    if rows > limits.rows:
        raise Refusal(TOO_LARGE, f"{rows} rows, at most {limits.rows} are taken in one request; send them in several")


def _column(taken: ServedInput, values: list[Any], limits: Limits) -> Any:
    """Return a column `[row, *shape]`; of pictures a list of `[height, width, channel]`, which may differ."""
    if taken.kind == IMAGE:
        return [_picture(taken, value, row, limits) for row, value in enumerate(values)]
    if taken.dtype == "string":
        texts = np.empty(len(values), np.object_)
        for row, value in enumerate(values):
            if value is not None and not isinstance(value, str):
                raise _wrong(taken, row, "a text", value)
            texts[row] = in_form(value or "")
        return texts
    return np.asarray([_number(taken, value, row) for row, value in enumerate(values)], taken.dtype)


def in_form(text: str) -> str:
    """Return a text in the form in which the data phase reads it."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _number(taken: ServedInput, value: Any, row: int) -> float | int:
    is_real = taken.dtype.startswith("float")
    if value is None and is_real:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(taken, row, "a number", value)
    if not is_real:
        info = np.iinfo(taken.dtype)
        if value != int(value) or not info.min <= value <= info.max:
            raise Refusal(BAD_REQUEST, f"row {row}, feature '{taken.name}': no whole number of {taken.dtype}")
        return int(value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= np.finfo(taken.dtype).max:
        raise Refusal(BAD_REQUEST, f"row {row}, feature '{taken.name}': too large for {taken.dtype}, or not finite")
    return number


def _picture(taken: ServedInput, value: Any, row: int, limits: Limits) -> npt.NDArray[np.uint8]:
    where = f"row {row}, feature '{taken.name}': "
    if isinstance(value, bytes):  # of a form, or of a body that is one picture
        return of_bytes(value, taken, limits, where)
    if isinstance(value, dict) and set(value) == {"b64"}:
        value = value["b64"]
    if isinstance(value, str):
        return of_base64(value, taken, limits, where)
    if not isinstance(value, list):
        raise _wrong(taken, row, "a picture: base64 of a file, or lists of grey levels [height][width][channel]", value)
    return _pixels(taken, value, where, limits)


def _pixels(taken: ServedInput, value: list[Any], where: str, limits: Limits) -> npt.NDArray[np.uint8]:
    channels = taken.shape[-1]
    try:
        levels = np.asarray(value)
    except (ValueError, OverflowError, TypeError):  # rows of different lengths, other things than numbers
        levels = np.empty(0, np.object_)
    if levels.dtype.kind not in "iuf" or levels.size == 0:
        raise Refusal(BAD_REQUEST, f"{where}must be lists of grey levels [height][width][channel], all equally long")
    if levels.ndim == 2 and channels == 1:
        levels = levels[..., None]
    if levels.ndim != 3 or levels.shape[-1] != channels:
        raise Refusal(BAD_REQUEST, f"{where}has shape {list(levels.shape)}, expected [height, width, {channels}]")
    if levels.shape[0] * levels.shape[1] > limits.pixels or max(levels.shape) > SIDE_LIMIT:
        raise Refusal(TOO_LARGE, f"{where}more than {limits.pixels} pixels, or {SIDE_LIMIT} a side")
    with np.errstate(invalid="ignore"):
        pixels = levels.astype(np.uint8)
    if not np.array_equal(pixels, levels):
        raise Refusal(BAD_REQUEST, f"{where}grey levels must be whole numbers from 0 to 255")
    has_shape(taken, pixels.shape, where)
    return pixels


def has_shape(taken: ServedInput, shape: Sequence[int], where: str = "") -> None:
    """Raise Refusal unless a value's shape is one that the model takes."""
    fits = len(shape) == len(taken.shape) and all(
        side in (None, given) and given > 0 for side, given in zip(taken.shape, shape, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if side is None else str(side) for side in taken.shape)
        raise Refusal(BAD_REQUEST, f"{where}has shape {list(shape)}, expected [{expected}]")


def _wrong(taken: ServedInput, row: int, expected: str, value: Any) -> Refusal:
    return Refusal(BAD_REQUEST, f"row {row}, feature '{taken.name}': must be {expected}, not {kind_of(value)}")


def kind_of(value: Any) -> str:
    """Return in words what a JSON value is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    named = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return named.get(type(value), type(value).__name__)


def _listed(names: Any) -> str:
    return ", ".join(names)
