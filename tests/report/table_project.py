"""A finished project of numbers, a category and a text, beside pictures or without; normalize has left rows out.

The values are hostile: formulas, markup, letters from right to left, characters without width.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from pipeline.data.column_summaries import of_texts
from pipeline.data.feature_kinds import fitted, learn, prepare, prepared_table, specs, summaries
from pipeline.data.normalizing import left_out_schema
from pipeline.evaluation.predictions import Predictions, write_predictions
from pipeline.recipe.slots import Feature
from pipeline.records.columns import Columns, ColumnSummary
from pipeline.records.feature import FeatureSpec
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import write_record
from tests.evaluation.made_answers import MadeAnswers

FORMULA = "=cmd|' /C calc'!A0"
MARKUP = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
RIGHT_TO_LEFT = "\u202eevil\u202c \u05e9\u05dc\u05d5\u05dd"
UNSEEN = "a\u200bb\u00a0c\x07"
CARRIERS = ("UA", "AA", "B6", FORMULA, MARKUP, RIGHT_TO_LEFT, UNSEEN, "a long name of a carrier " * 8)
OUTLIER = "outlier"
LEFT_OUT = {"train": 5, "validation": 0, "test": 1}
_KINDS = {
    "delay": Feature(kind="number", settings={"unit": "min", "missing": "median"}),
    "hour": Feature(kind="number"),
    "always": Feature(kind="number"),
    "carrier": Feature(kind="category", settings={"missing": "unknown"}),
    **{f"more_{number}": Feature(kind="number") for number in range(10)},
}
_TEXT = FeatureSpec(name="body", kind="text", dtype="int32", shape=(4,), facts={"body_tokens": "int32"})


def clean_rows(answers: MadeAnswers) -> pa.Table:
    """Return clean rows, one for each answer, with a text `body` beside the features."""
    rows = len(answers.labels)
    generator = np.random.default_rng(3)
    delays = np.round(generator.gamma(2.0, 12.0, rows) - 8, 1)
    delays[0] = 1e6
    columns: dict[str, Any] = {
        "delay": [None if row % 40 == 1 else value for row, value in enumerate(delays.tolist())],
        "hour": generator.integers(5, 24, rows).astype(np.float64).tolist(),
        "always": [7.0] * rows,
        "carrier": [None if row % 50 == 2 else CARRIERS[(row * 7 + row // 3) % len(CARRIERS)] for row in range(rows)],
        **{f"more_{number}": generator.normal(size=rows).tolist() for number in range(10)},
    }
    kinds = [(name, pa.string() if name == "carrier" else pa.float64()) for name in columns]
    return pa.table(columns, schema=pa.schema(kinds))


def bodies(rows: int) -> list[str | None]:
    """Return texts: some missing, some hostile, one very long."""
    texts = [None, "", f"Dear {RIGHT_TO_LEFT},\r\n\tplease {MARKUP}\nBest", "word " * 400, "x" * 20_000, "short"]
    return [texts[row % len(texts)] for row in range(rows)]


def make_tables(root: Path, answers: MadeAnswers, *, with_images: bool = False) -> None:
    """Change a finished project so that its rows are of a table; `with_images` adds the columns to its pictures."""
    rows, features = clean_rows(answers), specs(_KINDS)
    partials = [learn(features, rows)]
    features = fitted(features, partials)
    told = [*summaries(features, partials), _body_summary()]
    write_record(root / "reports" / "columns.json", Columns(columns=tuple(told)))
    recipe = yaml.safe_load((root / "params.yaml").read_bytes())
    named = {name: {"kind": each.kind, "settings": each.settings} for name, each in _KINDS.items()}
    recipe["data"]["features"] = {**(recipe["data"]["features"] if with_images else {}), **named}
    (root / "params.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    served = rows.append_column("body", pa.array(bodies(rows.num_rows), pa.string()))
    for part, lost in LEFT_OUT.items():
        prepared = root / "data" / "prepared" / part
        _write_prepared(prepared, answers, rows, features, lost, with_images=with_images)
        if part != "train":
            _write_served(root / "data" / "served" / part, answers, served, lost)
        kept = len(answers.labels) - lost
        given = answers.predictions
        folder = root / "reports" / "predictions"
        shutil.rmtree(folder / part)
        write_predictions(
            folder, part, Predictions(given.ids[:kept], given.labels[:kept], given.answers[:kept]), answers.task
        )
    _write_left_out(root / "data" / "left_out", answers)


def _body_summary() -> ColumnSummary:
    words = [MARKUP, RIGHT_TO_LEFT, *(f"word{number}" for number in range(40))]
    lengths = {0: 12, **{length: 400 // (1 + abs(length - 40)) + 1 for length in range(1, 200)}, 5000: 1}
    return ColumnSummary(name="body", kind="text", **of_texts(lengths, words, [390 - 7 * n for n in range(42)]))


def _write_prepared(
    folder: Path,
    answers: MadeAnswers,
    rows: pa.Table,
    features: tuple[FeatureSpec, ...],
    lost: int,
    *,
    with_images: bool,
) -> None:
    kept = len(answers.labels) - lost
    of_row = {"id": answers.ids[:kept], "label": answers.labels[:kept]}
    table, _ = prepared_table(of_row, features, prepare(features, rows.slice(0, kept)))
    every: tuple[FeatureSpec, ...] = features
    if with_images:
        before = read_manifest(folder).features
        pictures = pa.concat_tables(shards.iter_tables(folder, verify=False)).slice(0, kept)
        every = (*before, *features)
        for name in pictures.column_names[2:]:
            table = table.append_column(pictures.schema.field(name), pictures[name])
    shutil.rmtree(folder)
    every = (*every, _TEXT)
    values = np.zeros((kept, 4), np.int32)
    table = table.append_column("body", shards.column_of(values, _TEXT)).append_column(
        "body_tokens", pa.array(values[:, 0])
    )
    schema = shards.prepared_schema(every)
    with artifacts.published_folder(folder) as aside:
        entry = shards.write_shard(aside, 0, schema, [table.select(schema.names).cast(schema)])
        shards.finish_dataset(aside, [entry], schema, features=every)


def _write_served(folder: Path, answers: MadeAnswers, served: pa.Table, lost: int) -> None:
    kept = len(answers.labels) - lost
    table = served.slice(0, kept).add_column(0, "id", pa.array(answers.ids[:kept], pa.string()))
    with artifacts.published_folder(folder) as aside:
        pieces = [table.slice(0, 150), table.slice(150)]
        entries = [shards.write_shard(aside, number, table.schema, [piece]) for number, piece in enumerate(pieces)]
        shards.finish_dataset(aside, entries, table.schema)


def _write_left_out(folder: Path, answers: MadeAnswers) -> None:
    rejected = [
        {
            "id": f"{part}-{row:030x}",
            "label": int(answers.labels[row]),
            "part": part,
            "source": "flights.csv",
            "row": 100 + row,
            "reason": OUTLIER,
            "column": "delay",
            "detail": f"{FORMULA} is not in -30 to 90",
        }
        for part, lost in LEFT_OUT.items()
        for row in range(lost)
    ]
    schema = left_out_schema()
    with artifacts.published_folder(folder) as aside:
        entry = shards.write_shard(aside, 0, schema, [pa.Table.from_pylist(rejected, schema)])
        shards.finish_dataset(aside, [entry], schema, counts={"rejected": {OUTLIER: len(rejected)}})
