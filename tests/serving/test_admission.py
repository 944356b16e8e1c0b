"""How many requests are let in."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from pipeline.serving.admission import Admission
from pipeline.serving.limits import Limits
from pipeline.serving.overload import CALM_S, LONGEST_S, Overload
from pipeline.serving.refusals import Refusal
from tests.serving import made


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def admitting(limits: Limits, clock: Clock, shed: list[int]) -> Admission:
    return Admission(limits, Overload(limits, clock), shed.append, clock)


def test_requests_are_refused_that_would_wait_too_long_by_the_measured_rate() -> None:
    clock, shed = Clock(), []
    admission = admitting(Limits(batch_rows=4, queue_s=0.5), clock, shed)
    assert admission.requests_per_s == float("inf")
    for _ in range(20):
        with admission.place():
            clock.now_s += 0.1
        clock.now_s += 5.0  # nobody asks: that says nothing of the rate
    assert admission.requests_per_s == pytest.approx(10)
    with ExitStack() as held:
        for _ in range(6):  # four always, and as many as are answered in half a second
            held.enter_context(admission.place())
        with (
            pytest.raises(Refusal, match="as many requests are being answered as can be") as refused,
            admission.place(),
        ):
            pass
        assert refused.value.status == 503
        assert refused.value.headers == {"retry-after": "1"}
    assert shed == [1]
    assert admission.in_flight == 0
    with admission.place():
        assert admission.in_flight == 1


def test_what_waits_for_something_else_holds_up_nobody_and_is_let_in_again() -> None:
    clock, shed = Clock(), []
    admission = admitting(Limits(batch_rows=1, queue_s=0.5), clock, shed)
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
    admission = admitting(Limits(), clock, [])
    for seconds in (0.1, 0.001):
        for _ in range(2000):
            with admission.place():
                clock.now_s += seconds
    assert admission.requests_per_s == pytest.approx(1000, rel=0.1)


def test_in_an_overload_fewer_are_let_in_until_none_was_refused_for_a_while() -> None:
    clock, shed = Clock(), []
    limits = Limits(batch_rows=64, queue_s=0.05)
    overload = Overload(limits, clock)

    def let_in() -> int:
        admission = Admission(limits, overload, shed.append, clock)
        for _ in range(300):
            clock.now_s -= 0.001
            with admission.place():
                clock.now_s += 0.001
        with ExitStack() as held:
            for number in range(1000):
                try:
                    held.enter_context(admission.place())
                except Refusal:
                    return number
        raise AssertionError

    assert let_in() == 64  # many clients at once, who share calls
    assert let_in() == 5  # as many as are answered in a twelfth of the time, and one
    clock.now_s += CALM_S * 0.99
    assert let_in() == 5  # and it is one for longer
    clock.now_s += CALM_S * 1.01
    assert let_in() == 64
    assert shed == [1] * 4


def test_in_an_overload_of_a_slow_model_as_many_are_let_in_as_wait_for_a_few_calls() -> None:
    clock = Clock()
    limits = Limits(batch_rows=64, queue_s=0.12)
    overload = Overload(limits, clock)
    admission = Admission(limits, overload, lambda rows: None, clock)
    model = made.model(made.TABLE)
    for seconds in (0.3, 0.21, 3.0):  # the last had many rows
        overload.note_request(model, seconds)
    for _ in range(300):
        with admission.place():
            clock.now_s += 0.1
            overload.note_request(model, 0.21)
    overload.note_refusal()
    with ExitStack() as held:
        for _ in range(7):  # ten in a second, for three times 0.21 s
            held.enter_context(admission.place())
        with pytest.raises(Refusal), admission.place():
            pass
    overload.note_request(made.model(made.TABLE), 0.0)  # of another model
    assert overload.patience_s == pytest.approx(0.01)
    with ExitStack() as held:
        for _ in range(2):  # however slow it is: one is asked, one waits
            held.enter_context(admission.place())
        with pytest.raises(Refusal), admission.place():
            pass


def test_in_an_overload_nothing_is_let_in_that_would_be_refused_without() -> None:
    clock = Clock()
    limits = Limits(batch_rows=1, queue_s=0.0)
    overload = Overload(limits, clock)
    admission = Admission(limits, overload, lambda rows: None, clock)
    with admission.place():
        clock.now_s += 0.001
    overload.note_request(made.model(made.TABLE), 1.0)  # more than the wait of those below
    for _ in range(3):
        with admission.place(), pytest.raises(Refusal), admission.place():
            pass
        assert overload.is_on


def test_an_overload_ends_after_a_while_though_somebody_is_always_refused() -> None:
    clock = Clock()
    overload = Overload(Limits(), clock)
    seen = []
    for _ in range(650):
        overload.note_refusal()
        seen.append(overload.is_on)
        clock.now_s += 0.1
    off = [number for number, is_on in enumerate(seen) if not is_on]
    assert len(off) <= 2
    assert seen.count(True) > 640
    clock.now_s = 1000.0
    overload.note_refusal()
    for _ in range(299):
        clock.now_s += 0.1
        overload.note_refusal()
    assert overload.is_on
    clock.now_s = 1000.0 + LONGEST_S
    assert not overload.is_on  # the loose bound is tried
    overload.note_refusal()
    assert overload.is_on


def test_the_shortest_request_of_a_model_is_forgotten_in_time() -> None:
    clock = Clock()
    overload = Overload(Limits(queue_s=0.0), clock)
    assert overload.patience_s == 0.0
    model = made.model(made.TABLE)
    overload.note_request(model, 0.01)
    clock.now_s += 600.0
    assert overload.patience_s == pytest.approx(0.06)
    overload.note_request(model, 0.1)
    assert overload.patience_s == pytest.approx(0.06)
    clock.now_s += 3600.0
    overload.note_request(model, 0.1)
    assert overload.patience_s == pytest.approx(0.3)


def test_a_body_that_comes_slowly_holds_up_nobody() -> None:
    clock, shed = Clock(), []
    admission = admitting(Limits(batch_rows=1, queue_s=0.0), clock, shed)
    with admission.place():
        clock.now_s += 0.001
    with admission.place(), admission.aside(), admission.place():
        assert admission.in_flight == 1
    assert shed == []
