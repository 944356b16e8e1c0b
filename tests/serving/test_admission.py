"""How many requests are let in."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pipeline.serving.admission import Admission
from pipeline.serving.limits import Limits
from pipeline.serving.refusals import Refusal


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_requests_are_refused_that_would_wait_too_long_by_the_measured_rate() -> None:
    clock, shed = Clock(), []
    admission = Admission(Limits(batch_rows=4, queue_s=0.5), shed.append, clock)
    assert admission.requests_per_s == float("inf")
    for _ in range(20):
        with admission.place():
            clock.now_s += 0.1
        clock.now_s += 5.0  # nobody asks: that says nothing of the rate
    assert admission.requests_per_s == pytest.approx(10)
    with ExitStack() as held:
        for _ in range(6):  # four always, and as many as are answered in half a second
            held.enter_context(admission.place())
        with pytest.raises(Refusal, match="6 requests are being answered") as refused, admission.place():
            pass
        assert refused.value.status == 503
        assert refused.value.headers == {"retry-after": "1"}
    assert shed == [1]
    assert admission.in_flight == 0
    with admission.place():
        assert admission.in_flight == 1


def test_what_waits_for_something_else_holds_up_nobody_and_is_let_in_again() -> None:
    clock, shed = Clock(), []
    admission = Admission(Limits(batch_rows=1, queue_s=0.5), shed.append, clock)
    for _ in range(20):
        with admission.place():
            clock.now_s += 1.0
    with ExitStack() as held:
        held.enter_context(admission.place())
        with admission.aside():
            clock.now_s += 100.0  # says nothing of the rate
            held.enter_context(admission.place())
            assert admission.in_flight == 1
        assert admission.in_flight == 2
        with pytest.raises(Refusal), admission.place():
            pass
    assert admission.in_flight == 0
    assert admission.requests_per_s == pytest.approx(22 / 20)


def test_the_rate_follows_what_has_changed() -> None:
    clock = Clock()
    admission = Admission(Limits(), lambda rows: None, clock)
    for seconds in (0.1, 0.001):
        for _ in range(2000):
            with admission.place():
                clock.now_s += seconds
    assert admission.requests_per_s == pytest.approx(1000, rel=0.1)
