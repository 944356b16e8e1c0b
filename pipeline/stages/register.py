"""Stage register: publishes the candidate if the verdict is to promote it, and records it if it is to refuse it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from pipeline.export.bounds import MachineBounds
from pipeline.export.measured import measured
from pipeline.export.proof_rows import proof_rows
from pipeline.export.saved_model import exported
from pipeline.gate.digests import JUDGES
from pipeline.gate.following import require_given
from pipeline.models import stored
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.settings import flatten
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.measured_exports import MeasuredExports
from pipeline.records.metrics import MetricsReport
from pipeline.records.model_card import ModelCard
from pipeline.records.training_history import TRAINING_FILE, Training
from pipeline.records.verdict import Verdict
from pipeline.registry.actor import Actor
from pipeline.registry.card import Rows, card_of
from pipeline.registry.lineage import lineage_tags
from pipeline.registry.publish import Candidate, Description, register, require_judged
from pipeline.registry.versions import THRESHOLD
from pipeline.report.card_files import card_files
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder
from pipeline.storage.data_sets import read_data_set
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import read_record, write_record
from pipeline.storage.row_columns import slices_in
from pipeline.storage.served_rows import read_served
from pipeline.storage.shards import first_rows, read_labels, read_texts

_EXAMPLE_ROWS = 4


def run(stage: StageContext) -> str:
    """Update the registry as the verdict says; return what happened.

    Written are `reports/registration.json`, what the candidate's forms take on this machine, and its card.
    """
    verdict = read_record(stage.dep("reports/verdict.json"), Verdict)
    test = functools.cache(lambda: _read_test(stage.dep("data/prepared/test")))  # if anything is written, and once
    told = functools.cache(lambda: _tell(stage, verdict))
    candidate = Candidate(
        stage.param("name", str),
        stage.dep("models/candidate"),
        verdict,
        require_given=lambda: _require_given(stage, verdict, test()),
        describe=lambda: _describe(stage, told(), test().ids, exports),
    )
    require_judged(candidate)
    exports = _measure(stage, verdict, told)
    origin = stage.origin()
    registration = register(
        stage.store(),
        replace(candidate, beyond=exports.beyond),
        Actor.here(origin.asked_by if origin else ""),
        scratch=stage.volatile(".ratchet/register"),
        announce=stage.progress.step,
        starting=stage.progress.starting,
    )
    write_record(stage.volatile("reports/registration.json"), registration)
    write_record(stage.volatile("reports/exports.json"), exports)
    with published_folder(stage.volatile("reports/card")) as folder:
        for name, content in card_files(told().card.changed(version=registration.version)).items():
            (folder / name).write_bytes(content)
    return f"{registration.name} {registration.sentence}"


class _TestRows(NamedTuple):
    ids: list[str]
    labels: npt.NDArray[Any]
    slices: dict[str, list[str]]


def _read_test(folder: Path) -> _TestRows:
    columns = read_manifest(folder, verify=False).columns
    return _TestRows(*read_labels(folder), read_texts(folder, slices_in(columns)))


def _require_given(stage: StageContext, verdict: Verdict, test: _TestRows) -> None:
    require_given(
        verdict,
        stage.param("gate", GateParams),
        task_of(stage.param("task", Choice), stage.param("data.classes", tuple)),
        seed=stage.param("seed", int),
        code=stage.behaviour(*JUDGES),
        ids=test.ids,
        labels=test.labels,
        slices=test.slices,
        parameters=stored.read_architecture(stage.dep("models/candidate")).parameters,
    )


class _Told(NamedTuple):
    """What is told of the candidate, whoever asks."""

    metrics: MetricsReport
    lineage: dict[str, str]
    card: ModelCard


def _tell(stage: StageContext, verdict: Verdict) -> _Told:
    recipe, report = stage.parameters(), read_record(stage.dep("reports/metrics.json"), MetricsReport)
    folder = stage.dep("models/candidate")
    training = read_record(folder / TRAINING_FILE, Training)
    lineage = lineage_tags(
        recipe=recipe,
        data=stage.dep("data/prepared"),
        requirements=stage.dep("requirements/pipeline.txt"),
        lock_digest=stage.lock_digest(),
        commit=stage.commit(),
        computed_on=training.computed_on,
        origin=stage.origin(),
        answers=report,
    )
    rows = Rows(
        parts=read_data_set(stage.dep("data/prepared")).divided,
        copies=training.rows.get("augmented", 0),
        left_out=_left_out(stage),
    )
    architecture = stored.read_architecture(folder)
    card = card_of(stage.param("name", str), recipe, architecture, report, verdict, rows, lineage)
    return _Told(report, lineage, card)


def _left_out(stage: StageContext) -> dict[str, int]:
    """Return how many rows are in no part, by the reason."""
    found: dict[str, int] = {}
    for folder in (stage.dep("data/quarantine"), stage.dep("data/left_out")):
        for reason, rows in (read_data_set(folder).counts("rejected") if folder.is_dir() else {}).items():
            found[reason] = found.get(reason, 0) + rows
    unlabelled = stage.dep("data/unlabelled")
    return {**found, "no label": read_data_set(unlabelled).rows} if unlabelled.is_dir() else found


def _measure(stage: StageContext, verdict: Verdict, told: Callable[[], _Told]) -> MeasuredExports:
    """Return what the candidate's forms take here."""
    candidate, asked = stage.dep("models/candidate"), stage.execution.export
    threshold = told().lineage.get(THRESHOLD)
    return measured(
        candidate,
        stage.shared(".ratchet/exports"),
        lambda: proof_rows(stage.dep("data/prepared"), stage.dep("data/served"), stored.read_architecture(candidate)),
        asked.formats,
        stage.volatile(".ratchet/measured"),
        test=verdict.test_digest,
        threshold=float(threshold) if threshold else None,
        bounds=MachineBounds(asked.max_p95_ms, asked.max_size_mib),
        starting=stage.progress.starting,
    )


def _describe(stage: StageContext, told: _Told, test_ids: Sequence[str], exports: MeasuredExports) -> Description:
    validation = stage.dep("data/prepared/validation")
    example, (ids, _) = first_rows(validation, _EXAMPLE_ROWS), read_labels(validation)
    return Description(
        lineage=told.lineage,
        metrics=told.metrics.test_figures,
        recipe={key: str(value) for key, value in flatten(stage.parameters()).items()},
        example=example,
        served=read_served(stage.dep("data/served/validation"), ids[: len(next(iter(example.values())))]),
        test_ids=test_ids,
        card=card_files(told.card),
        exports=exports,
        exported=exported(stage.dep("models/candidate"), stage.shared(".ratchet/exports"), stage.progress.starting),
    )
