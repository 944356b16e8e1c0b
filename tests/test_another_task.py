"""A second task is a file in each room that has one: measured, judged and shown, and nothing else knows of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml

from pipeline.errors import UsageError
from pipeline.evaluation import measuring
from pipeline.evaluation.predictions import Predictions, read_predictions, write_predictions
from pipeline.gate.evidence import Answers, Evidence
from pipeline.gate.gathering import ModelQueries, gather
from pipeline.gate.judge import judge
from pipeline.models import stored
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.resolving import checked
from pipeline.recipe.task import Task, task_of
from pipeline.records.architecture import Architecture
from pipeline.records.champion import ANCHOR_FILE, CHAMPION_FILE, Champion
from pipeline.records.identity import Identity
from pipeline.records.verdict import Verdict
from pipeline.storage.artifacts import write_file
from pipeline.storage.record_files import write_record
from pipeline.storage.shards import Rows
from tests.evaluation.made_answers import HISTORY
from tests.evaluation.made_task import made_task
from tests.evaluation.recipes import recipe
from tests.report.reading import shown

ROOT = Path(__file__).parents[1]
ROWS = 200
IDS = [f"row-{number}" for number in range(ROWS)]
LABELS = (np.arange(ROWS) % 10).astype(np.int32)
MARGIN = {"name": "margin", "settings": {"margin": 0.02, "slice_margin": 0.12}}
GATE = {"minimum": {}, "maximum": {"mean_error": 2.0, "overfit": 1.0}, "rule": MARGIN}
NOISE = np.random.default_rng(3).normal(size=ROWS)


def answers(error: float) -> npt.NDArray[np.float32]:
    """What a model answers that is wrong by so much, now above and now below."""
    return (LABELS + error * NOISE).astype(np.float32)


@pytest.fixture
def given() -> Iterator[Recipe]:
    """A recipe of the task, complete and checked."""
    with made_task() as name:
        yield checked(recipe(task={"name": name, "settings": {"reach": 0.5}}, gate=GATE), "params")


@pytest.fixture
def task(given: Recipe) -> Task:
    return task_of(given.task, given.data.classes)


def store(folder: Path, task: str, weight: float) -> str:
    architecture = Architecture(name="mlp", settings={}, task=task, features=(), classes=("cat", "dog"))
    stored.save_weights(folder, architecture, {"dense/kernel": np.full((2, 2), weight, np.float32)})
    return stored.digest(folder)


def evaluate(root: Path, task: Task, of_test: npt.NDArray[np.float32]) -> None:
    """Write what the stage writes."""
    train, test = Predictions(IDS, LABELS, answers(0.1)), Predictions(IDS, LABELS, of_test)
    measuring.check(task, test, "test")
    write_record(root / "reports" / "metrics.json", measuring.report(task, train, test))
    for name, drawing in measuring.drawings(task, HISTORY, test).items():
        write_file(root / "reports" / "plots" / name, drawing)
    (root / "reports" / "predictions").mkdir()
    for part in ("validation", "test"):
        write_predictions(root / "reports" / "predictions", part, test, task)


def evidence(
    root: Path, given: Recipe, task: Task, theirs: npt.NDArray[np.float32], champions_task: str = ""
) -> Evidence:
    digest = store(root / "models" / "champion", champions_task or task.name, 2.0)
    store(root / "models" / "candidate", task.name, 1.0)
    champion = Champion(identity=Identity(name="pets", version=3, digest=digest), registry="local")
    write_record(root / "models" / "champion" / CHAMPION_FILE, champion)
    write_record(root / "models" / "anchor" / ANCHOR_FILE, champion)
    predictions = read_predictions(root / "reports" / "predictions" / "test")
    return gather(
        candidate=root / "models" / "candidate",
        champion=root / "models" / "champion",
        anchor=root / "models" / "anchor",
        metrics=root / "reports" / "metrics.json",
        test=Rows(IDS, LABELS, {}),
        answers=Answers(predictions.ids, predictions.labels, predictions.answers),
        train=Answers(IDS, LABELS, answers(0.1)),
        queries=ModelQueries(
            predict=lambda _: theirs, serve=lambda: predictions.answers[: given.gate.parity.rows], in_words=str
        ),
        task=task,
    )


def judged(root: Path, given: Recipe, task: Task, ours: float, theirs: float, champions_task: str = "") -> Verdict:
    evaluate(root, task, answers(ours))
    found = evidence(root, given, task, answers(theirs), champions_task)
    return judge(found, given.gate, task, given.seed, code={})


def test_a_candidate_that_is_closer_than_the_champion_is_promoted(tmp_path: Path, given: Recipe, task: Task) -> None:
    verdict = judged(tmp_path, given, task, ours=0.3, theirs=0.9)

    assert [check.name for check in verdict.checks] == [
        *("predictions", "maximum.mean_error", "maximum.overfit", "parity", "margin"),
    ]
    assert verdict.promotes, verdict.reason
    assert verdict.reason.startswith("mean error 0.2")
    assert "; closeness: +0.4" in verdict.reason


def test_one_that_is_further_from_the_truth_is_refused(tmp_path: Path, given: Recipe, task: Task) -> None:
    verdict = judged(tmp_path, given, task, ours=0.9, theirs=0.3)

    assert [check.name for check in verdict.checks if not check.has_passed] == ["margin"]
    assert verdict.reason.startswith("closeness: -0.4")


def test_a_bound_above_is_one_that_can_be_failed(tmp_path: Path, given: Recipe, task: Task) -> None:
    verdict = judged(tmp_path, given, task, ours=9.0, theirs=9.0)

    assert {check.name for check in verdict.checks if not check.has_passed} == {"maximum.mean_error", "maximum.overfit"}


def test_a_champion_of_classification_cannot_be_compared_with(tmp_path: Path, given: Recipe, task: Task) -> None:
    verdict = judged(tmp_path, given, task, ours=0.3, theirs=0.3, champions_task="classification")

    assert "it was trained for another task: classification" in verdict.reason


def test_the_page_shows_its_figures_in_its_words(tmp_path: Path, given: Recipe, task: Task) -> None:
    for name in ("dvc.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(given.model_dump(mode="json")))
    write_record(tmp_path / "reports" / "verdict.json", judged(tmp_path, given, task, ours=0.3, theirs=0.9))

    text = shown(tmp_path)

    assert "✓ Promote Mean error 0.2" in text
    assert "test mean error, 200 rows 0.2" in text
    assert "how far an answer is from the truth; steps" in text
    assert "within reach" in text
    assert "Learning curves." in text
    assert "The task does not say which answers are mistakes." in text
    assert "cannot be shown" not in text
    for word in ("accuracy 0", "Confusion", "By class", "ROC"):
        assert word not in text, word


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gate": {"minimum": {"accuracy": 0.8}}}, "gate.minimum: no metric 'accuracy' of this task"),
        ({"gate": {**GATE, "slices": {"class": {}}}}, "gate.slices: no column 'class' divides the rows"),
        ({"gate": {"minimum": {}, "maximum": {}}}, "gate.maximum: 'mean_error' is missing"),
        ({"gate": {**GATE, "rule": "better"}}, "gate.rule.settings.total_margin: is missing; say how much closeness"),
        ({"task": {"name": "closeness", "settings": {"reach": 0.0}}}, "reach: must be above 0"),
    ],
)
def test_what_does_not_fit_it_is_refused_before_any_work(changes: dict[str, Any], said: str) -> None:
    with made_task() as name, pytest.raises(UsageError) as raised:
        checked(recipe(**{"task": name, "gate": GATE, **changes}), "params")

    assert said in str(raised.value)
