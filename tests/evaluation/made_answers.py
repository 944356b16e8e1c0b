"""What a model might have answered, and a training it might have had: made up, the same every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.predictions import Predictions
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Task, task_of
from pipeline.records.training_history import EpochRecord

HISTORY = tuple(
    EpochRecord(
        epoch=epoch,
        learning_rate=0.002,
        train={"loss": 0.2 + 0.9 * 0.75**epoch, "accuracy": 0.95 - 0.4 * 0.8**epoch},
        validation={"loss": 0.25 + 0.85 * 0.77**epoch, "accuracy": 0.92 - 0.3 * 0.75**epoch},
    )
    for epoch in range(1, 9)
)


@dataclass(frozen=True)
class MadeAnswers:
    """What a model answered on a part: pixels, labels, probabilities, and the class names."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]
    classes: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        """An id for each row."""
        return [
            hashlib.sha256(f"{row}".encode() + image.tobytes()).hexdigest() for row, image in enumerate(self.pixels)
        ]

    @property
    def predictions(self) -> Predictions:
        """The answers without their images."""
        return Predictions(self.ids, self.labels, self.probabilities)

    @property
    def task(self) -> Task:
        """The task that they are answers of."""
        return task_of(Choice(name="classification"), self.classes)


def make_answers(
    rows: int = 400, classes: Sequence[str] = ("boot", "coat", "bag", "shirt"), seed: int = 7
) -> MadeAnswers:
    """Answer random images, more often right than wrong."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(rows) % len(classes)).astype(np.int32)
    scores = generator.normal(size=(rows, len(classes))) + 2.0 * np.eye(len(classes))[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    pixels = generator.integers(0, 256, (rows, 10, 10, 1), dtype=np.uint8)
    return MadeAnswers(pixels, labels, probabilities.astype(np.float32), tuple(classes))
