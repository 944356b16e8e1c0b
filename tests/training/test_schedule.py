from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.recipe.recipe import TrainParams
from pipeline.training.schedule import learning_rates
from pipeline.training.schedules import constant


def params(**changes: object) -> TrainParams:
    return TrainParams.model_validate(
        {"epochs": 4, "batch_size": 1, "virtual_workers": 1, "learning_rate": 0.5, **changes}
    )


def test_the_warm_up_rises_evenly_to_the_peak() -> None:
    assert learning_rates(params(warmup_epochs=1.0), 5)[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


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


def test_a_schedule_has_its_settings() -> None:
    schedule = {"name": "cosine", "settings": {"floor": 0.5}}
    assert learning_rates(params(warmup_epochs=0.0, schedule=schedule), 100)[-1] == pytest.approx(0.25, rel=1e-3)
