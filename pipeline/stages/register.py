"""Stage register: publishes the candidate if the verdict is to promote it, and records it if it is to refuse it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from pipeline.export.saved_model import exported
from pipeline.gate.digests import JUDGES
from pipeline.gate.following import require_given
from pipeline.models import stored
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.settings import flatten
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.metrics import MetricsReport
from pipeline.records.training_history import TRAINING_FILE, Training
from pipeline.records.verdict import Verdict
from pipeline.registry.actor import Actor
from pipeline.registry.lineage import lineage_tags
from pipeline.registry.publish import Candidate, Description, register, require_judged
from pipeline.stages.context import StageContext
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import read_record, write_record
from pipeline.storage.row_columns import slices_in
from pipeline.storage.served_rows import read_served
from pipeline.storage.shards import first_rows, read_labels, read_texts

_EXAMPLE_ROWS = 4


def run(stage: StageContext) -> str:
    """Update the registry as the verdict says and write `reports/registration.json`; return what happened."""
    verdict = read_record(stage.dep("reports/verdict.json"), Verdict)
    test = functools.cache(lambda: _read_test(stage.dep("data/prepared/test")))  # if anything is written, and once
    candidate = Candidate(
        stage.param("name", str),
        stage.dep("models/candidate"),
        verdict,
        require_given=lambda: _require_given(stage, verdict, test()),
        describe=lambda: _describe(stage, test().ids),
    )
    require_judged(candidate)
    origin = stage.origin()
    registration = register(
        stage.store(),
        candidate,
        Actor.here(origin.asked_by if origin else ""),
        scratch=stage.volatile(".ratchet/register"),
        announce=stage.progress.step,
        starting=stage.progress.starting,
    )
    write_record(stage.volatile("reports/registration.json"), registration)
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


def _describe(stage: StageContext, test_ids: Sequence[str]) -> Description:
    recipe, validation = stage.parameters(), stage.dep("data/prepared/validation")
    report = read_record(stage.dep("reports/metrics.json"), MetricsReport)
    example, (ids, _) = first_rows(validation, _EXAMPLE_ROWS), read_labels(validation)
    return Description(
        lineage=lineage_tags(
            recipe=recipe,
            data=stage.dep("data/prepared"),
            requirements=stage.dep("requirements/pipeline.txt"),
            lock_digest=stage.lock_digest(),
            commit=stage.commit(),
            computed_on=read_record(stage.dep("models/candidate") / TRAINING_FILE, Training).computed_on,
            origin=stage.origin(),
            answers=report,
        ),
        metrics=report.test_figures,
        recipe={key: str(value) for key, value in flatten(recipe).items()},
        example=example,
        served=read_served(stage.dep("data/served/validation"), ids[: len(next(iter(example.values())))]),
        test_ids=test_ids,
        exported=exported(stage.dep("models/candidate"), stage.shared(".ratchet/exports"), stage.progress.starting),
    )
