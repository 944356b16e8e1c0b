"""The real evaluate stage, over a small model that was really trained, as the command line and DVC see it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from sklearn.datasets import load_digits

from pipeline.errors import DataError
from pipeline.evaluation.predictions import read_predictions
from pipeline.report.page import render
from pipeline.stages import evaluate
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder
from pipeline.storage.near_duplicates import SCHEMA, Between, write_near_duplicates
from tests.system.prepared import write_images
from tests.system.project import ROOT

NEAR = (0, 3, 500)  # test rows that look like a training row
CLASSES = [f"digit {number}" for number in range(10)]
TRAINED = """
import pathlib, sys
import numpy as np
from pipeline.models import stored
from pipeline.models.build import build
from pipeline.records.architecture import Architecture
from tests.models.made import image
root = pathlib.Path(sys.argv[1])
data = np.load(root / "digits.npz")
architecture = Architecture(
    name="mlp",
    settings={"units": [32], "dropout": 0.0},
    task="classification",
    features=(image((8, 8, 1), mean=78.0, std=96.0),),
    classes=tuple(f"digit {n}" for n in range(10)),
)
import keras
keras.utils.set_random_seed(1)
model = build(architecture)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit({"image": data["train"]}, data["train_labels"], batch_size=32, epochs=4, verbose=0)
folder = root / "models" / "candidate"
folder.mkdir(parents=True)
stored.save(folder, architecture, model)
np.save(root / "expected.npy", model.predict({"image": data["test"]}, verbose=0))
"""
ASKED = """
import pathlib, sys
import numpy as np
from pipeline.evaluation.predict import predict
root = pathlib.Path(sys.argv[1])
pixels = np.load(root / "digits.npz")["test"]
said = []
progress = lambda done, total: said.append((done, total))
whole = predict(root / "models" / "candidate", {"image": pixels}, progress=progress)
part = predict(root / "models" / "candidate", {"image": pixels[:300]})
assert part.tobytes() == whole[:300].tobytes(), "a row's answer depends on how many rows are asked"
assert said[-1] == (len(pixels), len(pixels)) and said == sorted(said)
assert predict(root / "models" / "candidate", {"image": pixels[:0]}).shape == (0, 10)
"""


def call(root: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{root}{os.pathsep}{ROOT}",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=check)


def evaluate_here(root: Path) -> None:
    """Run the stage in this process, which has TensorFlow already."""
    evaluate.run(StageContext.load(root, "evaluate"))


def published(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted((root / "reports").rglob("*"))
        if path.is_file() and path.name != "recipe.json"
    }


def _near(test_rows: tuple[int, ...]) -> pa.Table:
    """Return test rows, each with a training row that it looks like."""
    near = {"part": "test", "id": "", "label": 0, "earlier_part": "train", "earlier_row": 0, "earlier_id": ""}
    rows = [{**near, "row": row, "earlier_label": 0, "bits": 1, "likeness": 0.99} for row in test_rows]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write_part(folder: Path, pixels: Any, labels: Any) -> None:
    ids = [f"{folder.name}-{row:04}" for row in range(len(pixels))]
    write_images(folder, ids, pixels, labels)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a trained candidate and its data, not evaluated."""
    root = tmp_path_factory.mktemp("project")
    for name in ("dvc.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    recipe = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    recipe["data"]["classes"] = CLASSES
    (root / "params.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    shutil.copytree(ROOT / "data_contracts", root / "data_contracts")
    call(root, sys.executable, "-m", "pipeline", "stage", "resolve")

    digits = load_digits()
    pixels, labels = (digits.images[..., np.newaxis] * 255 / 16).astype(np.uint8), digits.target
    write_part(root / "data" / "prepared" / "train", pixels[:1000], labels[:1000])
    write_part(root / "data" / "prepared" / "validation", pixels[1000:1200], labels[1000:1200])
    write_part(root / "data" / "prepared" / "test", pixels[1200:], labels[1200:])
    with published_folder(root / "data" / "near_duplicates") as folder:
        write_near_duplicates(folder, [_near(NEAR)], [Between("test", "train", len(NEAR), len(pixels) - 1200)])
    np.savez(root / "digits.npz", train=pixels[:1000], train_labels=labels[:1000], test=pixels[1200:])
    call(root, sys.executable, "-c", TRAINED, str(root))
    header = "epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy"
    history = [f"{epoch},0.001,{1 / epoch},{1 - 0.5 / epoch},{1.1 / epoch},{1 - 0.6 / epoch}" for epoch in range(1, 5)]
    (root / "models" / "candidate" / "history.csv").write_text("\n".join([header, *history, ""]))
    return root


@pytest.fixture(scope="module")
def evaluated(trained: Path) -> Path:
    call(trained, sys.executable, "-m", "pipeline", "stage", "evaluate")
    return trained


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(
        trained,
        tmp_path / "project",
        ignore=shutil.ignore_patterns("metrics.json", "golden.json", "plots", "plot_data", "predictions", ".dvc"),
    )


def test_the_stage_writes_all_that_dvc_yaml_declares_and_no_more(evaluated: Path) -> None:
    stage = yaml.safe_load((evaluated / "dvc.yaml").read_bytes())["stages"]["evaluate"]
    declared = [*stage["outs"], *stage["metrics"]]

    assert all((evaluated / path).exists() for path in declared)
    assert all(any(path == out or path.startswith(out + "/") for out in declared) for path in published(evaluated))


def test_predictions_are_the_models_own_answers_row_by_row(evaluated: Path) -> None:
    predictions = read_predictions(evaluated / "reports" / "predictions" / "test")

    assert predictions.ids == [f"test-{row:04}" for row in range(597)]
    np.testing.assert_allclose(predictions.answers, np.load(evaluated / "expected.npy"), atol=1e-6)


@pytest.mark.parametrize(("part", "rows"), [("train", 1000), ("validation", 200), ("test", 597)])
def test_every_part_has_its_predictions(evaluated: Path, part: str, rows: int) -> None:
    assert read_predictions(evaluated / "reports" / "predictions" / part).ids == [
        f"{part}-{row:04}" for row in range(rows)
    ]


def test_the_drawings_and_their_tables_are_of_the_validation_part(evaluated: Path) -> None:
    with (evaluated / "reports" / "plot_data" / "confusion.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 200


def test_metrics_are_those_of_the_predictions_and_better_than_chance(evaluated: Path) -> None:
    predictions = read_predictions(evaluated / "reports" / "predictions" / "test")
    report = json.loads((evaluated / "reports" / "metrics.json").read_bytes())
    accuracy = (predictions.answers.argmax(axis=1) == predictions.labels).mean()

    assert report["test"]["accuracy"] == pytest.approx(accuracy)
    assert report["test"]["accuracy"] > 0.7
    assert (report["test"]["rows"], report["train"]["rows"]) == (597, 1000)
    assert list(report["slices"]["class"]) == CLASSES


def test_the_test_part_is_measured_without_its_near_duplicates_too(evaluated: Path) -> None:
    found = json.loads((evaluated / "reports" / "metrics.json").read_text())
    answered = read_predictions(evaluated / "reports" / "predictions" / "test")
    is_right = answered.answers.argmax(axis=1) == answered.labels
    without = found["without_near_duplicates"]
    assert without.keys() == found["test"].keys()
    assert without["rows"] == found["test"]["rows"] - len(NEAR)
    assert without["accuracy"] == pytest.approx(np.delete(is_right, NEAR).mean())


def test_evaluating_in_another_process_writes_the_same_bytes(evaluated: Path, copied: Path) -> None:
    evaluate_here(copied)

    assert published(copied) == published(evaluated)


def test_dvc_shows_the_metrics_and_the_plots(evaluated: Path) -> None:
    call(evaluated, "dvc", "init", "--no-scm", "-q", "-f")
    shown = json.loads(call(evaluated, "dvc", "metrics", "show", "--json").stdout)
    figures = shown[""]["data"]["reports/metrics.json"]["data"]
    plots = json.loads(call(evaluated, "dvc", "plots", "show", "--json", "-o", "plots").stdout)

    written = json.loads((evaluated / "reports" / "metrics.json").read_bytes())
    assert written.pop("learned") == {}  # of which DVC shows nothing
    assert figures == written
    # DVC leaves out what another task would write.
    assert {error["type"] for error in plots["errors"]} == {"FileNotFoundError"}
    assert {error["name"] for error in plots["errors"]} == {
        f"reports/plot_data/{name}.csv" for name in ("predicted", "residuals", "errors")
    }
    names = {"learning_curves", "confusion", "roc", "precision_recall", "calibration"}
    drawn_of = {name: found for name, found in plots["data"].items() if found}
    assert set(drawn_of) == {f"reports/plot_data/{name}.csv" for name in names}
    for name, (plot,) in drawn_of.items():
        drawn = json.loads(plot["content"]) if isinstance(plot["content"], str) else plot["content"]
        with (evaluated / name).open(newline="") as rows:
            lines = 2 if name.endswith("learning_curves.csv") else 1  # of both parts
            assert len(drawn["data"]["values"]) == lines * len(list(csv.DictReader(rows))), name


def test_answers_do_not_depend_on_how_many_rows_are_asked(trained: Path) -> None:
    asked = call(trained, sys.executable, "-c", ASKED, str(trained), check=False)

    assert asked.returncode == 0, asked.stderr


def test_the_page_shows_what_the_stage_found(evaluated: Path) -> None:
    page = render(evaluated).decode()

    assert page.count("<svg ") == 5
    assert "Not judged yet" in page
    assert "digit 9" in page


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_class_without_rows_is_refused_and_nothing_is_written(copied: Path, part: str) -> None:
    recipe = yaml.safe_load((copied / "params.yaml").read_bytes())
    pixels = np.load(copied / "digits.npz")["test"]
    shutil.rmtree(copied / "data" / "prepared" / part)
    write_part(copied / "data" / "prepared" / part, pixels[:90], np.arange(90) % 9)
    assert recipe["data"]["classes"][9] == "digit 9"

    with pytest.raises(DataError, match=rf"{part} part: class 'digit 9' has no rows.*$"):
        evaluate_here(copied)

    assert published(copied) == {}
