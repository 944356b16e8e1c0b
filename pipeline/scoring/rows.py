"""One shard of raw rows: which have an answer, which cannot, and why. Values in, values out.

A row is examined as clean examines it, by its own values alone: rows are not compared. What the fitted model does not
take, as a category that it does not know where these are refused, is told by the kind, as for the test part. The last
reason is the model's own: an answer that is no finite number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.cleaning import FOUND_SCHEMA, rejected_rows, separate, understood
from pipeline.data.feature_kinds import left_out, working_bytes
from pipeline.errors import DataError
from pipeline.evaluation.classification.metrics import predicted
from pipeline.records.feature import FeatureSpec
from pipeline.scoring.model import ScoringModel
from pipeline.storage.row_columns import KEY, RowColumns
from pipeline.storage.shards import Columns, array_of

NO_ANSWER = "no finite answer"
BATCH_ROWS = 256  # as the gate asks
_AS_JUDGED = "test"  # the part whose rules hold
_BLOCK_BYTES = 64 * 2**20
_REJECTED = pa.schema(
    [("position", pa.int64()), ("reason", pa.string()), ("column", pa.string()), ("detail", pa.string())]
)

Answer = Callable[[Columns], npt.NDArray[np.float32]]  # features raw, `[row, …]` by name, to answers `[row, …]`


class Divided(NamedTuple):
    """A shard's rows with an answer, of `scored_schema`, and the others as the quarantine holds them."""

    scored: pa.Table
    rejected: pa.Table

    @property
    def predictions(self) -> dict[str, int]:
        """How many rows have each prediction."""
        return _counted(self.scored["prediction"])

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows are rejected for each reason."""
        return _counted(self.rejected["reason"])


def scored_schema(model: ScoringModel, own: RowColumns) -> pa.Schema:
    """Return the schema of scored rows; `probabilities` are in the order of the model's classes."""
    fields = [("id", pa.string()), ("source", pa.string()), ("row", pa.int64())]
    fields += [(name, kind) for name, kind in own.fields if name == KEY]
    if model.classes:
        fields += [("prediction", pa.string()), ("confidence", pa.float32())]
        fields += [("probabilities", pa.list_(pa.float32(), len(model.classes)))]
    else:
        fields += [("prediction", pa.float64())]
    return pa.schema([*fields, ("model", pa.string()), ("version", pa.int64()), ("digest", pa.string())])


def repeated_columns(schema: pa.Schema) -> list[str]:
    """Return the columns of scored rows whose values come again and again."""
    return [
        name
        for name in schema.names
        if name in ("source", "model", "version", "digest")
        or (name == "prediction" and pa.types.is_string(schema.field(name).type))
    ]


def divided(table: pa.Table, model: ScoringModel, own: RowColumns, answer: Answer) -> Divided:
    """Ask a model about a shard's raw rows that have no label.

    Raises DataError if what a row holds does not match its digest, or if the answers are not those of the model's task.
    """
    facts, usable = understood(table, len(model.classes), model.features, own)
    _, _, rejected = separate(facts, FOUND_SCHEMA.empty_table())
    positions = np.flatnonzero(facts["reason"].is_null().to_numpy())
    fitted = [spec for spec in model.features if spec.fitted is not None]
    found = left_out(fitted, usable, _AS_JUDGED)
    is_kept = np.ones(usable.num_rows, np.bool_)
    is_kept[found["position"].to_numpy()] = False
    refused = [_at(positions[found["position"].to_numpy()], found)]
    if not is_kept.all():
        usable, positions = usable.filter(pa.array(is_kept)), positions[is_kept]
    answers = asked(usable, model, answer)
    is_finite = np.isfinite(answers).all(axis=1)
    if not is_finite.all():
        usable, lost, answers = usable.filter(pa.array(is_finite)), positions[~is_finite], answers[is_finite]
        nothing = pa.nulls(len(lost), pa.string())
        reason = pa.repeat(pa.scalar(NO_ANSWER), len(lost))
        refused.append(pa.table([pa.array(lost), reason, nothing, nothing], schema=_REJECTED))
    rejected = pa.concat_tables([rejected.cast(_REJECTED), *refused]).sort_by("position")
    return Divided(_scored(usable, answers, model, own), rejected_rows(table, rejected, model.features, own))


def asked(usable: pa.Table, model: ScoringModel, answer: Answer) -> npt.NDArray[np.float32]:
    """Return the answers to clean rows, `[row, …]`, in batches that the rows alone decide."""
    answers: list[npt.NDArray[np.float32]] = []
    block = max(1, _BLOCK_BYTES // working_bytes(model.features) // BATCH_ROWS) * BATCH_ROWS
    for start in range(0, usable.num_rows, block):
        columns = raw_columns(usable.slice(start, block), model.features, model.inputs)
        rows = min(block, usable.num_rows - start)
        answers += [
            answer({name: values[first : first + BATCH_ROWS] for name, values in columns.items()})
            for first in range(0, rows, BATCH_ROWS)
        ]
    width = len(model.classes) or 1
    found = np.concatenate(answers) if answers else np.empty((0, width), np.float32)
    if found.shape != (usable.num_rows, width):
        raise DataError(
            f"{model.shown} answers {list(found.shape)} to {usable.num_rows} rows, expected {width} numbers for each"
        )
    return found


def raw_columns(usable: pa.Table, features: Sequence[FeatureSpec], inputs: Mapping[str, str]) -> Columns:
    """Return the features of clean rows as a served model takes them, `[row, …]` by name.

    A missing number is NaN, a missing text an empty one.
    """
    columns: Columns = {}
    for spec in features:
        column = usable[spec.name]
        if pa.types.is_fixed_size_binary(column.type):
            columns[spec.name] = array_of(column, spec).astype(inputs[spec.name], copy=False)
        elif inputs[spec.name] == "string":
            texts = np.empty(len(column), np.object_)
            texts[:] = column.fill_null("").to_pylist()
            columns[spec.name] = texts
        else:
            whole = column.fill_null(np.nan) if pa.types.is_floating(column.type) else column
            columns[spec.name] = np.asarray(whole.to_numpy(), inputs[spec.name])
    return columns


def _at(positions: npt.NDArray[np.intp], found: pa.Table) -> pa.Table:
    return pa.table([pa.array(positions), *(found[name] for name in _REJECTED.names[1:])], schema=_REJECTED)


def _scored(usable: pa.Table, answers: npt.NDArray[np.float32], model: ScoringModel, own: RowColumns) -> pa.Table:
    rows, schema = usable.num_rows, scored_schema(model, own)
    columns = {name: usable[name] for name in schema.names if name in usable.column_names}
    if model.classes:
        numbers = predicted(answers, model.threshold)
        columns["prediction"] = pa.array(model.classes, pa.string()).take(pa.array(numbers))
        columns["confidence"] = pa.array(answers[np.arange(rows), numbers])
        flat = pa.array(np.ascontiguousarray(answers).reshape(-1))
        columns["probabilities"] = pa.FixedSizeListArray.from_arrays(flat, len(model.classes))
    else:
        columns["prediction"] = pa.array(answers[:, 0].astype(np.float64))
    told = {"model": model.name, "version": model.version, "digest": model.digest}
    columns |= {name: pa.repeat(pa.scalar(value, schema.field(name).type), rows) for name, value in told.items()}
    return pa.table(columns, schema=schema)


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    counts = ((each["values"].as_py(), each["counts"].as_py()) for each in pc.value_counts(column))
    return dict(sorted(counts))
