"""The candidate meets the champion on the same rows, or the reason why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import DataError, StorageError
from pipeline.gate.challenge import compare_with_champion
from pipeline.gate.evidence import Comparison
from pipeline.models import stored
from pipeline.recipe.recipe import ChampionRule
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Task, kind_of, task_of
from pipeline.records.architecture import Architecture
from pipeline.records.champion import Champion
from pipeline.records.identity import Identity
from tests.evaluation.made_task import made_task
from tests.gate.given import CLASSES, LABELS, ROWS, TASK, answers, probabilities

RULE = ChampionRule(margin=0.01, class_margin=0.05, resamples=500)
NOBODY = Champion(identity=None, registry="local")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The stored model of a champion."""
    architecture = Architecture(name="mlp", settings={}, task="classification", features=(), classes=CLASSES)
    stored.save_weights(tmp_path / "champion", architecture, {"dense/kernel": np.ones((2, 2), np.float32)})
    return tmp_path / "champion"


@pytest.fixture
def champion(folder: Path) -> Champion:
    identity = Identity(name="pets", version=3, digest=stored.digest(folder))
    return Champion(identity=identity, registry="local")


def met(
    champion: Champion, folder: Path, theirs: npt.NDArray[np.float32] | None = None, *, task: Task = TASK
) -> Comparison | None:
    given = probabilities() if theirs is None else theirs
    return compare_with_champion(champion, folder, answers(), lambda _: given, task=task, rule=RULE, seed=1)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as raised:
        call()
    return str(raised.value)


def never(_: Path) -> npt.NDArray[np.float32]:
    raise AssertionError("a champion that cannot be met is not asked")


def test_the_first_model_meets_nobody_and_nobody_is_asked(tmp_path: Path) -> None:
    assert compare_with_champion(NOBODY, tmp_path, answers(), never, task=TASK, rule=RULE, seed=1) is None


def test_a_champion_that_could_not_be_fetched_cannot_be_met(champion: Champion, folder: Path) -> None:
    gone = champion.changed(problem="pets v3 is no longer in the registry")
    said = refusal(lambda: compare_with_champion(gone, folder, answers(), never, task=TASK, rule=RULE, seed=1))
    assert said == "pets v3 is no longer in the registry"


def test_files_of_another_model_are_not_the_champion(champion: Champion, folder: Path) -> None:
    other = champion.changed(identity=Identity(name="pets", version=3, digest="sha256:other"))
    said = refusal(lambda: compare_with_champion(other, folder, answers(), never, task=TASK, rule=RULE, seed=1))
    assert said == "its files do not have its digest"


def test_damaged_weights_are_not_the_champion(champion: Champion, folder: Path) -> None:
    (folder / stored.WEIGHTS_FILE).write_bytes(b"damaged")
    assert "its bytes do not match" in refusal(lambda: met(champion, folder))


def test_a_champion_without_its_files_is_a_fault_of_the_storage(champion: Champion, folder: Path) -> None:
    (folder / stored.WEIGHTS_FILE).unlink()
    with pytest.raises(StorageError, match=r"weights\.safetensors: missing"):
        met(champion, folder)


@pytest.mark.parametrize("classes", [("dog", "cat"), ("cat", "dog", "bird"), ("cat", "cow")])
def test_a_champion_of_other_classes_cannot_be_met(champion: Champion, folder: Path, classes: Any) -> None:
    said = refusal(
        lambda: compare_with_champion(
            champion, folder, answers(), never, task=task_of(Choice(name="classification"), classes), rule=RULE, seed=1
        )
    )
    assert said == "it was trained for 2 other classes: cat, dog"


def test_a_champion_of_another_task_cannot_be_met(champion: Champion, folder: Path) -> None:
    with made_task() as name:
        task = kind_of(name)({}, CLASSES)
        said = refusal(lambda: compare_with_champion(champion, folder, answers(), never, task=task, rule=RULE, seed=1))
    assert said == "it was trained for another task: classification"


@pytest.mark.parametrize("figure", [np.nan, np.inf, -np.inf])
def test_a_champion_that_answers_no_numbers_cannot_be_met(champion: Champion, folder: Path, figure: float) -> None:
    theirs = probabilities()
    theirs[5, 1] = figure
    assert refusal(lambda: met(champion, folder, theirs)) == "it answers numbers that are not finite"


def test_what_asking_it_raises_is_raised(champion: Champion, folder: Path) -> None:
    def ask(_: Path) -> npt.NDArray[np.float32]:
        raise DataError("the model takes images of [2, 2, 1], got [3, 3, 1]")

    said = refusal(lambda: compare_with_champion(champion, folder, answers(), ask, task=TASK, rule=RULE, seed=1))
    assert said == "the model takes images of [2, 2, 1], got [3, 3, 1]"


def test_the_champion_in_its_own_folder_is_asked(champion: Champion, folder: Path) -> None:
    asked = []

    def ask(model: Path) -> npt.NDArray[np.float32]:
        asked.append(model)
        return probabilities()

    compare_with_champion(champion, folder, answers(), ask, task=TASK, rule=RULE, seed=1)
    assert asked == [folder]


def test_an_equal_champion_differs_by_nothing(champion: Champion, folder: Path) -> None:
    found = met(champion, folder)
    assert found is not None
    assert (found.overall.rows, found.overall.difference, found.overall.lower) == (ROWS, 0, 0)
    assert [(recall.rows, recall.difference) for recall in found.slices["class"].values()] == [(4, 0), (4, 0)]


def test_a_worse_champion_shows_where_the_candidate_has_won(champion: Champion, folder: Path) -> None:
    theirs = probabilities()
    theirs[LABELS == 1] = theirs[LABELS == 1][:, ::-1]  # every dog wrong
    found = met(champion, folder, theirs)
    assert found is not None
    assert (found.overall.won, found.overall.lost, found.overall.difference) == (4, 0, 0.5)
    assert [recall.difference for recall in found.slices["class"].values()] == [0, 1.0]


def test_a_better_champion_shows_what_would_be_lost(champion: Champion, folder: Path) -> None:
    theirs = np.eye(2, dtype=np.float32)[LABELS]
    found = met(champion, folder, theirs)
    assert found is not None
    assert (found.overall.won, found.overall.lost) == (0, 1)
    assert found.overall.lower <= found.overall.difference == -1 / 8
    assert [recall.difference for recall in found.slices["class"].values()] == [-0.25, 0]


def test_the_same_seed_gives_the_same_figures(champion: Champion, folder: Path) -> None:
    theirs = probabilities()[::-1].copy()
    assert met(champion, folder, theirs) == met(champion, folder, theirs)
