"""Micro-batching: what shares a call, what waits, what is refused and what is dropped."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.serving.batching import Batcher
from pipeline.serving.limits import Limits
from pipeline.serving.model import LoadedModel
from pipeline.serving.overload import Overload
from pipeline.serving.refusals import Gone, Refusal
from tests.serving import made

LIMITS = Limits(batch_rows=8, queue_rows=40, queue_s=10.0, wait_s=0.0)


class Seen:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.waited_s: list[float] = []
        self.shed_rows = 0
        self.lost: list[tuple[int, str]] = []

    def batch(self, rows: int, requests: int, waited_s: Sequence[float], call_s: float) -> None:
        self.batches.append((rows, requests))
        self.waited_s += waited_s

    def shed(self, rows: int) -> None:
        self.shed_rows += rows

    def dropped(self, rows: int, why: str) -> None:
        self.lost.append((rows, why))


async def stays() -> Any:
    """Receive from a client that never hangs up."""
    await asyncio.Event().wait()


def columns(*numbers: float) -> dict[str, Any]:
    return {"distance": np.asarray(numbers), "carrier": made.column(["A"] * len(numbers))}


def expected(model: LoadedModel, *numbers: float) -> np.ndarray:
    rows = [{"distance": number, "carrier": "A"} for number in numbers]
    return np.asarray([made.foretold(model.served, row) for row in rows], np.float32)


def run(scenario: Callable[[Batcher, Seen], Awaitable[None]], limits: Limits = LIMITS, **more: Any) -> Seen:
    seen = Seen()

    async def main() -> None:
        batcher = Batcher(limits, seen, **more)
        try:
            async with asyncio.timeout(60):
                await scenario(batcher, seen)
        finally:
            await batcher.close()

    asyncio.run(main())
    return seen


def ask(batcher: Batcher, model: LoadedModel, *numbers: float, within_s: float = 60.0, receive: Any = stays) -> Any:
    deadline_s = asyncio.get_running_loop().time() + within_s
    return asyncio.ensure_future(batcher.ask(model, columns(*numbers), deadline_s, receive))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_what_comes_while_a_call_is_under_way_shares_the_next_one() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        model.engine.is_open.clear()
        first = ask(batcher, model, 0)
        await asyncio.sleep(0)
        others = [ask(batcher, model, number) for number in range(1, 7)]
        await until(lambda: batcher.queued_rows == 6)
        model.engine.is_open.set()
        for number, asked in enumerate([first, *others]):
            np.testing.assert_array_equal(await asked, expected(model, number))

    seen = run(scenario)
    assert seen.batches == [(1, 1), (6, 6)]
    assert max(seen.waited_s) > 0


def test_a_lone_row_does_not_wait() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        for _ in range(3):
            await ask(batcher, model, 1)

    seen = run(scenario, Limits(wait_s=30.0))
    assert max(seen.waited_s) < 10


def test_after_a_shared_call_the_next_waits_for_as_many_rows() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        model.engine.is_open.clear()
        asked = [ask(batcher, model, number) for number in range(5)]
        await until(lambda: batcher.queued_rows == 4)
        model.engine.is_open.set()
        await asyncio.gather(*asked)  # one row, then four
        again = [ask(batcher, model, 0), ask(batcher, model, 1)]
        await asyncio.sleep(0.05)
        assert batcher.queued_rows == 2
        again += [ask(batcher, model, 2), ask(batcher, model, 3)]
        await asyncio.gather(*again)

    assert run(scenario, Limits(wait_s=30.0)).batches == [(1, 1), (4, 4), (4, 4)]


def test_no_row_waits_longer_than_allowed() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        model.engine.is_open.clear()
        asked = [ask(batcher, model, number) for number in range(5)]
        await until(lambda: batcher.queued_rows == 4)
        model.engine.is_open.set()
        await asyncio.gather(*asked)
        await ask(batcher, model, 0)

    seen = run(scenario, Limits(wait_s=0.05))
    assert seen.batches[-1] == (1, 1)
    assert 0.04 < seen.waited_s[-1] < 30


def test_a_call_has_no_more_rows_than_allowed_and_a_large_request_several_calls() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        numbers = list(range(19))
        np.testing.assert_array_equal(await ask(batcher, model, *numbers), expected(model, *numbers))

    assert sorted(run(scenario).batches) == [(3, 1), (8, 1), (8, 1)]


def test_rows_of_two_models_or_of_two_shapes_never_share_a_call() -> None:
    old, new, pictures = made.model(made.TABLE), made.model(made.TABLE, version=4), made.model(made.IMAGE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        old.engine.is_open.clear()
        first = ask(batcher, old, 0)
        await asyncio.sleep(0)
        asked = [ask(batcher, model, number) for number in range(3) for model in (old, new)]
        sizes = [
            asyncio.ensure_future(batcher.ask(pictures, {"image": np.ones((1, side, side, 1), np.uint8)}, 1e12, stays))
            for side in (2, 3, 2, 3)
        ]
        await asyncio.sleep(0.01)
        old.engine.is_open.set()
        await first
        for place, each in enumerate(asked):
            np.testing.assert_array_equal(await each, expected((old, new)[place % 2], place // 2))
        for side, each in zip((2, 3, 2, 3), sizes, strict=True):
            wanted = made.foretold(pictures.served, {"image": np.ones((side, side, 1))})
            np.testing.assert_array_equal((await each)[0], np.float32(wanted))

    assert run(scenario).batches == [(1, 1), (3, 3), (3, 3), (2, 2), (2, 2)]


def test_without_batching_every_request_is_a_call() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        await asyncio.gather(*(ask(batcher, model, number) for number in range(6)))

    assert run(scenario, is_batching=False).batches == [(1, 1)] * 6


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    model = made.model(made.TABLE, call_s=0.05)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        await ask(batcher, model, 0)  # the rate is measured: at most 20 rows a second
        model.engine.is_open.clear()
        asked = [ask(batcher, model, *range(8)) for _ in range(6)]
        await until(lambda: batcher.queued_rows == 40)
        with pytest.raises(Refusal, match="40 rows wait") as refused:
            await ask(batcher, model, 1)
        assert refused.value.status == 503
        assert 2 <= int(refused.value.headers["retry-after"]) <= 60
        model.engine.is_open.set()
        await asyncio.gather(*asked)

    assert run(scenario).shed_rows == 1


def test_more_is_refused_than_can_be_answered_in_time() -> None:
    model = made.model(made.TABLE, call_s=0.05)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        await ask(batcher, model, 0)
        batcher.overload.note_request(model, 10.0)  # what waits now may, the more as it is a slow model
        model.engine.is_open.clear()
        asked = [ask(batcher, model, *range(8)) for _ in range(3)]  # one under way, two calls' rows always may wait
        await until(lambda: batcher.queued_rows == 16)
        with pytest.raises(Refusal, match="16 rows wait"):
            await ask(batcher, model, 1)
        model.engine.is_open.set()
        await asyncio.gather(*asked)

    run(scenario, Limits(batch_rows=8, queue_rows=4000, queue_s=0.2, wait_s=0.0))


def test_in_an_overload_what_has_waited_too_long_is_refused_instead_of_asked() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        await ask(batcher, model, 0)  # a call is short
        model.engine.is_open.clear()
        first = ask(batcher, model, 0)
        await asyncio.sleep(0)
        large = ask(batcher, model, *range(20))
        await until(lambda: batcher.queued_rows == 20)
        batcher.overload.note_refusal()
        for entry in batcher._queue.values():
            entry.arrived_s -= 1000.0
        late, shown = ask(batcher, model, 1), ask(batcher, model, 2)
        await until(lambda: batcher.queued_rows == 22)
        model.engine.is_open.set()
        np.testing.assert_array_equal(await first, expected(model, 0))
        with pytest.raises(Refusal, match="rows wait") as refused:
            await large
        assert refused.value.status == 503
        assert 1 <= int(refused.value.headers["retry-after"]) <= 60
        np.testing.assert_array_equal(await late, expected(model, 1))
        np.testing.assert_array_equal(await shown, expected(model, 2))
        assert batcher.queued_rows == 0

    seen = run(scenario, Limits(batch_rows=8, wait_s=0.0, queue_s=12 * 500.0))
    assert seen.shed_rows == 20
    assert seen.batches == [(1, 1), (1, 1), (2, 2)]
    assert seen.lost == []


def test_in_an_overload_a_request_of_which_a_part_was_asked_is_answered_whole() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        await ask(batcher, model, 0)
        model.engine.is_open.clear()
        first = ask(batcher, model, 0)
        await asyncio.sleep(0)
        small = ask(batcher, model, 1)
        large = ask(batcher, model, *range(10))  # 8 rows do not fit beside that one, the other 2 do
        await until(lambda: batcher.queued_rows == 11)
        model.engine.is_open.set()
        await first
        await small  # 1 and 2 rows
        model.engine.is_open.clear()
        batcher.overload.note_refusal()
        model.engine.is_open.set()
        np.testing.assert_array_equal(await large, expected(model, *range(10)))
        assert batcher.queued_rows == 0

    seen = run(scenario, Limits(batch_rows=8, wait_s=0.0, queue_s=0.0))
    assert seen.batches == [(1, 1), (1, 1), (3, 2), (8, 1)]


def test_what_is_late_in_an_overload_is_refused_once_and_counted_right() -> None:
    """Whatever waits, in whatever pieces, some of which were asked: each request ends, and no row is left."""
    model = made.model(made.TABLE)

    class Impatient(Overload):
        patience_s = 0.0

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        batcher.overload = Impatient(LIMITS, time.perf_counter)
        await ask(batcher, model, 0)
        for _ in range(5):
            model.engine.is_open.clear()
            asked = [ask(batcher, model, *range(rows)) for rows in (1, 1, 10, 3, 17, 8, 9, 1, 20)]
            await until(lambda: batcher.queued_rows > 60)
            batcher.overload.note_refusal()
            model.engine.is_open.set()
            ends = await asyncio.gather(*asked, return_exceptions=True)
            for rows, end in zip((1, 1, 10, 3, 17, 8, 9, 1, 20), ends, strict=True):
                if isinstance(end, BaseException):
                    assert isinstance(end, Refusal), end
                else:
                    np.testing.assert_array_equal(end, expected(model, *range(rows)))
            assert batcher.queued_rows == 0
            assert any(not isinstance(end, Refusal) for end in ends)

    run(scenario, Limits(batch_rows=8, wait_s=0.0, queue_s=1e9, queue_rows=1000))


def test_where_rows_cannot_be_joined_or_no_thread_can_be_had_the_next_are_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        def no_thread(*_: Any) -> Any:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(batcher._threads, "submit", no_thread)
            with pytest.raises(RuntimeError, match="thread"):
                await ask(batcher, model, 1)
        with monkeypatch.context() as patched:
            patched.setattr("pipeline.serving.batching._joined", lambda batch: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await ask(batcher, model, 1)
        assert batcher.is_free
        np.testing.assert_array_equal(await ask(batcher, model, 2), expected(model, 2))

    run(scenario)


def test_what_was_asked_is_let_go_with_its_answer() -> None:
    model = made.model(made.TABLE)
    gc.collect()
    gc.disable()
    try:

        async def scenario(batcher: Batcher, seen: Seen) -> None:
            held = columns(*range(20))
            kept = weakref.ref(held["distance"])
            await batcher.ask(model, held, 1e12, stays)
            del held
            await asyncio.sleep(0)
            await until(lambda: kept() is None)  # the thread and the loop let go of it within a turn or two

        run(scenario)
    finally:
        gc.enable()


def test_in_an_overload_a_lone_row_is_asked_however_little_it_may_wait() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        for number in range(200):
            batcher.overload.note_refusal()
            np.testing.assert_array_equal(await ask(batcher, model, number), expected(model, number))

    assert run(scenario, Limits(batch_rows=8, wait_s=0.0, queue_s=0.0)).shed_rows == 0


def test_in_an_overload_a_request_that_was_begun_is_answered_whole() -> None:
    model = made.model(made.TABLE, call_s=0.03)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        large = ask(batcher, model, *range(20))
        await asyncio.sleep(0)
        batcher.overload.note_refusal()
        np.testing.assert_array_equal(await large, expected(model, *range(20)))

    assert run(scenario, Limits(batch_rows=8, wait_s=0.0, queue_s=0.0)).shed_rows == 0


def test_a_deadline_that_passes_in_the_queue_drops_the_rows() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        model.engine.is_open.clear()
        first = ask(batcher, model, 0)
        await asyncio.sleep(0)
        late = ask(batcher, model, 1, 2, within_s=0.02)
        with pytest.raises(Refusal) as refused:
            await late
        assert refused.value.status == 504
        assert batcher.queued_rows == 0
        model.engine.is_open.set()
        await first

    seen = run(scenario)
    assert seen.lost == [(2, "deadline")]
    assert model.engine.asked == [1]


def test_rows_of_a_client_that_hangs_up_are_dropped() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        hung_up = asyncio.Event()

        async def receive() -> Any:
            await hung_up.wait()
            return {"type": "http.disconnect"}

        model.engine.is_open.clear()
        first = ask(batcher, model, 0)
        await asyncio.sleep(0)
        gone = ask(batcher, model, *range(9), receive=receive)
        await until(lambda: batcher.queued_rows > 0)
        hung_up.set()
        with pytest.raises(Gone):
            await gone
        assert batcher.queued_rows == 0
        model.engine.is_open.set()
        np.testing.assert_array_equal(await first, expected(model, 0))

    seen = run(scenario)
    assert seen.lost == [(9, "gone")]
    assert model.engine.asked == [1]


def test_a_row_that_the_model_refuses_fails_alone() -> None:
    model = made.model(made.TABLE)
    model.engine.error = lambda asked: ValueError("13") if 13 in asked["distance"] else None

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        model.engine.is_open.clear()
        asked = [ask(batcher, model, number) for number in (0, 1, 13, 2)]
        await until(lambda: batcher.queued_rows == 3)
        model.engine.is_open.set()
        for number, each in zip((0, 1, 13, 2), asked, strict=True):
            if number == 13:
                with pytest.raises(ValueError, match="13"):
                    await each
            else:
                np.testing.assert_array_equal(await each, expected(model, number))

    run(scenario)


def test_answers_of_another_shape_are_an_error() -> None:
    model = made.model(made.TABLE)
    model.engine.answer = lambda asked: np.zeros((1, 2), np.float32)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        with pytest.raises(RuntimeError, match="answers"):
            await ask(batcher, model, 1)

    run(scenario)


def test_at_the_end_calls_under_way_are_answered() -> None:
    model = made.model(made.TABLE, call_s=0.05)

    async def main() -> None:
        batcher = Batcher(LIMITS, Seen())
        asked = ask(batcher, model, 5)
        await asyncio.sleep(0.01)
        await batcher.close()
        np.testing.assert_array_equal(await asked, expected(model, 5))

    asyncio.run(main())


@pytest.mark.long
@settings(max_examples=40, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 2), st.booleans()), min_size=1, max_size=25),
    calls=st.integers(1, 3),
    wait_s=st.sampled_from([0.0, 0.001]),
)
def test_each_gets_its_own_answers_and_its_own_models_however_they_come(
    requests: list[tuple[int, int, bool]], calls: int, wait_s: float
) -> None:
    models = [made.model(made.TABLE, version=version) for version in (1, 2, 3)]
    limits = Limits(batch_rows=8, queue_rows=10_000, queue_s=1e9, wait_s=wait_s)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        asked = []
        for place, (rows, which, pauses) in enumerate(requests):
            numbers = [100 * place + row for row in range(rows)]
            asked.append((models[which], numbers, ask(batcher, models[which], *numbers)))
            if pauses:
                await asyncio.sleep(0)
        for model, numbers, each in asked:
            np.testing.assert_array_equal(await each, expected(model, *numbers))
        assert batcher.queued_rows == 0

    seen = run(scenario, limits, calls=calls)
    assert max(rows for rows, _ in seen.batches) <= 8
    assert sum(rows for rows, _ in seen.batches) == sum(rows for rows, _, _ in requests)


def test_it_is_free_while_nothing_waits_and_a_call_is_left() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        assert batcher.is_free
        model.engine.is_open.clear()
        first = ask(batcher, model, 0)
        await asyncio.sleep(0)
        assert batcher.is_free  # one of two calls is left
        second = ask(batcher, model, 1)
        await asyncio.sleep(0)
        assert not batcher.is_free
        late = ask(batcher, model, 2, within_s=0.02)
        with pytest.raises(Refusal):
            await late
        assert not batcher.is_free
        free = asyncio.ensure_future(batcher.until_free())
        await asyncio.sleep(0.01)
        assert not free.done()
        model.engine.is_open.set()
        await asyncio.gather(first, second, free)
        assert batcher.is_free

    run(scenario, calls=2)


def test_rows_that_were_waiting_for_others_and_are_dropped_leave_it_free() -> None:
    model = made.model(made.TABLE)

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        model.engine.is_open.clear()
        asked = [ask(batcher, model, number) for number in range(5)]
        await until(lambda: batcher.queued_rows == 4)
        model.engine.is_open.set()
        await asyncio.gather(*asked)
        waits = ask(batcher, model, 0, within_s=0.02)  # for as many as shared the last call
        await asyncio.sleep(0)
        assert not batcher.is_free
        with pytest.raises(Refusal):
            await waits
        assert batcher.is_free

    run(scenario, Limits(wait_s=30.0))


def test_the_rate_is_what_was_measured() -> None:
    model = made.model(made.TABLE, call_s=0.02)
    rates = []

    async def scenario(batcher: Batcher, seen: Seen) -> None:
        assert batcher.rows_per_s == float("inf")
        began_s = time.perf_counter()
        for _ in range(5):
            await ask(batcher, model, *range(8))
        rates.append((batcher.rows_per_s, 40 / (time.perf_counter() - began_s)))

    run(scenario)
    [(measured, actual)] = rates
    assert actual <= measured * 1.01 <= 8 / 0.02 * 1.02
