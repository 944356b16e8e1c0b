"""Served models made up for tests: a record, an engine whose answers can be foretold, and folders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.export.served import write_columns
from pipeline.records.digests import digest_bytes
from pipeline.records.served_model import ServedModel
from pipeline.serving.model import LoadedModel
from pipeline.storage.artifacts import digest_file, write_json

DTYPES = {"image": "uint8", "number": "float64", "category": "string", "text": "string"}
SHAPES: dict[str, list[int | None]] = {"image": [None, None, 1], "number": [], "category": [], "text": []}
CLASSES = ("cat", "dog", "hen")
IMAGE = {"image": "image"}
TABLE = {"distance": "number", "carrier": "category"}
TEXT = {"body": "text"}
ALL = {"image": "image", "distance": "number", "carrier": "category", "body": "text"}
UNIT = "min"


def record(kinds: dict[str, str], *, version: int | None = 3, classes: tuple[str, ...] = CLASSES) -> ServedModel:
    """Return a record of a model with features of these kinds; without classes it answers minutes."""
    return ServedModel.from_json(
        {
            "name": "zoo",
            "version": version,
            "digest": digest_bytes(f"model {version}".encode()),
            "task": "classification" if classes else "regression",
            "output": "probabilities" if classes else "prediction",
            "signature": "serving_default",
            "classes": list(classes),
            "unit": "" if classes else UNIT,
            "parameters": 12,
            "inputs": [
                {"name": name, "kind": kind, "dtype": DTYPES[kind], "shape": SHAPES[kind]}
                for name, kind in kinds.items()
            ],
            "rows": 3,
            "formats": [
                {
                    "name": "saved_model",
                    "path": "saved_model/1",
                    "files": {"saved_model/1/saved_model.pb": digest_bytes(b"a model")},
                    "size_bytes": 7,
                }
            ],
        },
        "made",
    )


def sum_of(value: Any) -> float:
    """Return a number that stands for a value."""
    if isinstance(value, str):
        return float(sum(value.encode()))
    return float(np.nansum(value))


def foretold(served: ServedModel, row: dict[str, Any]) -> list[float]:
    """Return what `Foretelling` answers a row of raw values."""
    score = sum(sum_of(row[each.name]) for each in served.inputs) + 1000 * (served.version or 0)
    if not served.classes:
        return [np.float32(score)]
    weights = np.asarray([1 + (score * (place + 1)) % 97 for place in range(len(served.classes))])
    return (weights / weights.sum()).astype(np.float32).tolist()


@dataclass
class Foretelling:
    """An engine whose answer to a row is a function of the row and the version. It keeps what it was asked."""

    served: ServedModel
    call_s: float = 0.0
    is_open: threading.Event = field(default_factory=threading.Event)
    asked: list[int] = field(default_factory=list)
    error: Callable[[dict[str, Any]], Exception | None] = lambda columns: None

    def __post_init__(self) -> None:
        self.is_open.set()

    def answer(self, columns: dict[str, Any]) -> np.ndarray:
        assert self.is_open.wait(60)
        time.sleep(self.call_s)
        rows = len(next(iter(columns.values())))
        assert {len(values) for values in columns.values()} == {rows}
        self.asked.append(rows)
        if error := self.error(columns):
            raise error
        answers = [
            foretold(self.served, {name: values[row] for name, values in columns.items()}) for row in range(rows)
        ]
        return np.asarray(answers, np.float32)


def model(kinds: dict[str, str], *, call_s: float = 0.0, **about: Any) -> LoadedModel:
    """Return a loaded model of a record, with an engine that foretells."""
    served = record(kinds, **about)
    return LoadedModel(served, Foretelling(served, call_s), "saved_model", Path("made"))


def opened(folder: Path, served: ServedModel, wanted: str) -> tuple[str, Foretelling]:
    """Open the engine of a made folder, as `engine.open_engine` does of a real one."""
    return "saved_model", Foretelling(served)


def rows_of(kinds: dict[str, str], count: int) -> list[dict[str, Any]]:
    """Return raw rows with features of these kinds."""
    values: dict[str, Callable[[int], Any]] = {
        "image": lambda row: np.full((4, 4, 1), row, np.uint8),
        "number": lambda row: row + 0.5,
        "category": lambda row: "AB"[row % 2],
        "text": lambda row: f"text {row}",
    }
    return [{name: values[kind](row) for name, kind in kinds.items()} for row in range(count)]


def folder(path: Path, kinds: dict[str, str], *, wrong: float = 0.0, **about: Any) -> Path:
    """Write a served folder whose golden answers are the foretold ones, or off by `wrong`."""
    served = record(kinds, **about)
    model_file, golden = path / "saved_model/1/saved_model.pb", path / "golden"
    model_file.parent.mkdir(parents=True)
    model_file.write_bytes(b"a model")
    golden.mkdir()
    rows = rows_of(kinds, 3)
    columns = {name: column([row[name] for row in rows]) for name in kinds}
    write_columns(golden, columns)
    np.save(golden / "answers.npy", np.asarray([foretold(served, row) for row in rows], np.float32) + np.float32(wrong))
    files = {f"golden/{file.name}": digest_file(file) for file in golden.iterdir()}
    write_json(path / "model.json", served.changed(golden_files=files).to_json())
    return path


def column(values: list[Any]) -> np.ndarray:
    """Return values as a column."""
    if isinstance(values[0], str):
        texts = np.empty(len(values), np.object_)
        texts[:] = values
        return texts
    return np.asarray(values)
