"""Weights of rows in real trainings: they change what is learned, by what they say, on any number of ranks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from pipeline.models import stored
from pipeline.recipe.recipe import TrainParams
from pipeline.recipe.slots import Choice
from pipeline.storage.shards import read_rows
from pipeline.training.batches import Part
from pipeline.training.collective import SingleProcess
from pipeline.training.objective import objective_of
from pipeline.training.row_weights import read_weights
from pipeline.training.step import Score, TrainingStep, validate
from tests.system.training.networks import FEATURES, RATE, network, sgd
from tests.system.training_project import CLASSES, ROWS, SHAPE, history_of, make_root, run_stages, tree
from tests.training.made import image_spec, write_rows

TASK, LOSS, ROWS_OF_PART = Choice(name="classification"), Choice(name="cross_entropy"), 6
COPIES = {"when": "during", "copies": 1, "steps": [{"name": "noise", "settings": {"levels": 3.0}}]}


def part(counts: list[int], *, is_repeated: bool) -> Part:
    """Return six rows that count so often: each once with that weight, or so many times without any."""
    numbers = np.random.default_rng(1)
    columns = {spec.name: numbers.normal(size=(ROWS_OF_PART, 4)).astype(np.float32) for spec in FEATURES}
    labels, often = numbers.integers(0, 3, ROWS_OF_PART).astype(np.int32), np.array(counts)
    if not is_repeated:
        return Part(columns, (labels,), (often / often.mean()).astype(np.float32))
    return Part({name: np.repeat(values, often, axis=0) for name, values in columns.items()}, (labels.repeat(often),))


def stepped(rows: Part) -> tuple[dict[str, float], list[Any]]:
    """Take a step with a whole part as its batch; return the figures, and the weights after it."""
    model = network(lambda x: layers.Dense(5, name="dense")(x))  # made after the seed is set
    train = TrainParams(epochs=1, batch_size=len(rows), virtual_workers=1, learning_rate=RATE)
    objective = objective_of(TASK, LOSS, 3, is_weighted=rows.is_weighted)
    step = TrainingStep(model, sgd(model), objective, FEATURES, train, 1, [RATE], SingleProcess())
    figures = step([rows.batch(np.arange(len(rows)), 1)], 0)
    return dict(zip(step.names, figures.tolist(), strict=True)), [np.asarray(each) for each in model.weights]


@settings(max_examples=5)
@given(st.lists(st.integers(1, 4), min_size=ROWS_OF_PART, max_size=ROWS_OF_PART))
def test_a_row_of_weight_2_is_learned_from_as_from_two_such_rows(counts: list[int]) -> None:
    (weighted, found), (repeated, expected) = (stepped(part(counts, is_repeated=each)) for each in (False, True))
    assert weighted["loss"] == pytest.approx(repeated["loss"], rel=1e-5)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_the_validation_loss_is_weighted_and_the_tasks_figures_count_each_row_once() -> None:
    counts = [1, 4, 2, 1, 3, 1]
    model = network(lambda x: x)

    def validated(rows: Part) -> dict[str, float]:
        objective = objective_of(TASK, LOSS, 3, is_weighted=rows.is_weighted)
        return validate(Score(model, objective, FEATURES), rows, SingleProcess())

    found, repeated = (validated(part(counts, is_repeated=each)) for each in (False, True))
    once = validated(part([1] * ROWS_OF_PART, is_repeated=True))
    assert found["loss"] == pytest.approx(repeated["loss"], rel=1e-5)
    assert found["loss"] != pytest.approx(once["loss"], rel=1e-3)
    assert found["accuracy"] == once["accuracy"]


def trained(root: Path, workers: int, augment: dict[str, Any], weights: tuple[float, float, float] | None) -> Path:
    """Train on so many ranks; `weights` are by class."""
    make_root(root, train={"epochs": 2}, augment=augment)
    for name in ROWS if weights else ():
        rows = read_rows(root / name)
        images, labels = rows.columns["image"][:], np.array(rows.labels)
        shutil.rmtree(root / name)
        own = np.array(weights)[labels]
        write_rows(root / name, [image_spec(SHAPE, 95.0, 55.0)], {"image": images}, labels, weights=own)
    done = run_stages(root, "resolve", "train", workers=workers)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module", params=[{"copies": 0, "steps": []}, COPIES], ids=["as written", "changed"])
def weighted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A project trained on one rank with weights that are all but nothing for two of the three classes."""
    root = tmp_path_factory.mktemp("weighted") / "one"
    return trained(root, 1, request.param, (1000.0, 0.01, 0.01)), request.param


def test_two_ranks_give_the_bytes_of_one(weighted: tuple[Path, Any], tmp_path: Path) -> None:
    one, augment = weighted
    two = trained(tmp_path / "two", 2, augment, (1000.0, 0.01, 0.01))
    assert tree(two / "models/candidate") == tree(one / "models/candidate")
    assert history_of(two) == history_of(one)


def test_what_counts_is_learned_and_what_hardly_counts_is_not(weighted: tuple[Path, Any], tmp_path: Path) -> None:
    root, augment = weighted
    rows = read_rows(root / "data/prepared/validation")
    answers = stored.load(root / "models/candidate")({"image": rows.columns["image"][:]}).numpy()
    assert (answers.argmax(axis=1) == CLASSES.index("left")).mean() > 0.95
    plain = trained(tmp_path / "plain", 1, augment, None)
    assert tree(plain / "models/candidate") != tree(root / "models/candidate")
    assert history_of(plain)[-1].validation["accuracy"] > history_of(root)[-1].validation["accuracy"] + 0.1


def test_the_history_has_the_loss_by_the_training_part_s_mean_weight(weighted: tuple[Path, Any]) -> None:
    root, _ = weighted
    history = history_of(root)
    best = min(history, key=lambda epoch: epoch.validation["loss"])
    rows, training = read_rows(root / "data/prepared/validation"), read_weights(root / "data/prepared/train")
    own = read_weights(root / "data/prepared/validation")
    assert training is not None
    assert own is not None
    answers = stored.load(root / "models/candidate")({"image": rows.columns["image"][:]}).numpy()
    losses = -np.log(answers[np.arange(len(rows)), rows.labels])
    assert best.validation["loss"] == pytest.approx((own * losses).mean() / training.mean(), rel=1e-3)
    assert best.validation["accuracy"] == pytest.approx((answers.argmax(axis=1) == rows.labels).mean(), abs=1e-6)
