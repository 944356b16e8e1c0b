"""Stage gate: judges the candidate against the thresholds, the champion and its own exported form."""

from __future__ import annotations

from functools import partial

from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import read_predictions
from pipeline.export.ask import ask
from pipeline.export.saved_model import exported
from pipeline.gate.challenge import meet
from pipeline.gate.evidence import Answers, Evidence, known
from pipeline.gate.judge import judge
from pipeline.models import stored
from pipeline.recipe.recipe import GateParams
from pipeline.records.champion import Champion
from pipeline.records.metrics import MetricsReport
from pipeline.stages.context import StageContext
from pipeline.storage.record_files import read_record, write_record
from pipeline.storage.shards import read_images


def run(stage: StageContext) -> str:
    """Publish `reports/verdict.json`; return the outcome and its reason."""
    rule, seed, classes = stage.param("gate", GateParams), stage.param("seed", int), stage.param("data.classes", tuple)
    candidate, metrics = stage.dep("models/candidate"), stage.dep("reports/metrics.json")
    test, predictions = read_images(stage.dep("data/prepared/test")), read_predictions(stage.dep("reports/predictions"))
    champion = read_record(stage.dep("models/champion/champion.json"), Champion)
    answers = Answers(predictions.ids, predictions.labels, predictions.probabilities)
    exports, scratch = stage.volatile(".ratchet/exports"), stage.volatile(".ratchet/gate")

    stage.progress.step("asking the champion about the test part")  # first: predict settles TensorFlow's arithmetic
    challenge = partial(predict, pixels=test.pixels, progress=partial(stage.progress.advance, unit="images"))
    met = partial(meet, champion, stage.dep("models/champion"), answers, challenge, classes=classes, rule=rule.champion)
    comparison = known(partial(met, seed=seed), stage.without_root)
    stage.progress.step("asking the exported candidate in a fresh process")
    served = known(
        lambda: ask(exported(candidate, exports), test.pixels[: rule.parity.rows], scratch), stage.without_root
    )
    evidence = Evidence(
        candidate=stored.digest(candidate),
        metrics=known(lambda: read_record(metrics, MetricsReport), stage.without_root),
        test_ids=test.ids,
        test_labels=test.labels,
        predictions=answers,
        served=served,
        champion=champion.identity,
        comparison=comparison,
    )
    verdict = judge(evidence, rule, classes)
    write_record(stage.out("reports/verdict.json"), verdict)
    return f"{verdict.outcome.upper()}  {verdict.reason}"
