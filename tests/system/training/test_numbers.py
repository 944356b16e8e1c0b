"""A target that is a number: learned whatever its unit, answered in it, and served so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.export.saved_model import exported
from pipeline.models import stored
from pipeline.models.serving import SIGNATURE
from pipeline.recipe.recipe import AugmentParams, TrainParams
from pipeline.recipe.slots import Choice
from pipeline.records.architecture import TargetScale
from pipeline.records.training_history import parse_history
from pipeline.registry.bundle import write_bundle
from pipeline.training import candidate
from pipeline.training.collective import SingleProcess
from pipeline.training.device import note, use
from pipeline.training.job import Job
from pipeline.training.loop import train_model
from pipeline.training.objective import objective_of
from tests.training.made import image_spec, write_rows

SPEC = image_spec((4, 4, 1), mean=100.0, std=60.0)
TARGET = TargetScale(mean=10.0, deviation=4.0)
LABELS, LOGITS = tf.constant([0.0, 1.0, -2.0]), tf.constant([[0.5], [1.0], [2.0]])


class Silent:
    """Reports nothing."""

    def step(self, what: str) -> None:
        """Say nothing."""

    def advance(self, done: int, total: int, unit: str, note: str) -> None:
        """Say nothing."""


def pictures(folder: Path, rows: int, seed: int) -> tuple[Path, Any, Any]:
    """Write pictures whose brightness is the target: around 100 000, give or take 300."""
    generator = np.random.default_rng(seed)
    grey = generator.integers(0, 200, rows)
    images = np.broadcast_to(grey.astype(np.uint8)[:, None, None, None], (rows, 4, 4, 1)).copy()
    labels = 100_000 + 5.0 * grey
    return write_rows(folder, [SPEC], {"image": images}, labels), images, labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """A candidate, and pictures with their numbers."""
    root = tmp_path_factory.mktemp("numbers")
    pictures(root / "prepared/train", 600, 1)
    _, images, labels = pictures(root / "prepared/validation", 100, 2)
    write_rows(root / "augmented", [SPEC], {"image": images[:0]}, labels[:0])
    job = Job(
        task=Choice(name="regression", settings={"unit": "m"}),
        model=Choice(name="mlp", settings={"units": [16], "dropout": 0.0}),
        train=TrainParams(epochs=12, batch_size=40, learning_rate=0.02, loss=Choice(name="mse")),
        augment=AugmentParams(copies=0),
        seed=3,
        classes=(),
        code={},
        prepared=str(root / "prepared"),
        augmented=str(root / "augmented"),
        work=str(root / "work"),
        tensorboard=str(root / "tensorboard"),
        workers=1,
        threads=1,
    )
    (root / "work").mkdir()
    note(root / "work", use(tf, "cpu", is_exact=False), 4)
    train_model(job, SingleProcess(), Silent())
    (root / "candidate").mkdir()
    candidate.write(root / "candidate", job)
    return root / "candidate", images, labels


def test_numbers_far_from_0_are_learned_and_answered_in_their_unit(trained: tuple[Path, Any, Any]) -> None:
    folder, images, labels = trained
    answers = stored.load(folder)({"image": images}).numpy()
    assert answers.shape == (100, 1)
    assert np.abs(answers[:, 0] - labels).mean() < 15, "of a deviation of about 290"
    target = stored.read_architecture(folder).target
    assert target is not None
    assert target.mean == pytest.approx(100_500, abs=60)


def test_what_is_told_while_it_trains_is_in_the_unit(trained: tuple[Path, Any, Any]) -> None:
    folder, images, labels = trained
    answers = stored.load(folder)({"image": images}).numpy()
    history = parse_history((folder / "history.csv").read_text(), "history")
    best = min(history, key=lambda epoch: epoch.validation["loss"])
    assert best.validation["mae"] == pytest.approx(np.abs(answers[:, 0] - labels).mean(), rel=0.01)
    assert best.validation["loss"] < 0.01, "a share of the target's variance"


def test_what_is_exported_and_published_answers_one_number_a_row(
    trained: tuple[Path, Any, Any], tmp_path: Path
) -> None:
    folder, images, _ = trained
    expected = stored.load(folder)({"image": images[:4]}).numpy()
    export = exported(folder, tmp_path / "exports")
    served = tf.saved_model.load(str(export)).signatures[SIGNATURE](image=tf.constant(images[:4]))
    assert served["prediction"].numpy() == pytest.approx(expected)
    write_bundle(folder, export, tmp_path / "bundle", {"image": images[:4]}, {})
    from mlflow.models import Model

    signature = Model.load(str(tmp_path / "bundle")).signature
    assert signature.outputs.inputs[0].shape == (-1, 1)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (Choice(name="mse"), [0.25, 0.0, 16.0]),
        (Choice(name="mae"), [0.5, 0.0, 4.0]),
        (Choice(name="huber"), [0.125, 0.0, 3.5]),
        (Choice(name="huber", settings={"delta": 0.25}), [0.09375, 0.0, 0.96875]),
    ],
)
def test_losses_of_numbers(loss: Choice, expected: list[float]) -> None:
    figures = objective_of(Choice(name="regression"), loss, 0, TARGET).of_rows([LABELS], LOGITS)
    assert figures["loss"].numpy() == pytest.approx(expected)
    assert figures["mae"].numpy() == pytest.approx([2.0, 0.0, 16.0])
