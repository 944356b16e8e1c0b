"""A whole project as a run leaves it: real modules where evaluation has them, hand-written records elsewhere."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import yaml

from pipeline.evaluation import curves, metrics, plot_data, plots, predictions
from pipeline.models import stored
from pipeline.records.architecture import Architecture
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import write_manifest

ROOT = Path(__file__).resolve().parents[2]
BINS = 15
HISTORY = [
    {
        "epoch": float(epoch),
        "learning_rate": 0.002,
        "train_loss": 0.2 + 0.9 * 0.75**epoch,
        "train_accuracy": 0.95 - 0.4 * 0.8**epoch,
        "validation_loss": 0.25 + 0.85 * 0.77**epoch,
        "validation_accuracy": 0.92 - 0.3 * 0.75**epoch,
    }
    for epoch in range(1, 9)
]


@dataclass(frozen=True)
class Answers:
    """What a model answered on a part: pixels, labels, probabilities, and the class names."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]
    classes: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        return [
            hashlib.sha256(f"{row}".encode() + image.tobytes()).hexdigest() for row, image in enumerate(self.pixels)
        ]


def make_answers(rows: int = 400, classes: Sequence[str] = ("boot", "coat", "bag", "shirt"), seed: int = 7) -> Answers:
    generator = np.random.default_rng(seed)
    labels = (np.arange(rows) % len(classes)).astype(np.int32)
    scores = generator.normal(size=(rows, len(classes))) + 2.0 * np.eye(len(classes))[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    pixels = generator.integers(0, 256, (rows, 10, 10, 1), dtype=np.uint8)
    return Answers(pixels, labels, probabilities.astype(np.float32), tuple(classes))


@pytest.fixture(scope="session")
def answers() -> Answers:
    return make_answers()


@pytest.fixture(scope="session")
def whole_project(answers: Answers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; tests that change something take `project`."""
    root = tmp_path_factory.mktemp("whole")
    make_project(root, answers)
    return root


@pytest.fixture
def project(whole_project: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole_project, tmp_path / "project")


def make_project(root: Path, test: Answers, train: Answers | None = None) -> None:
    """Write everything that a run which ended well leaves under a root."""
    train = train or test
    recipe = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    recipe["data"]["classes"] = list(test.classes)
    (root / "params.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    (root / "dvc.lock").write_text("schema: '2.0'\n")
    _write_data(root / "data", test, train)
    digest = _write_model(root / "models" / "candidate", test)
    write_evaluation(root / "reports", test, train)
    _write_records(root / "reports", digest, test)


def write_evaluation(reports: Path, test: Answers, train: Answers) -> None:
    labels, probabilities, classes = test.labels, test.probabilities, test.classes
    report = metrics.as_report(
        metrics.measure(train.labels, train.probabilities, calibration_bins=BINS),
        metrics.measure(labels, probabilities, calibration_bins=BINS),
        metrics.measure_classes(labels, probabilities, classes),
    )
    artifacts.write_json(reports / "metrics.json", report)
    roc, precision_recall = curves.roc(labels, probabilities), curves.precision_recall(labels, probabilities)
    calibration = curves.calibration(labels, probabilities, bins=BINS)
    for name, picture in {
        "learning_curves": plots.learning_curves(HISTORY),
        "confusion": plots.confusion(metrics.confusion_matrix(labels, probabilities), classes),
        "roc": plots.roc(roc, classes),
        "precision_recall": plots.precision_recall(precision_recall, classes),
        "calibration": plots.calibration(calibration),
    }.items():
        artifacts.write_file(reports / "plots" / f"{name}.svg", picture)
    for name, table in {
        "learning_curves": plot_data.learning_curves(HISTORY),
        "confusion": plot_data.confusion(labels, probabilities, classes),
        "roc": plot_data.roc(roc, classes),
        "precision_recall": plot_data.precision_recall(precision_recall, classes),
        "calibration": plot_data.calibration(calibration),
    }.items():
        artifacts.write_file(reports / "plot_data" / f"{name}.csv", table)
    with artifacts.published_folder(reports / "predictions") as folder:
        kept = predictions.Predictions(test.ids, labels, probabilities)
        predictions.write_predictions(folder, "test", kept, classes)


def write_images(folder: Path, answers: Answers) -> None:
    """Write a prepared part."""
    shape = answers.pixels.shape[1:]
    schema = shards.image_schema(shape)
    flat = answers.pixels.reshape(len(answers.pixels), -1)
    table = pa.table(
        {
            "id": answers.ids,
            "label": answers.labels,
            "pixels": shards.pixel_column(answers.pixels),
            "pixel_mean": flat.mean(axis=1).astype(np.float32),
            "pixel_std": flat.std(axis=1).astype(np.float32),
        },
        schema=schema,
    )
    with artifacts.published_folder(folder) as aside:
        shards.finish_dataset(aside, [shards.write_shard(aside, 0, schema, [table])], schema, shape=shape)


def _write_data(data: Path, test: Answers, train: Answers) -> None:
    kept = len(test.labels) + len(train.labels)
    rejected = {"exact duplicate": 12, "label outside the declared classes": 3}
    sets: dict[str, tuple[int, dict[str, Any]]] = {
        "raw": (kept + 15, {}),
        "clean": (kept, {}),
        "quarantine": (15, {"rejected": rejected}),
        "split": (kept, {"parts": {"train": len(train.labels), "test": len(test.labels)}, "proof": {"rows": kept}}),
        "augmented": (len(train.labels), {}),
    }
    for name, (rows, counts) in sets.items():
        entry = FileEntry("part-00000.parquet", rows, 1, "sha256:0")
        write_manifest(data / name, Manifest(rows, (entry,), {"id": "string"}, counts))
    write_images(data / "prepared" / "train", train)
    write_images(data / "prepared" / "test", test)


def _write_model(folder: Path, answers: Answers) -> str:
    architecture = Architecture(
        name="mlp",
        settings={},
        input_shape=answers.pixels.shape[1:],
        classes=answers.classes,
        statistics={"mean": [127.0], "std": [70.0]},
    )
    stored.save_weights(folder, architecture, {"dense/kernel": np.zeros((4, 2), np.float32)})
    return stored.digest(folder)


def _write_records(reports: Path, digest: str, answers: Answers) -> None:
    accuracy = float((answers.probabilities.argmax(axis=1) == answers.labels).mean())
    champion = {"name": "fashion_mnist", "version": 3, "digest": "sha256:" + "c4" * 32}
    met = "against champion v3 on 400 test rows, at worst"
    checks = [
        ("minimum.accuracy", accuracy, 0.6, f"accuracy {accuracy:.4f} is at least 0.6"),
        ("minimum.macro_f1", accuracy - 0.003, 0.6, f"macro f1 {accuracy - 0.003:.4f} is at least 0.6"),
        ("maximum.cross_entropy", 0.41, 0.6, "cross entropy 0.41 is at most 0.6"),
        (
            "parity",
            1e-6,
            1e-4,
            "the exported model, loaded in a fresh process, answers 256 rows as the trained one did",
        ),
        ("champion", 0.0035, -0.01, f"accuracy: +0.0120 {met} +0.0035 at 95% confidence; 0.01 may be lost"),
        *(
            (
                f"champion.recall.{name}",
                0.01 - 0.01 * number,
                -0.08,
                f"recall of {name}: +0.0200 {met} {0.01 - 0.01 * number:+.4f} at 95% confidence; 0.08 may be lost",
            )
            for number, name in enumerate(answers.classes)
        ),
    ]
    artifacts.write_json(
        reports / "verdict.json",
        {
            "outcome": "promote",
            "reason": f"{checks[0][3]}; {checks[4][3]}",
            "checks": [
                {"name": name, "figure": figure, "bound": bound, "outcome": "pass", "sentence": sentence}
                for name, figure, bound, sentence in checks
            ],
            "candidate": digest,
            "champion": champion,
        },
    )
    artifacts.write_json(
        reports / "registration.json",
        {
            "outcome": "promoted",
            "name": "fashion_mnist",
            "version": 4,
            "champion": {"name": "fashion_mnist", "version": 4, "digest": digest},
            "sentence": "v4 is champion, in place of v3",
            "registry": "local",
        },
    )
    for suite in ("raw", "prepared"):
        column = "label" if suite == "raw" else "pixel_std"
        artifacts.write_json(
            reports / "contracts" / suite / "result.json",
            {
                "suite": f"fashion_mnist.{suite}",
                "rows": 2 * len(answers.labels),
                "outcome": "pass",
                "expectations": [
                    {
                        "type": "expect_table_row_count_to_be_between",
                        "column": None,
                        "kwargs": {"min_value": 100, "max_value": 100000},
                        "outcome": "pass",
                        "observed": 2 * len(answers.labels),
                        "offending_ids": [],
                    },
                    {
                        "type": "expect_column_values_to_be_between",
                        "column": column,
                        "kwargs": {"column": column, "min_value": 0, "max_value": 128},
                        "outcome": "pass",
                        "observed": {"min": 0, "max": 9},
                        "offending_ids": [],
                    },
                    {
                        "type": "expect_column_values_to_be_unique",
                        "column": "id",
                        "kwargs": {"column": "id"},
                        "outcome": "pass",
                        "observed": None,
                        "offending_ids": None,
                    },
                ],
            },
        )
        artifacts.write_file(reports / "contracts" / suite / "documents" / "index.html", b"<!doctype html>")
    stages = ["ingest", "check_raw", "clean", "split", "normalize", "augment", "check_prepared", "train", "evaluate"]
    artifacts.write_json(
        reports / "run.json",
        {
            "driver": "ratchet",
            "overrides": {"train.epochs": "8"},
            "started_at": "2026-11-22T13:20:07+00:00",
            "finished_at": "2026-11-22T13:25:41+00:00",
            "stages": [
                {"name": name, "what": "12 000 images, 10 classes", "seconds": 3.1 + place, "outcome": "done"}
                for place, name in enumerate([*stages, "champion", "gate", "register"])
            ],
        },
    )
