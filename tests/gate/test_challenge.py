"""A model that the candidate must meet answers the same rows, or the reason why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import DataError, StorageError
from pipeline.gate.challenge import scores_of
from pipeline.models import stored
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Task, kind_of, task_of
from pipeline.records.architecture import Architecture
from pipeline.records.identity import Identity
from tests.evaluation.made_task import made_task
from tests.gate.given import CLASSES, LABELS, TASK, probabilities, scores


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The stored model of a champion."""
    architecture = Architecture(name="mlp", settings={}, task="classification", features=(), classes=CLASSES)
    stored.save_weights(tmp_path / "champion", architecture, {"dense/kernel": np.ones((2, 2), np.float32)})
    return tmp_path / "champion"


@pytest.fixture
def champion(folder: Path) -> Identity:
    return Identity(name="pets", version=3, digest=stored.digest(folder))


def met(
    champion: Identity, folder: Path, theirs: npt.NDArray[np.float32] | None = None, *, task: Task = TASK
) -> npt.NDArray[np.float64]:
    given = probabilities() if theirs is None else theirs
    return scores_of(champion, folder, LABELS, lambda _: given, task)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as raised:
        call()
    return str(raised.value)


def never(_: Path) -> npt.NDArray[np.float32]:
    raise AssertionError("a model that cannot be met is not asked")


def test_it_has_the_scores_of_its_answers(champion: Identity, folder: Path) -> None:
    np.testing.assert_array_equal(met(champion, folder, probabilities(range(7))), scores(range(7)))


def test_files_of_another_model_are_not_the_champion(champion: Identity, folder: Path) -> None:
    other = champion.changed(digest="sha256:other")
    said = refusal(lambda: scores_of(other, folder, LABELS, never, TASK))
    assert said == "its files do not have its digest"


def test_damaged_weights_are_not_the_champion(champion: Identity, folder: Path) -> None:
    (folder / stored.WEIGHTS_FILE).write_bytes(b"damaged")
    assert "its bytes do not match" in refusal(lambda: met(champion, folder))


def test_a_champion_without_its_files_is_a_fault_of_the_storage(champion: Identity, folder: Path) -> None:
    (folder / stored.WEIGHTS_FILE).unlink()
    with pytest.raises(StorageError, match=r"weights\.safetensors: missing"):
        met(champion, folder)


@pytest.mark.parametrize("classes", [("dog", "cat"), ("cat", "dog", "bird"), ("cat", "cow")])
def test_a_champion_of_other_classes_cannot_be_met(champion: Identity, folder: Path, classes: Any) -> None:
    task = task_of(Choice(name="classification"), classes)
    said = refusal(lambda: scores_of(champion, folder, LABELS, never, task))
    assert said == "it was trained for 2 other classes: cat, dog"


def test_a_champion_of_another_task_cannot_be_met(champion: Identity, folder: Path) -> None:
    with made_task() as name:
        task = kind_of(name)({}, CLASSES)
        said = refusal(lambda: scores_of(champion, folder, LABELS, never, task))
    assert said == "it was trained for another task: classification"


@pytest.mark.parametrize("figure", [np.nan, np.inf, -np.inf])
def test_a_champion_that_answers_no_numbers_cannot_be_met(champion: Identity, folder: Path, figure: float) -> None:
    theirs = probabilities()
    theirs[5, 1] = figure
    assert refusal(lambda: met(champion, folder, theirs)) == "it answers numbers that are not finite"


def test_a_champion_that_answers_fewer_rows_cannot_be_met(champion: Identity, folder: Path) -> None:
    assert refusal(lambda: met(champion, folder, probabilities()[:-1])) == "it answers 1999 of 2000 rows"


def test_what_asking_it_raises_is_raised(champion: Identity, folder: Path) -> None:
    def ask(_: Path) -> npt.NDArray[np.float32]:
        raise DataError("the model takes images of [2, 2, 1], got [3, 3, 1]")

    said = refusal(lambda: scores_of(champion, folder, LABELS, ask, TASK))
    assert said == "the model takes images of [2, 2, 1], got [3, 3, 1]"


def test_the_model_in_its_own_folder_is_asked(champion: Identity, folder: Path) -> None:
    asked = []

    def ask(model: Path) -> npt.NDArray[np.float32]:
        asked.append(model)
        return probabilities()

    scores_of(champion, folder, LABELS, ask, TASK)
    assert asked == [folder]
