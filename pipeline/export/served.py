"""The served folder: one version of one model as programs ask it, with golden rows and their answers.

`records/served_model.py` says what is in it. It is published whole or not at all, and read only if every file has its
digest: what is served is what was proven. Reading it needs no TensorFlow.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, StorageError
from pipeline.records.served_model import ANSWERS_FILE, GOLDEN_FOLDER, SERVED_FILE, ServedModel
from pipeline.storage.artifacts import digest_file, published_folder
from pipeline.storage.record_files import read_record, write_record
from pipeline.storage.shards import Columns

if TYPE_CHECKING:
    from pipeline.export.making import Made
    from pipeline.runtime.progress import Starting

GOLDEN_ROWS = 256


def write_served(
    model_folder: Path,
    exports: Path,
    target: Path,
    golden: Columns,
    *,
    name: str,
    version: int | None,
    formats: Sequence[str],
    unit: str = "",
    threshold: float | None = None,
    calibration: Columns | None = None,
    is_made: bool = False,
    starting: Starting = nullcontext,
) -> ServedModel:
    """Publish the served folder of a stored model as `target`, and return its record.

    `golden` are rows by feature, raw or, of features that are served as prepared, those: the formats are compared on
    all of them, and the first GOLDEN_ROWS travel with the model; `is_made` says that they were made up. The SavedModel
    is always there; a further one of `formats` that cannot be made, or answers differently, is left out with its
    reason. `calibration` are training rows, for formats of whole numbers. Exports are kept in the folder `exports`.
    Raises UsageError for an unknown format; DataError if the SavedModel does not answer as the stored model does.
    """
    from pipeline.export.making import make
    from pipeline.models import stored
    from pipeline.models.serving import SIGNATURE, in_raw_types, output_name, raw_inputs

    architecture = stored.read_architecture(model_folder)
    rows = in_raw_types(architecture, golden)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as scratch:
        made: Made = make(
            model_folder,
            exports,
            rows,
            formats,
            Path(scratch),
            threshold=threshold,
            calibration=None if calibration is None else in_raw_types(architecture, calibration),
            starting=starting,
        )
    kinds = {spec.name: spec.kind for spec in architecture.features}
    with published_folder(target) as folder:
        for source, place in made.sources.items():
            _copy(source, folder / place)
        golden_files = _write_golden(
            folder, {key: values[:GOLDEN_ROWS] for key, values in rows.items()}, made.answers[:GOLDEN_ROWS]
        )
        record = ServedModel.model_validate(
            {
                "name": name,
                "version": version,
                "digest": stored.digest(model_folder),
                "task": architecture.task,
                "output": output_name(architecture),
                "signature": SIGNATURE,
                "classes": architecture.classes,
                "unit": unit,
                "threshold": threshold,
                "parameters": architecture.parameters,
                "inputs": tuple(
                    {"name": key, "kind": kinds[key], "dtype": dtype, "shape": shape}
                    for key, (shape, dtype) in raw_inputs(architecture).items()
                ),
                "golden": "made" if is_made else "test",
                "golden_files": golden_files,
                "rows": len(made.answers),
                "formats": made.formats,
                "refused": dict(made.refused),
                "made_with": dict(made.made_with),
            }
        )
        write_record(folder / SERVED_FILE, record)
    return record


def read_served(folder: Path) -> ServedModel:
    """Return the record of a served folder, after checking that each of its files is there and has its digest.

    Raises DataError, in one line, if one is not; StorageError if the folder cannot be read.
    """
    if not (folder / SERVED_FILE).is_file():
        raise StorageError(f"{folder}: no served model: it has no {SERVED_FILE}; make one by `ratchet export --to`")
    served = read_record(folder / SERVED_FILE, ServedModel)
    root = folder.resolve()
    for form in served.formats:
        if not any(path == form.path or path.startswith(f"{form.path}/") for path in form.files):
            raise DataError(f"{folder}: {form.name} has no file at {form.path}; export it again")
    for path, digest in served.files.items():
        file = folder / path
        if not file.resolve().is_relative_to(root):
            raise DataError(f"{file}: a link that leaves the served folder; export it again")
        if not file.is_file():
            raise DataError(f"{file}: missing, so the served model is not whole; export it again")
        if digest_file(file) != digest:
            raise DataError(f"{file}: its bytes do not match the digest in {SERVED_FILE}; export it again")
    return served


def golden_rows(folder: Path) -> tuple[Columns, npt.NDArray[np.float32]]:
    """Return the golden rows of a served folder, raw by feature, `[row, …]`, and their answers `[row, …] float32`.

    Texts are Python's. Raises DataError if they are missing or do not fit each other.
    """
    served = read_record(folder / SERVED_FILE, ServedModel)
    columns = {each.name: _read_column(folder, each.name, each.dtype) for each in served.inputs}
    answers = _load(folder / GOLDEN_FOLDER / ANSWERS_FILE)
    if {len(values) for values in columns.values()} != {len(answers)} or answers.dtype != np.float32:
        raise DataError(f"{folder / GOLDEN_FOLDER}: rows and answers do not fit each other; export it again")
    return columns, answers


def column_file(name: str, dtype: Any) -> str:
    """Return the file of a feature's raw values, as `export/query.py` reads it."""
    return f"{name}.json" if dtype in ("string", np.object_) else f"{name}.npy"


def _write_golden(folder: Path, columns: Columns, answers: npt.NDArray[np.float32]) -> dict[str, str]:
    golden = folder / GOLDEN_FOLDER
    golden.mkdir()
    write_columns(golden, columns)
    np.save(golden / ANSWERS_FILE, answers, allow_pickle=False)
    return {f"{GOLDEN_FOLDER}/{file.name}": digest_file(file) for file in sorted(golden.iterdir())}


def write_columns(folder: Path, columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write raw values, one file a feature; texts as a list, as an array would give each the longest one's length."""
    for name, values in columns.items():
        path = folder / column_file(name, values.dtype)
        if values.dtype == np.object_:
            path.write_text(json.dumps(values.tolist()))
        else:
            np.save(path, values, allow_pickle=False)


def _read_column(folder: Path, name: str, dtype: str) -> npt.NDArray[Any]:
    path = folder / GOLDEN_FOLDER / column_file(name, dtype)
    if dtype != "string":
        return _load(path)
    try:
        texts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no list of texts: {error}; export it again") from error
    values = np.empty(len(texts), np.object_)
    values[:] = texts
    return values


def _load(path: Path) -> npt.NDArray[Any]:
    try:
        values: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: no array: {error}; export it again") from error
    return values


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
