"""Stage gate: judges the candidate against the thresholds, the champion and its own exported form."""

from __future__ import annotations

from functools import partial

from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import read_predictions
from pipeline.export.ask import ask_export
from pipeline.gate.evidence import Answers
from pipeline.gate.gathering import ModelQueries, gather
from pipeline.gate.judge import judge
from pipeline.recipe.recipe import GateParams
from pipeline.stages.context import StageContext
from pipeline.storage.record_files import write_record
from pipeline.storage.shards import read_images


def run(stage: StageContext) -> str:
    """Publish `reports/verdict.json`; return the outcome and its reason."""
    rule, seed, classes = stage.param("gate", GateParams), stage.param("seed", int), stage.param("data.classes", tuple)
    candidate, test = stage.dep("models/candidate"), read_images(stage.dep("data/prepared/test"))
    predictions = read_predictions(stage.dep("reports/predictions"))
    exports, scratch = stage.volatile(".ratchet/exports"), stage.volatile(".ratchet/gate")
    stage.progress.step("asking the champion and the exported candidate")
    evidence = gather(
        candidate=candidate,
        champion=stage.dep("models/champion"),
        metrics=stage.dep("reports/metrics.json"),
        test=test,
        answers=Answers(predictions.ids, predictions.labels, predictions.probabilities),
        queries=ModelQueries(
            predict=partial(predict, pixels=test.pixels, progress=partial(stage.progress.advance, unit="images")),
            serve=partial(ask_export, candidate, exports, test.pixels[: rule.parity.rows], scratch),
            in_words=stage.without_root,
        ),
        rule=rule,
        classes=classes,
        seed=seed,
    )
    verdict = judge(evidence, rule, classes)
    write_record(stage.out("reports/verdict.json"), verdict)
    return f"{verdict.outcome.upper()}  {verdict.reason}"
