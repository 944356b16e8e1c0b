"""Makes a stored model's forms, and proves each of them against what the SavedModel answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.export import trial
from pipeline.export.apart import require_done
from pipeline.export.calibration import CALIBRATION_ROWS, spread
from pipeline.export.column_files import write_columns
from pipeline.export.formats import saved_model as saved_model_format
from pipeline.export.forms import FORMAT, Inputs, checked, missing_packages, version_of
from pipeline.export.parity import Answers, Parity, compare
from pipeline.export.probes import probes
from pipeline.export.saved_model import code_digests, exported, kept
from pipeline.models import stored
from pipeline.models.serving import raw_inputs
from pipeline.records.architecture import StoredArchitecture
from pipeline.records.digests import digest_bytes
from pipeline.records.served_model import SAVED_MODEL, ServedFormat, ServedInput, ServedSpeed
from pipeline.runtime.progress import Starting
from pipeline.storage.artifacts import digest_file
from pipeline.storage.shards import Columns

TOLERANCE = 1e-4  # of the SavedModel's numbers, by their size where that is above 1: the gate's default
_TIMEOUT_S = 900.0
_DECIDING_CODE = (
    "models",
    *(f"export/{name}.py" for name in ("calibration", "fixed_inputs", "litert_file", "saved_model")),
)
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras")
Sets = Mapping[str, Columns]


@dataclass(frozen=True)
class Made:
    """A model's forms: where each one's files are now and where they belong, and the SavedModel's `answers`."""

    answers: Answers
    formats: tuple[ServedFormat, ...]
    sources: Mapping[Path, str]
    refused: Mapping[str, str] = field(default_factory=dict)
    made_with: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Model:
    folder: Path
    architecture: StoredArchitecture
    exports: Path
    scratch: Path
    threshold: float | None
    calibration: Columns | None

    def compare(self, found: Answers, expected: Answers) -> Parity:
        has_classes = bool(self.architecture.classes)
        return compare(found, expected, has_classes=has_classes, threshold=self.threshold)


def make(
    model_folder: Path,
    exports: Path,
    rows: Columns,
    formats: Sequence[str],
    scratch: Path,
    *,
    threshold: float | None = None,
    calibration: Columns | None = None,
    starting: Starting = nullcontext,
) -> Made:
    """Return the forms of a stored model; `rows`, raw ones by feature, are what they are compared on. See `served`.

    They are compared on `probes` of these rows, too.
    """
    names = [name for name in checked(formats) if name != SAVED_MODEL]
    architecture = stored.read_architecture(model_folder)
    model = _Model(model_folder, architecture, exports, scratch, threshold, calibration)
    sets = {trial.ROWS: rows, **probes(rows, raw_inputs(architecture))}
    path = exported(model_folder, exports, starting)
    with starting("the SavedModel"):
        expected, speeds = _tried(model, SAVED_MODEL, path, sets)
        trained, _ = _tried(model, trial.TRAINED, model_folder, sets)
    parity = _worst(model, trained, expected)
    if not parity.largest_difference <= TOLERANCE:
        raise DataError(
            f"{model_folder.name}: its SavedModel answers differently from the trained model, by "
            f"{parity.largest_difference:g} where {TOLERANCE:g} may be; it is not exported"
        )
    place = saved_model_format.PLACE
    forms = [_described(SAVED_MODEL, path, place, parity, speeds).changed(tolerance=TOLERANCE)]
    sources, refused, packages = {path: place}, {}, list(_PACKAGES)
    for name in names:
        member = FORMAT.member(name)
        try:
            with starting(name):
                source, form = _proven(model, name, member, sets, expected)
        except DataError as error:
            refused[name] = str(error)
        else:
            forms.append(form)
            sources[source] = form.path
            packages += member.PACKAGES
    versions = {package: version for package in dict.fromkeys(packages) if (version := version_of(package))}
    return Made(expected[trial.ROWS], tuple(forms), sources, refused, versions)


def _proven(
    model: _Model, name: str, member: ModuleType, sets: Sets, expected: Mapping[str, Answers]
) -> tuple[Path, ServedFormat]:
    """Return where one form's file is, and what is known of it; raise DataError with the reason if there is none."""
    if missing := missing_packages(member.PACKAGES):
        raise DataError(f"it needs {' and '.join(missing)}, not installed here: `pip install {' '.join(missing)}`")
    if reason := member.refusal(model.architecture):
        raise DataError(reason)
    settings, inputs = member.Settings(), member.inputs(model.architecture)
    source = _written(model, name, member, settings)
    taken = {key: given for key, columns in sets.items() if (given := _as_taken(columns, inputs)) is not None}
    answers, speeds = _tried(model, name, source, taken)
    for key, found in answers.items():
        parity = model.compare(found, expected[key])
        what = f"{len(found)} {'rows' if key == trial.ROWS else f'rows, made {key}'}"
        if settings.tolerance is not None and not parity.largest_difference <= settings.tolerance:
            raise DataError(
                f"it answers {what} otherwise than the SavedModel: a number by {parity.largest_difference:.3g}, where "
                f"{settings.tolerance:g} may be"
            )
        if parity.agreement is not None and key == trial.ROWS and parity.agreement < settings.least_agreement:
            raise DataError(
                f"of {what} it gives {parity.agreement:.2%} the class that the SavedModel gives, where "
                f"{settings.least_agreement:.2%} must be"
            )
        if np.isnan(found).any() != np.isnan(expected[key]).any():
            raise DataError(f"it has answers to {what} where the SavedModel has none, or none where that has")
    parity = _worst(model, answers, expected)
    narrower = inputs if inputs != raw_inputs(model.architecture) else {}
    form = _described(name, source, member.PLACE, parity, speeds)
    return source, form.changed(
        tolerance=settings.tolerance,
        least_agreement=settings.least_agreement if model.architecture.classes else None,
        inputs=served_inputs(model.architecture, narrower),
    )


def served_inputs(architecture: StoredArchitecture, inputs: Inputs) -> tuple[ServedInput, ...]:
    """Return inputs as the record has them."""
    specs = {spec.name: spec for spec in architecture.features}
    known = {name: {"kind": spec.kind, "background": spec.settings.get("background")} for name, spec in specs.items()}
    return tuple(
        ServedInput.model_validate({"name": name, **known[name], "dtype": dtype, "shape": shape})
        for name, (shape, dtype) in inputs.items()
    )


def _worst(model: _Model, found: Mapping[str, Answers], expected: Mapping[str, Answers]) -> Parity:
    """Return the largest difference in any set, and the agreement on the rows that were given."""
    parities = {key: model.compare(answers, expected[key]) for key, answers in found.items()}
    largest = max(parity.largest_difference for parity in parities.values())
    return Parity(largest, parities[trial.ROWS].agreement)


def _written(model: _Model, name: str, member: ModuleType, settings: Any) -> Path:
    """Return the file, or the folder, of a form, made if that is not done yet: it is kept by what decides it."""
    file = Path(member.PLACE).name
    calibration = model.calibration if member.CALIBRATES and model.calibration else {}
    rows = {key: values[spread(len(values), CALIBRATION_ROWS)] for key, values in calibration.items()}
    versions = {package: version_of(package) for package in (*_PACKAGES, *member.PACKAGES)}
    decides = [
        stored.digest(model.folder),
        name,
        settings.model_dump(mode="json"),
        versions,
        code_digests(*_DECIDING_CODE, f"export/formats/{name}.py"),
        {key: digest_bytes(b"".join(map(_bytes, values))) for key, values in rows.items()},
    ]

    def write(folder: Path) -> None:
        questions = model.scratch / f"{name}-calibration"
        if rows:
            questions.mkdir()
            write_columns(questions, rows)
        arguments = [name, str(model.folder.absolute()), str((folder / file).absolute()), settings.model_dump_json()]
        log = model.scratch / f"{name}.log"
        require_done(
            "pipeline.export.convert",
            [*arguments, *([str(questions)] if rows else [])],
            log,
            _TIMEOUT_S,
            "it cannot be written",
        )

    return kept(model.exports, decides, write) / file


def _bytes(value: Any) -> bytes:
    return value.encode() + b"\0" if isinstance(value, str) else np.ascontiguousarray(value).tobytes()


def _as_taken(columns: Columns, inputs: Inputs) -> Columns | None:
    """Return raw rows in the types of a form's inputs; None if it does not take them."""
    for name, (shape, _) in inputs.items():
        sides = columns[name].shape[1:]
        if len(sides) != len(shape) or any(side not in (None, own) for side, own in zip(shape, sides, strict=True)):
            return None
    return {
        name: columns[name] if dtype == "string" else columns[name].astype(dtype, copy=False)
        for name, (_, dtype) in inputs.items()
    }


def _tried(model: _Model, name: str, path: Path, sets: Sets) -> tuple[dict[str, Answers], tuple[ServedSpeed, ...]]:
    """Return a form's answers to each set of rows, and its speeds, from a process that loads its runtime alone."""
    questions, answers = model.scratch / f"{name}-questions", model.scratch / f"{name}-answers"
    for key, columns in sets.items():
        (questions / key).mkdir(parents=True)
        write_columns(questions / key, columns)
    answers.mkdir()
    arguments = [name, *(str(each.absolute()) for each in (path, questions, answers))]
    log = model.scratch / f"{name}-trial.log"
    require_done("pipeline.export.trial", arguments, log, _TIMEOUT_S, "it cannot be asked")
    found = {key: np.load(answers / f"{key}.npy", allow_pickle=False) for key in sets}
    timed = answers / trial.SPEEDS
    speeds = json.loads(timed.read_text()) if timed.is_file() else []
    return found, tuple(ServedSpeed.model_validate(speed) for speed in speeds)


def _described(name: str, source: Path, place: str, parity: Parity, speeds: tuple[ServedSpeed, ...]) -> ServedFormat:
    """Return what is known of a form; `place` is where it belongs in the served folder."""
    files = sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else [source]
    places = {f"{place}/{file.relative_to(source).as_posix()}" if file != source else place: file for file in files}
    return ServedFormat(
        name=name,
        path=place,
        files={path: digest_file(file) for path, file in places.items()},
        size_bytes=sum(file.stat().st_size for file in files),
        largest_difference=parity.largest_difference,
        agreement=parity.agreement,
        speeds=speeds,
    )
