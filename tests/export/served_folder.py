"""A served folder made by hand: of a model of one picture, with an ONNX file that is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.export.column_files import write_columns
from pipeline.records.served_model import SERVED_FILE, ServedModel
from pipeline.storage.artifacts import digest_file
from pipeline.storage.record_files import write_record

ANSWERS = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], np.float32)
COLUMNS = {"picture": np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1), "word": np.array(["a", "", "é"], np.object_)}


def make(folder: Path, **changes: Any) -> ServedModel:
    """Write it, and return its record."""
    for path in ("saved_model/1/saved_model.pb", "onnx/model.onnx"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(path)
    (folder / "golden").mkdir()
    write_columns(folder / "golden", COLUMNS)
    np.save(folder / "golden" / "answers.npy", ANSWERS)
    values: dict[str, Any] = {
        "name": "digits",
        "version": 3,
        "digest": "sha256:0a",
        "task": "classification",
        "output": "probabilities",
        "signature": "serving_default",
        "classes": ("no", "yes"),
        "parameters": 10,
        "inputs": (
            {"name": "picture", "kind": "image", "dtype": "uint8", "shape": (None, None, 1)},
            {"name": "word", "kind": "category", "dtype": "string", "shape": ()},
        ),
        "golden_files": {f"golden/{path.name}": digest_file(path) for path in sorted((folder / "golden").iterdir())},
        "rows": 3,
        "formats": tuple(
            {"name": name, "path": path, "files": {file: digest_file(folder / file)}, "size_bytes": 9}
            for name, path, file in (
                ("saved_model", "saved_model/1", "saved_model/1/saved_model.pb"),
                ("onnx", "onnx/model.onnx", "onnx/model.onnx"),
            )
        ),
    }
    record = ServedModel.model_validate({**values, **changes})
    write_record(folder / SERVED_FILE, record)
    return record
