"""Stage evaluate: asks the candidate about every part, the training part as it is, without changed copies.

Training and test part are measured, the test part also without its rows that look like a training row. What people look
at (tables, drawings, single rows) is of the validation part.
"""

from __future__ import annotations

from functools import partial

from pipeline.evaluation import measuring
from pipeline.evaluation.golden_rows import hold_golden_rows
from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import SHOWN_PART, Predictions, write_predictions
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.training_history import parse_history
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder, read_text
from pipeline.storage.near_duplicates import JUDGED_PART, LEARNED_PART, read_near_duplicates
from pipeline.storage.record_files import write_record
from pipeline.storage.served_rows import read_served
from pipeline.storage.shards import read_rows


def run(stage: StageContext) -> str:
    """Publish metrics, plots, and the answers row by row; return the primary metric in words."""
    task = task_of(stage.param("task", Choice), stage.param("data.classes", tuple))
    candidate, path = stage.dep("models/candidate"), stage.dep("models/candidate/history.csv")
    history = parse_history(read_text(path), str(path))
    predictions = {}
    for part in ("train", SHOWN_PART, "test"):
        rows = read_rows(stage.dep(f"data/prepared/{part}"))
        stage.progress.step(f"asking the candidate about the {part} part")
        answers = predict(
            candidate,
            rows.columns,
            progress=partial(stage.progress.advance, unit="rows"),
            starting=stage.progress.starting,
        )
        predictions[part] = Predictions(rows.ids, rows.labels, answers, rows.slices)
        measuring.check(task, predictions[part], part)

    served = read_served(stage.dep("data/served/test"), predictions["test"].ids)
    golden = hold_golden_rows(candidate, served, rows.columns)
    stage.progress.step("measuring")
    test, shown = predictions["test"], predictions[SHOWN_PART]
    if task.learns:
        task = task.with_learned(task.learn(shown.labels, shown.answers))
    near = read_near_duplicates(stage.dep("data/near_duplicates"))
    rows_near = [row["row"] for row in near.of(JUDGED_PART, LEARNED_PART)]
    report = measuring.report(task, predictions["train"], test, None if near.why_not else rows_near)
    for out, files in (
        ("reports/plot_data", measuring.tables(task, history, shown)),
        ("reports/plots", measuring.drawings(task, history, shown)),
    ):
        with published_folder(stage.out(out)) as folder:
            for name, content in files.items():
                (folder / name).write_bytes(content)
    with published_folder(stage.out("reports/predictions")) as folder:
        for part, answered in predictions.items():
            write_predictions(folder, part, answered, task)
    write_record(stage.out("reports/golden.json"), golden)
    write_record(stage.out("reports/metrics.json"), report)  # last: without metrics nothing is promoted
    primary = task.metrics[0]
    unit = f" {primary.unit}" if primary.unit else ""
    return f"test {primary.title} {report.primary_figure:.3f}{unit} on {count(len(test.labels))} rows"
