from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.recipe.recipe import TrainParams
from pipeline.training.schedule import learning_rates
from pipeline.training.schedules import constant, cosine
from tests.ranges import assert_ranges


def params(**changes: object) -> TrainParams:
    return TrainParams.model_validate(
        {"epochs": 4, "batch_size": 1, "virtual_workers": 1, "learning_rate": 0.5, **changes}
    )


def test_the_warm_up_rises_evenly_to_the_peak() -> None:
    assert learning_rates(params(warmup_epochs=1.0), 5)[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_after_the_warm_up_the_cosine_falls_from_the_peak_over_the_steps_that_are_left() -> None:
    rates = learning_rates(params(warmup_epochs=1.0), 5)

    assert rates[4] == rates[5] == 0.5
    assert rates[5:] == pytest.approx([0.25 * (1 + math.cos(math.pi * step / 15)) for step in range(15)])


def test_a_warm_up_that_is_longer_than_the_run_reaches_the_peak_at_its_end() -> None:
    assert learning_rates(params(warmup_epochs=7.5), 3) == pytest.approx([0.5 * (step + 1) / 12 for step in range(12)])


def test_a_constant_schedule_stays_at_the_peak() -> None:
    assert learning_rates(params(warmup_epochs=0.0, schedule="constant"), 3) == [0.5] * 12


def test_the_cosine_falls_to_half_in_the_middle_and_near_zero_at_the_end() -> None:
    rates = learning_rates(params(warmup_epochs=0.0), 100)
    assert rates[0] == 0.5
    assert rates[200] == pytest.approx(0.25)
    assert rates[-1] < 1e-4


@given(
    epochs=st.integers(1, 5),
    steps=st.integers(1, 50),
    warmup=st.floats(0, 8),
    schedule=st.sampled_from(["constant", "cosine"]),
)
def test_every_step_has_a_rate_between_zero_and_the_peak(epochs: int, steps: int, warmup: float, schedule: str) -> None:
    rates = learning_rates(params(epochs=epochs, warmup_epochs=warmup, schedule=schedule), steps)
    assert len(rates) == epochs * steps
    assert all(0 <= rate <= 0.5 for rate in rates)
    assert rates[0] > 0


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -0.1])
def test_a_rate_that_is_none_is_refused_by_its_schedule(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setattr(constant, "share", lambda settings, step, steps: share)
    with pytest.raises(UsageError, match=r"^train\.schedule: constant gives \S+ of the peak rate at step 0 of 20"):
        learning_rates(params(warmup_epochs=0.0, schedule="constant"), 5)


def test_a_schedule_may_give_more_than_the_peak_and_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constant, "share", lambda settings, step, steps: 2.0 * (step == 0))
    assert learning_rates(params(warmup_epochs=0.0, schedule="constant"), 1) == [1.0, 0.0, 0.0, 0.0]


def test_a_cosine_with_a_floor_falls_from_the_peak_to_the_floor() -> None:
    schedule = {"name": "cosine", "settings": {"floor": 0.5}}
    rates = learning_rates(params(warmup_epochs=0.0, schedule=schedule), 100)
    assert [rates[0], rates[200], rates[-1]] == pytest.approx([0.5, 0.375, 0.25], rel=1e-4)


@pytest.mark.parametrize(
    ("step", "steps", "share"), [(0, 0, 1.0), (0, 1, 1.0), (1, 1, 0.2), (5, 10, 0.6), (10, 10, 0.2)]
)
def test_the_cosine_is_the_peak_at_first_and_the_floor_after_the_last_step(step: int, steps: int, share: float) -> None:
    assert cosine.share(cosine.Settings(floor=0.2), step, steps) == pytest.approx(share)


def test_a_cosine_falls_to_nothing_unless_told() -> None:
    assert cosine.Settings().floor == 0.0
    assert_ranges(cosine.Settings, {}, floor=(0.0, 0.999, -1e-9, 1.0))
