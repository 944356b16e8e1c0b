"""The served folder: one version of one model as programs ask it, with golden rows and their answers.

`records/served_model.py` says what is in it. It is published whole or not at all, and read only if every file has its
digest: what is served is what was proven. Reading it needs no TensorFlow.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.export.column_files import read_array, read_column, write_columns
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
    beside: Mapping[str, bytes] = MappingProxyType({}),
    starting: Starting = nullcontext,
) -> ServedModel:
    """Publish the served folder of a stored model as `target`, and return its record.

    `golden` are rows by feature, raw or, of features that are served as prepared, those: the formats are compared on
    all of them, and the first GOLDEN_ROWS travel with the model; `is_made` says that they were made up. The SavedModel
    is always there; a further one of `formats` that cannot be made, or answers differently, is left out with its
    reason. `calibration` are training rows, for formats of whole numbers. `beside` are files for people by name, such
    as a model card: the record says nothing of them. Exports are kept in the folder `exports`.
    Raises UsageError for an unknown format, or a `target` that holds something else; DataError if the SavedModel does
    not answer as the stored model does.
    """
    from pipeline.export.making import make, served_inputs
    from pipeline.models import stored
    from pipeline.models.serving import SIGNATURE, in_raw_types, output_name, raw_inputs

    require_replaceable(target)
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
                "inputs": served_inputs(architecture, raw_inputs(architecture)),
                "golden": "made" if is_made else "test",
                "golden_files": golden_files,
                "rows": len(made.answers),
                "formats": made.formats,
                "refused": dict(made.refused),
                "made_with": dict(made.made_with),
            }
        )
        for file, content in beside.items():
            (folder / file).write_bytes(content)
        write_record(folder / SERVED_FILE, record)
    return record


def require_replaceable(target: Path) -> None:
    """Raise UsageError if what is at `target` is neither nothing, nor empty, nor a served folder: it would be lost."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError(f"{target}: no folder; name another, which export makes")
    if target.is_dir() and any(target.iterdir()) and not (target / SERVED_FILE).is_file():
        raise UsageError(f"{target}: holds something else than a served model; name another folder, which export makes")


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
    golden = folder / GOLDEN_FOLDER
    columns = {each.name: read_column(golden, each.name, each.dtype) for each in served.inputs}
    answers = read_array(golden / ANSWERS_FILE)
    if {len(values) for values in columns.values()} != {len(answers)} or answers.dtype != np.float32:
        raise DataError(f"{golden}: rows and answers do not fit each other; export it again")
    return columns, answers


def _write_golden(folder: Path, columns: Columns, answers: npt.NDArray[np.float32]) -> dict[str, str]:
    golden = folder / GOLDEN_FOLDER
    golden.mkdir()
    write_columns(golden, columns)
    np.save(golden / ANSWERS_FILE, answers, allow_pickle=False)
    return {f"{GOLDEN_FOLDER}/{file.name}": digest_file(file) for file in sorted(golden.iterdir())}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
