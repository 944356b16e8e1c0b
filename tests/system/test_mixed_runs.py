"""A table with pictures, numbers, categories and texts: from its file to the registry, twice, and asked in all forms.

The second run has other rows: what it learns of them (means, vocabularies) is not what the champion has learned, and
the gate asks each by its own.
"""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pipeline.evaluation.predictions import read_predictions
from pipeline.export.ask import ask
from pipeline.models import stored
from pipeline.models.serving import in_raw_types, output_name
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.architecture import Predicted
from pipeline.records.verdict import Verdict
from pipeline.storage.record_files import read_record
from tests.system.contracts.tables import write_suite
from tests.system.data.faulty_rows import table_of
from tests.system.project import FEW_ROWS, Project, commit_all, copy_checkout

NAME, CLASSES, ROWS, SIDE = "visits", ("left", "stayed"), 80, 10
TASK: dict[str, Any] = {"name": "classification", "settings": {"score": "log_loss"}}
COLUMNS = ("visit", "file", "hour", "delay", "carrier", "body", "label")
WORDS = {False: ["cheap", "pills", "now", "ärger", "日本", "meeting"], True: ["now", "meeting", "invoice", "ÅBO", "🙂"]}
FEATURES: dict[str, Any] = {
    "photo": {
        "kind": "image",
        "settings": {"column": "file", "raw_height": SIDE, "raw_width": SIDE, "channels": 3, "height": 8, "width": 8},
    },
    "hour": {"kind": "number", "settings": {"missing": "median", "indicator": True}},
    "delay": {"kind": "number", "settings": {"scale": "robust"}},
    "carrier": {"kind": "category", "settings": {"missing": "unknown"}},
    "body": {"kind": "text", "settings": {"length": 6, "at_least": 1, "missing": "empty"}},
}
SMALL = {"filters": [4], "embedding": 4, "phrases": 4, "widths": [2], "dense": [8], "dropout": 0.0}


def record(number: int, *, later: bool) -> dict[str, str]:
    """Return a row of the table; `later` rows have other carriers, other words and hours ten times as late."""
    drawn, words = np.random.default_rng(number + 1000 * later), WORDS[later]
    return {
        "visit": f"v{number:04}",
        "file": f"pictures/{number}.png",
        "hour": "" if number % 9 == 4 else str(drawn.integers(0, 24) * (10 if later else 1)),
        "delay": f"{drawn.normal(5, 3):.3f}",
        "carrier": "" if number % 11 == 3 else ["UA", "B6", "ZZ"][number % 3] if later else ["AA", "UA"][number % 2],
        "body": "" if number % 13 == 5 else " ".join(drawn.choice(words, 1 + number % 8)),
        "label": CLASSES[int(drawn.integers(2))],
    }


def write_rows(folder: Path, *, later: bool) -> None:
    """Write the table and the pictures that its rows name."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    with (folder / "visits.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number in range(ROWS):
            writer.writerow(record(number, later=later))
            pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")


def make_visits(folder: Path) -> Project:
    project = copy_checkout(folder)
    write_rows(folder / "visits", later=False)
    for name in ("raw", "prepared"):
        write_suite(folder / "data_contracts" / "visits" / f"{name}.yaml")
    known = [name for name in COLUMNS if name not in ("visit", "label")]
    settings = {"files": ["*.csv"], "target": "label", "known_at": {"before": known}}
    project.change_recipe(
        name=NAME,
        task=TASK,
        data={
            "source": {"name": "csv", "settings": settings},
            "path": "visits",
            "contracts": "data_contracts/visits",
            "classes": list(CLASSES),
            "features": FEATURES,
            "roles": {"id": "visit", "slices": ["carrier"]},
        },
        split={"method": "stratified", "train": 0.5, "validation": 0.2, "test": 0.3},
        augment={"copies": 0, "steps": []},
        model={"name": "joined", "settings": SMALL},
        train={"epochs": 1, "batch_size": 16},
        gate={"minimum": {"accuracy": {"none": "one epoch"}}, "maximum": {}, "rule": FEW_ROWS},
    )
    commit_all(folder)
    return project


@dataclass(frozen=True)
class Run:
    """What a run left: its test rows as typed raw values and their labels, its own answers, verdict and version."""

    verdict: Verdict
    ids: list[str]
    labels: npt.NDArray[Any]
    answers: npt.NDArray[np.float32]
    raw: dict[str, Any]
    bundle: Path
    fitted: dict[str, Any]
    golden: dict[str, Any]


def typed(row: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return a row of the file as somebody would ask about it: numbers, texts and pixels, nothing prepared."""
    return {
        "photo": np.asarray(Image.open(folder / row["file"])),
        "hour": float(row["hour"] or "nan"),
        "delay": float(row["delay"]),
        "carrier": row["carrier"],
        "body": row["body"],
    }


def run(project: Project, version: int) -> Run:
    done = project.ratchet("run")
    assert done.returncode == 0, done.stdout + done.stderr
    root = project.root
    predictions = read_predictions(root / "reports/predictions/test")
    row_of = dict(zip(*(table_of(root / "data/clean")[name].to_pylist() for name in ("id", "row")), strict=True))
    with (root / "visits/visits.csv").open(newline="", encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    asked = [typed(records[row_of[row_id] - 1], root / "visits") for row_id in predictions.ids]
    raw: dict[str, Any] = {name: [row[name] for row in asked] for name in FEATURES}
    raw["photo"] = np.stack(raw["photo"])
    listed = json.loads(project.ratchet("registry", "list", "--json").stdout)
    assert len(listed) == version
    architecture = stored.read_architecture(root / "models/candidate")
    return Run(
        verdict=read_record(root / "reports/verdict.json", Verdict),
        ids=list(predictions.ids),
        labels=predictions.labels,
        answers=predictions.answers,
        raw=raw,
        bundle=bundle_of(root, version),
        fitted={spec.name: spec.fitted for spec in architecture.features},
        golden=project.json("reports/golden.json"),
    )


def bundle_of(root: Path, number: int) -> Path:
    """Return the folder of a version in the registry."""
    from pipeline.recipe.execution import load_execution
    from pipeline.registry.places import local_folder
    from pipeline.registry.reader import open_reader
    from pipeline.registry.store import resolve_store

    reader = open_reader(resolve_store(root, load_execution(root).mlflow))
    version = reader.version(NAME, number)
    assert version is not None
    folder = local_folder(reader.location(version))
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_visits(tmp_path_factory.mktemp("visits") / "project")


@pytest.fixture(scope="module")
def first(project: Project) -> Run:
    return run(project, 1)


@pytest.fixture(scope="module")
def second(project: Project, first: Run) -> Run:
    write_rows(project.root / "visits", later=True)
    return run(project, 2)


@pytest.fixture
def served(tmp_path: Path) -> Callable[[Run, dict[str, Any]], npt.NDArray[np.float32]]:
    """Ask a version's SavedModel, in a process that has neither Keras nor this package."""

    def asked(of: Run, raw: dict[str, Any]) -> npt.NDArray[np.float32]:
        columns = in_raw_types(stored.read_architecture(of.bundle), raw)
        return ask(of.bundle / "tf2model", columns, tmp_path / "scratch")

    return asked


def test_the_savedmodel_answers_typed_raw_values_as_the_model_answered_prepared_ones(
    first: Run, served: Callable[[Run, dict[str, Any]], npt.NDArray[np.float32]]
) -> None:
    assert len(first.ids) > 15
    assert first.verdict.promotes, first.verdict.reason
    np.testing.assert_allclose(served(first, first.raw), first.answers, rtol=0, atol=1e-5)
    assert np.ptp(first.answers, axis=0).min() > 1e-3  # the rows do matter


@pytest.fixture
def registry(project: Project) -> Iterator[None]:
    from pipeline.registry import tracking

    tracking.prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, while it is imported
        import mlflow
        import mlflow.pyfunc

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{project.root}/registry/mlflow.db")
    yield
    mlflow.set_tracking_uri(before)


def test_the_version_says_which_column_it_predicts(first: Run) -> None:
    assert stored.read_architecture(first.bundle).predicts == Predicted(column="label")


@pytest.mark.usefixtures("registry")
def test_mlflow_loads_it_from_the_registry_and_gets_the_same_answers(first: Run) -> None:
    import mlflow

    model = mlflow.pyfunc.load_model(f"models:/{NAME}/1")
    architecture = stored.read_architecture(first.bundle)
    answered = model.predict(in_raw_types(architecture, first.raw))
    answers = np.asarray(answered[output_name(architecture)] if isinstance(answered, dict) else answered)
    np.testing.assert_allclose(answers, first.answers, rtol=0, atol=1e-5)
    assert {each.name for each in model.metadata.signature.inputs.inputs} == set(FEATURES)


def test_a_champion_that_learned_another_vocabulary_is_asked_by_its_own(
    first: Run, second: Run, served: Callable[[Run, dict[str, Any]], npt.NDArray[np.float32]]
) -> None:
    assert all(first.fitted[name] != second.fitted[name] for name in ("hour", "delay", "carrier", "body"))
    assert second.verdict.champion is not None
    assert second.verdict.champion.version == 1
    task = task_of(Choice(**TASK), CLASSES)
    champion, candidate = (
        task.score(second.labels, answers) for answers in (served(first, second.raw), second.answers)
    )
    met = second.verdict.against_champion
    assert met is not None
    assert met.differences is not None
    differences = candidate - champion
    assert met.differences.mean == pytest.approx(differences.mean(), abs=1e-5)
    assert met.differences.deviation == pytest.approx(differences.std(ddof=1), abs=1e-4)
    assert (met.rows, met.won, met.lost) == (len(second.ids), (differences > 0).sum(), (differences < 0).sum())
