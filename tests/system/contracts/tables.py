"""Raw and prepared data as a test may spoil them, and contracts to hold them against."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from pipeline.contracts import checking
from pipeline.data.augmenting import augmented_schema
from pipeline.data.feature_kinds import raw_schema, specs
from pipeline.recipe.slots import Feature
from pipeline.storage import shards
from tests.system.project import ROOT

SHAPE = (28, 28, 1)
IMAGE = Feature(kind="image", settings={"raw_height": 28, "raw_width": 28, "channels": 1, "height": 28, "width": 28})
FEATURES = specs({"image": IMAGE})
RAW_SCHEMA = raw_schema(FEATURES)

ROWS = 200


def images(rows: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 150, (rows, *SHAPE), np.uint8)


def raw_columns(rows: int = ROWS) -> dict[str, list[Any]]:
    payloads = [image.tobytes() for image in images(rows, 1)]
    return {
        "id": [hashlib.sha256(f"row {row}".encode()).hexdigest()[:32] for row in range(rows)],
        "label": [row % 10 for row in range(rows)],
        "part": ["train" if row < rows * 0.8 else "test" for row in range(rows)],
        "source": ["train-images-idx3-ubyte.gz"] * rows,
        "row": list(range(rows)),
        "content_digest": [hashlib.sha256(payload).hexdigest() for payload in payloads],
        "problem": [None] * rows,
        "detail": [None] * rows,
        "image_height": [28] * rows,
        "image_width": [28] * rows,
        "image_channels": [1] * rows,
        "image_mode": ["L"] * rows,
        "image_encoding": ["raw"] * rows,
        "image": payloads,
    }


def write_raw(folder: Path, columns: dict[str, list[Any]]) -> Path:
    """Write columns of RAW_SCHEMA as `data/raw`, in two shards."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns, schema=RAW_SCHEMA)
    half = table.num_rows // 2
    entries = [
        shards.write_shard(folder, number, RAW_SCHEMA, [piece])
        for number, piece in enumerate((table[:half], table[half:]))
    ]
    shards.finish_dataset(folder, entries, RAW_SCHEMA)
    return folder


@dataclass
class Prepared:
    """Prepared parts as a test may change them: part → columns."""

    parts: dict[str, dict[str, list[Any]]]

    @classmethod
    def make(cls, copies: int = 1) -> Prepared:
        parts = {}
        for seed, (part, rows) in enumerate({"train": 120, "validation": 40, "test": 40}.items()):
            parts[part] = cls.columns([f"{part}{row}" for row in range(rows)], images(rows, seed))
        sources = parts["train"]["id"] * copies
        changed = cls.columns([f"{source}-{row}" for row, source in enumerate(sources)], images(len(sources), 9))
        parts["augmented"] = {**changed, "copy": [1] * len(sources), "source_id": sources}
        return cls(parts)

    @staticmethod
    def columns(ids: list[str], pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, list[Any]]:
        flat = pixels.reshape(len(ids), int(np.prod(SHAPE)))
        return {
            "id": ids,
            "label": [row % 10 for row in range(len(ids))],
            "image": [image.tobytes() for image in flat],
            "image_mean": [float(image.mean()) for image in flat],
            "image_std": [float(image.std()) for image in flat],
        }

    def write(self, data: Path) -> Path:
        for part, columns in self.parts.items():
            schema = augmented_schema(FEATURES) if part == "augmented" else shards.prepared_schema(FEATURES)
            folder = data / ("augmented" if part == "augmented" else f"prepared/{part}")
            folder.mkdir(parents=True, exist_ok=True)
            entry = shards.write_shard(folder, 0, schema, [pa.table(columns, schema=schema)])
            shards.finish_dataset(folder, [entry], schema, features=FEATURES)
        return data


def write_suite(path: Path, *expectations: tuple[str, dict[str, Any]]) -> Path:
    declared = [("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 1000}), *expectations]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"name": "tested", "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs in declared]}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def shipped(name: str, folder: Path) -> Path:
    """Copy a shipped contract with the row count of the tests, and their brightness."""
    suite = yaml.safe_load((ROOT / "data_contracts" / "fashion_mnist" / name).read_text())
    for expectation in suite["expectations"]:
        if expectation["type"] == "expect_table_row_count_to_be_between":
            expectation["kwargs"] = {"min_value": 100, "max_value": 1000}
        if expectation["kwargs"].get("column") == "image_std" and "mean" in expectation["type"]:
            expectation["kwargs"] |= {"min_value": 30, "max_value": 60}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(yaml.safe_dump(suite))
    return folder / name


def failures(checked: checking.Checked) -> dict[tuple[str, Any], Any]:
    return {(result.type, result.column): result for result in checked.result.failed}
