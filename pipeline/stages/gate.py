"""Stage gate: judges the candidate against the thresholds, the champion and its own exported form."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline import artifacts, shards
from pipeline.errors import DataError, UsageError
from pipeline.evaluation import comparison
from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import read_predictions
from pipeline.models import stored
from pipeline.params import ChampionRule, GateParams, ParityRule
from pipeline.registry import export
from pipeline.registry.gate import Answers, Comparison, Evidence, Unknown, Verdict, judge, predictions_problem
from pipeline.registry.records import Champion, read_champion
from pipeline.stages.context import StageContext


def run(stage: StageContext) -> str:
    """Publish `reports/verdict.json`; return the outcome and its reason."""
    rule = stage.param("gate", GateParams)
    classes = stage.param("data.classes", tuple)
    test = shards.read_images(stage.dep("data/prepared/test"))
    answers = read_predictions(stage.dep("reports/predictions"))
    champion = read_champion(stage.dep("models/champion"))
    evidence = Evidence(
        candidate=stored.digest(stage.dep("models/candidate")),
        metrics=artifacts.read_json(stage.dep("reports/metrics.json")),
        test_ids=test.ids,
        test_labels=test.labels,
        predictions=Answers(answers.ids, answers.labels, answers.probabilities),
        served=Unknown("the exported model was not asked"),
        champion=champion.champion,
        comparison=None,
    )
    # The champion first: predict settles TensorFlow's arithmetic for this process.
    evidence = dataclasses.replace(evidence, comparison=_meet(stage, evidence, champion, test, classes, rule.champion))
    evidence = dataclasses.replace(evidence, served=_serve(stage, test, rule.parity))
    verdict = judge(evidence, rule, classes)
    artifacts.write_json(stage.out("reports/verdict.json"), verdict.to_json())
    return _in_words(verdict)


def _meet(
    stage: StageContext,
    evidence: Evidence,
    champion: Champion,
    test: shards.Images,
    classes: Sequence[str],
    rule: ChampionRule,
) -> Comparison | Unknown | None:
    """Compare with the champion on the same test rows; a champion that cannot answer is a fact, not a crash."""
    if champion.champion is None:
        return None
    problem = champion.problem or predictions_problem(evidence, len(classes))
    answers = evidence.predictions
    if problem or isinstance(answers, Unknown):
        return Unknown(problem or "there are no predictions")
    folder = stage.dep("models/champion")
    stage.progress.step(f"asking champion v{champion.champion.version} about the test part")
    try:
        if stored.digest(folder) != champion.champion.digest:
            return Unknown("its files do not have its digest")
        known = stored.read_architecture(folder).classes
        if known != tuple(classes):
            return Unknown(f"it was trained for {len(known)} other classes: {', '.join(known)[:120]}")
        theirs = predict(
            folder, test.pixels, progress=lambda done, total: stage.progress.advance(done, total, "images")
        )
    except (DataError, UsageError, TypeError, ValueError) as error:  # a model of other code, shape or settings
        return Unknown(_without_root(stage, error))
    if not np.all(np.isfinite(theirs)):
        return Unknown("it answers numbers that are not finite")
    ours_right = answers.probabilities.argmax(axis=1) == test.labels
    theirs_right = theirs.argmax(axis=1) == test.labels
    seed = stage.param("seed", int)
    return Comparison(
        accuracy=comparison.compare(
            ours_right, theirs_right, confidence=rule.confidence, resamples=rule.resamples, seed=(seed, 0)
        ),
        recalls=comparison.compare_recalls(
            test.labels,
            ours_right,
            theirs_right,
            classes=len(classes),
            confidence=rule.confidence,
            resamples=rule.resamples,
            seed=seed,
        ),
    )


def _serve(stage: StageContext, test: shards.Images, rule: ParityRule) -> npt.NDArray[np.float32] | Unknown:
    """Export the candidate and ask it in a fresh process for the first test rows."""
    if not test.ids:
        return Unknown("there are no test rows to ask the exported model for")
    scratch = stage.out("reports/verdict.json").with_name(".gate.partial")
    _remove(scratch)
    scratch.mkdir(parents=True)
    try:
        stage.progress.step("exporting the candidate")
        export.export(stage.dep("models/candidate"), scratch / "saved_model")
        stage.progress.step("asking the exported model in a fresh process")
        return export.ask(scratch / "saved_model", test.pixels[: rule.rows], scratch)
    except DataError as error:
        return Unknown(_without_root(stage, error))
    finally:
        _remove(scratch)


def _in_words(verdict: Verdict) -> str:
    return f"{verdict.outcome.upper()}  {verdict.reason}"


def _without_root(stage: StageContext, error: Exception) -> str:
    """Return an error's text as it may stand in a tracked file: without the folder that this checkout lies in."""
    return " ".join(str(error).replace(f"{stage.root}/", "").split())


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
