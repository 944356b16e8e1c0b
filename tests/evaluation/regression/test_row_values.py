"""Values by row: their mean is the metric, and each says how the metric moves with its row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Slices, task_of

TASK = task_of(Choice(name="regression"), ())
NAMES = [metric.name for metric in TASK.metrics]
RANDOM = np.random.default_rng(2)
LABELS = RANDOM.normal(50, 20, 300)
ANSWERS = (LABELS + RANDOM.normal(2, 6, 300)).astype(np.float32)[:, None]
DECLARED = {"origin": Slices(("a", "b"), np.arange(300) % 2)}


@given(st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=1, max_size=30))
def test_the_mean_of_a_metric_s_values_is_the_metric(pairs: list[tuple[int, int]]) -> None:
    labels, answers = np.array(pairs, np.float64).T
    given = answers.astype(np.float32)[:, None]
    whole = TASK.measure(labels, given)
    for name in NAMES:
        values = TASK.row_values(labels, given).of(name)
        assert values is not None
        assert values.shape == labels.shape
        assert values.mean() == pytest.approx(whole[name], abs=1e-9), name


@pytest.mark.parametrize("name", NAMES)
def test_a_row_s_value_says_how_the_metric_moves_if_it_grows_more_frequent(name: str) -> None:
    values, whole = of(name), TASK.measure(LABELS, ANSWERS)[name]
    for row in (0, 17, 101):
        labels, answers = (np.concatenate([np.tile(each, (20, *[1] * (each.ndim - 1))), each[row : row + 1]])
                           if each.ndim > 1 else np.append(np.tile(each, 20), each[row])
                           for each in (LABELS, ANSWERS))  # fmt: skip
        moved = (TASK.measure(labels, answers)[name] - whole) * len(labels)
        assert moved == pytest.approx(values[row] - whole, rel=0.02, abs=1e-6)


def of(name: str) -> npt.NDArray[Any]:
    values = TASK.row_values(LABELS, ANSWERS).of(name)
    assert values is not None
    return values


def test_those_of_a_declared_slice_are_its_rows() -> None:
    values = TASK.row_values(LABELS, ANSWERS, DECLARED)
    measured = TASK.measure_slices(LABELS, ANSWERS, DECLARED)["origin"]
    for slice_name in ("a", "b"):
        for metric in TASK.declared_metrics:
            found = values.of_slice("origin", slice_name, metric.name)
            assert found is not None
            assert len(found) == 150
            assert found.mean() == pytest.approx(measured[slice_name][metric.name])
    none = values.of_slice("origin", "nowhere", "mae")
    assert none is not None
    assert not len(none)
