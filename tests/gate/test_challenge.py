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
from pipeline.records.architecture import Architecture, Predicted
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


# -- what a target means: the same task and the same classes are not yet the same question

MINUTES = Predicted(column="arr_delay", unit="min")
OWN_NAME = "they answer different questions; give the new one a name of its own (name)"


def met_about(folder: Path, task: Task, theirs: Predicted | None, ours: Predicted | None) -> str | None:
    """Return why a model of `theirs` cannot be met by a candidate of `ours`; None if it is asked."""
    architecture = Architecture(
        name="mlp", settings={}, task=task.name, features=(), classes=task.classes, predicts=theirs
    )
    stored.save_weights(folder, architecture, {"dense/kernel": np.ones((2, 2), np.float32)})
    identity = Identity(name="flights", version=3, digest=stored.digest(folder))
    labels = LABELS.astype(np.float64) if not task.classes else LABELS
    given = np.zeros((len(labels), 1), np.float32) if not task.classes else probabilities()
    try:
        scores_of(identity, folder, labels, lambda _: given, task, predicts=ours)
    except DataError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("ours", "shown"),
    [
        (Predicted(column="arr_delay", unit="s"), "'arr_delay' in s"),
        (Predicted(column="arr_delay"), "'arr_delay' without a unit"),
        (Predicted(column="dep_delay", unit="min"), "'dep_delay' in min"),
        (Predicted(unit="s"), "a number in s"),
    ],
)
def test_a_champion_of_another_number_cannot_be_met(tmp_path: Path, ours: Predicted, shown: str) -> None:
    task = task_of(Choice(name="regression", settings={"unit": "min"}), ())
    said = met_about(tmp_path / "model", task, MINUTES, ours)
    assert said is not None
    assert said.startswith(f"it predicts 'arr_delay' in min, and the candidate {shown} (")
    assert said.endswith(OWN_NAME)


@pytest.mark.parametrize(
    ("theirs", "ours"), [(MINUTES, MINUTES), (None, MINUTES), (MINUTES, None), (MINUTES, Predicted(unit="min"))]
)
def test_a_champion_of_the_same_number_or_of_one_that_nobody_wrote_down_is_met(
    tmp_path: Path, theirs: Predicted | None, ours: Predicted | None
) -> None:
    task = task_of(Choice(name="regression", settings={"unit": "min"}), ())
    assert met_about(tmp_path / "model", task, theirs, ours) is None


@pytest.mark.parametrize(
    ("ours", "shown"),
    [
        (Predicted(column="arr_delay", edges=(60.0,)), "'arr_delay' cut at 60"),
        (Predicted(column="dep_delay", edges=(29.5,)), "'dep_delay' cut at 29.5"),
        (Predicted(column="is_late"), "'is_late'"),
    ],
)
def test_a_champion_of_a_number_that_is_cut_otherwise_cannot_be_met(
    tmp_path: Path, ours: Predicted, shown: str
) -> None:
    said = met_about(tmp_path / "model", TASK, Predicted(column="arr_delay", edges=(29.5,)), ours)
    assert said is not None
    assert said.startswith(f"it predicts 'arr_delay' cut at 29.5, and the candidate {shown} (")


def test_classes_by_name_are_the_same_in_another_column(tmp_path: Path) -> None:
    assert met_about(tmp_path / "model", TASK, Predicted(column="species"), Predicted(column="animal")) is None
