"""Measures the forms of a candidate on this machine, once: figures are kept by what decides them."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from pipeline.errors import DataError, TryAgain
from pipeline.export.bounds import MachineBounds
from pipeline.export.forms import version_of
from pipeline.export.making import make
from pipeline.export.proof_rows import Proof
from pipeline.export.saved_model import code_digests
from pipeline.models import stored
from pipeline.models.serving import in_raw_types
from pipeline.records.digests import digest_json
from pipeline.records.measured_exports import EXPORTS_FILE, MeasuredExports
from pipeline.records.served_model import SAVED_MODEL
from pipeline.runtime.processor import processor
from pipeline.runtime.progress import Starting
from pipeline.storage.record_files import find_record, write_record

_DECIDING_CODE = ("models", "export")
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "onnx", "onnxruntime", "tf2onnx", "ai-edge-litert", "flatbuffers")
_ROOM = "measured"
_DIGITS = 32


def measured(
    model_folder: Path,
    exports: Path,
    prove: Callable[[], Proof],
    formats: Sequence[str],
    scratch: Path,
    *,
    test: str,
    threshold: float | None = None,
    bounds: MachineBounds = MachineBounds(),  # noqa: B008 - a tuple
    starting: Starting = nullcontext,
) -> MeasuredExports:
    """Return what the forms of a stored model take here, and which bound the SavedModel does not hold.

    `prove` returns the rows that they are proven on, `test` is their digest; without `formats` nothing is measured. The
    folder `exports` has the exports and what was measured; `scratch` is for this call. What cannot be measured is no
    error: `problem` says why, and no bound is held then.
    """
    digest, machine = stored.digest(model_folder), f"{processor().name}, {len(os.sched_getaffinity(0))} cores"
    if not formats:
        return MeasuredExports(digest=digest, machine=machine, problem="export.formats in execution.yaml names none")
    versions = {name: version for name in _PACKAGES if (version := version_of(name))}
    decides = [
        digest,
        sorted(formats),
        versions,
        code_digests(*_DECIDING_CODE),
        test,
        threshold,
        machine,
        platform.node(),
    ]
    kept = exports / _ROOM / digest_json(decides).removeprefix("sha256:")[:_DIGITS] / EXPORTS_FILE
    found = find_record(kept, MeasuredExports)
    if found is None:
        try:
            found = _measured(model_folder, exports, prove(), formats, scratch, threshold, starting)
        except (DataError, TryAgain) as error:
            found = MeasuredExports(digest=digest, machine=machine, problem=" ".join(str(error).split()))
        else:
            found = found.changed(digest=digest, machine=machine)
            write_record(kept, found)
    return found.changed(beyond=_beyond(found, bounds))


def _measured(
    model_folder: Path,
    exports: Path,
    proof: Proof,
    formats: Sequence[str],
    scratch: Path,
    threshold: float | None,
    starting: Starting,
) -> MeasuredExports:
    architecture = stored.read_architecture(model_folder)
    calibration = None if proof.calibration is None else in_raw_types(architecture, proof.calibration)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        made = make(
            model_folder,
            exports,
            in_raw_types(architecture, proof.rows),
            formats,
            scratch,
            threshold=threshold,
            calibration=calibration,
            starting=starting,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return MeasuredExports(
        digest="", machine="", rows=len(made.answers), formats=made.formats, refused=dict(made.refused)
    )


def _beyond(found: MeasuredExports, bounds: MachineBounds) -> str:
    if not bounds.are_set:
        return ""
    form = next((form for form in found.formats if form.name == SAVED_MODEL), None)
    if form is None:
        return f"nothing is known of what it takes on this machine: {found.problem}"
    alone = next((speed.p95_ms for speed in form.speeds if speed.rows == 1), None)
    return bounds.beyond(SAVED_MODEL, form.size_bytes, alone)
