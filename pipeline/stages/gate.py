"""Stage gate: judges the candidate against its bounds, the champion, the anchor and its own exported form."""

from __future__ import annotations

from functools import partial

from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import read_predictions
from pipeline.export.ask import ask_export
from pipeline.gate.digests import JUDGES
from pipeline.gate.evidence import Answers
from pipeline.gate.gathering import ModelQueries, gather
from pipeline.gate.judge import judge
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.stages.context import StageContext
from pipeline.storage.record_files import write_record
from pipeline.storage.served_rows import read_served
from pipeline.storage.shards import read_rows


def run(stage: StageContext) -> str:
    """Publish `reports/verdict.json`; return the outcome and its reason."""
    rule, seed = stage.param("gate", GateParams), stage.param("seed", int)
    task = task_of(stage.param("task", Choice), stage.param("data.classes", tuple))
    candidate, test = stage.dep("models/candidate"), read_rows(stage.dep("data/prepared/test"))
    parts = stage.dep("reports/predictions")
    of_test, of_train = (read_predictions(parts / part) for part in ("test", "train"))
    exports, scratch = stage.shared(".ratchet/exports"), stage.volatile(".ratchet/gate")
    served = read_served(stage.dep("data/served/test"), test.ids)
    first = {name: values[: rule.parity.rows] for name, values in {**test.columns, **served}.items()}
    stage.progress.step("asking the champion, the anchor and the exported candidate")
    evidence = gather(
        candidate=candidate,
        champion=stage.dep("models/champion"),
        anchor=stage.dep("models/anchor"),
        metrics=stage.dep("reports/metrics.json"),
        test=test,
        answers=Answers(of_test.ids, of_test.labels, of_test.answers),
        train=Answers(of_train.ids, of_train.labels, of_train.answers),
        queries=ModelQueries(
            predict=partial(
                predict,
                columns=test.columns,
                served=served,
                progress=partial(stage.progress.advance, unit="rows"),
                starting=stage.progress.starting,
            ),
            serve=partial(ask_export, candidate, exports, first, scratch, stage.progress.starting),
            in_words=stage.without_root,
        ),
        task=task,
    )
    verdict = judge(evidence, rule, task, seed, stage.behaviour(*JUDGES))
    write_record(stage.out("reports/verdict.json"), verdict)
    return f"{verdict.outcome.upper()}  {verdict.reason}"
