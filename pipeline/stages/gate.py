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
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.stages.context import StageContext
from pipeline.storage.record_files import write_record
from pipeline.storage.shards import read_rows


def run(stage: StageContext) -> str:
    """Publish `reports/verdict.json`; return the outcome and its reason."""
    rule, seed = stage.param("gate", GateParams), stage.param("seed", int)
    task = task_of(stage.param("task", Choice), stage.param("data.classes", tuple))
    candidate, test = stage.dep("models/candidate"), read_rows(stage.dep("data/prepared/test"))
    predictions = read_predictions(stage.dep("reports/predictions/test"))
    exports, scratch = stage.shared(".ratchet/exports"), stage.volatile(".ratchet/gate")
    first = {name: values[: rule.parity.rows] for name, values in test.columns.items()}
    stage.progress.step("asking the champion and the exported candidate")
    evidence = gather(
        candidate=candidate,
        champion=stage.dep("models/champion"),
        metrics=stage.dep("reports/metrics.json"),
        test=test,
        answers=Answers(predictions.ids, predictions.labels, predictions.answers),
        queries=ModelQueries(
            predict=partial(
                predict,
                columns=test.columns,
                progress=partial(stage.progress.advance, unit="rows"),
                starting=stage.progress.starting,
            ),
            serve=partial(ask_export, candidate, exports, first, scratch, stage.progress.starting),
            in_words=stage.without_root,
        ),
        rule=rule,
        task=task,
        seed=seed,
    )
    verdict = judge(evidence, rule, task)
    write_record(stage.out("reports/verdict.json"), verdict)
    return f"{verdict.outcome.upper()}  {verdict.reason}"
