"""Stage evaluate: measures the candidate on the training part (as it is, without changed copies) and the test part."""

from __future__ import annotations

from pipeline import artifacts, shards
from pipeline.evaluation import curves, metrics, pictures, plots, predictions
from pipeline.evaluation.predict import predict
from pipeline.progress import count
from pipeline.stages.context import StageContext


def run(stage: StageContext) -> str:
    """Publish metrics, plots, pictures, and the test part's answers row by row; return the test accuracy in words."""
    bins = stage.param("evaluate.calibration_bins", int)
    classes = stage.param("data.classes", tuple)
    history = plots.read_history(stage.dep("models/candidate/history.csv"))

    answers = {}
    for part in ("train", "test"):
        images = shards.read_images(stage.dep(f"data/prepared/{part}"))
        stage.progress.step(f"asking the candidate about the {part} part")
        probabilities = predict(
            stage.dep("models/candidate"),
            images.pixels,
            progress=lambda done, total: stage.progress.advance(done, total, "images"),
        )
        metrics.check_answers(images.labels, probabilities, classes, part)
        answers[part] = predictions.Predictions(images.ids, images.labels, probabilities)

    stage.progress.step("measuring")
    figures = {
        part: metrics.measure(answer.labels, answer.probabilities, calibration_bins=bins)
        for part, answer in answers.items()
    }
    test = answers["test"]
    labels, probabilities = test.labels, test.probabilities
    by_class = metrics.measure_classes(labels, probabilities, classes)
    roc = curves.roc(labels, probabilities)
    precision_recall = curves.precision_recall(labels, probabilities)
    calibration = curves.calibration(labels, probabilities, bins=bins)

    for name, content in {
        "learning_curves": plots.learning_curves(history),
        "confusion": plots.confusion(labels, probabilities, classes),
        "roc": plots.roc(roc, classes),
        "precision_recall": plots.precision_recall(precision_recall, classes),
        "calibration": plots.calibration(calibration),
    }.items():
        artifacts.write_file(stage.out(f"reports/plots/{name}.csv"), content)
    with artifacts.published_folder(stage.out("reports/pictures")) as folder:
        for name, content in {
            "learning_curves": pictures.learning_curves(history),
            "confusion": pictures.confusion(metrics.confusion_matrix(labels, probabilities), classes),
            "roc": pictures.roc(roc, classes),
            "precision_recall": pictures.precision_recall(precision_recall, classes),
            "calibration": pictures.calibration(calibration),
        }.items():
            (folder / f"{name}.svg").write_bytes(content)
    with artifacts.published_folder(stage.out("reports/predictions")) as folder:
        predictions.write_predictions(folder, "test", test, classes)
    # Last: without metrics nothing is let through.
    report = metrics.as_report(figures["train"], figures["test"], by_class)
    artifacts.write_json(stage.out("reports/metrics.json"), report)
    return f"test accuracy {figures['test'].accuracy:.3f} on {count(figures['test'].rows)} images"
