"""Stage evaluate: measures the candidate on the training part (as it is, without changed copies) and the test part."""

from __future__ import annotations

from functools import partial

from pipeline.evaluation import metrics
from pipeline.evaluation.findings import find
from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import Predictions, write_predictions
from pipeline.records.training_history import parse_history
from pipeline.runtime.progress import count
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder, read_text, write_file
from pipeline.storage.record_files import write_record
from pipeline.storage.shards import read_images


def run(stage: StageContext) -> str:
    """Publish metrics, plots, and the predictions on the test part row by row; return the test accuracy in words."""
    bins, classes = stage.param("evaluate.calibration_bins", int), stage.param("data.classes", tuple)
    candidate, path = stage.dep("models/candidate"), stage.dep("models/candidate/history.csv")
    history = parse_history(read_text(path), str(path))
    answers = {}
    for part in ("train", "test"):
        images = read_images(stage.dep(f"data/prepared/{part}"))
        stage.progress.step(f"asking the candidate about the {part} part")
        probabilities = predict(candidate, images.pixels, progress=partial(stage.progress.advance, unit="images"))
        metrics.check_answers(images.labels, probabilities, classes, part)
        answers[part] = Predictions(images.ids, images.labels, probabilities)

    stage.progress.step("measuring")
    report = metrics.report(answers["train"], answers["test"], classes, calibration_bins=bins)
    findings = find(history, answers["test"], classes, calibration_bins=bins)
    for name, table in findings.tables().items():
        write_file(stage.out(f"reports/plot_data/{name}"), table)
    with published_folder(stage.out("reports/plots")) as folder:
        for name, drawing in findings.drawings().items():
            (folder / name).write_bytes(drawing)
    with published_folder(stage.out("reports/predictions")) as folder:
        write_predictions(folder, "test", answers["test"], classes)
    write_record(stage.out("reports/metrics.json"), report)  # last: without metrics nothing is promoted
    return f"test accuracy {report.test.accuracy:.3f} on {count(report.test.rows)} images"
