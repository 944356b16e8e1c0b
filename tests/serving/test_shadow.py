"""Copies for the challenger: compared after the champion's answer, and never at a request's expense."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.serving.batching import Batcher
from pipeline.serving.limits import Limits
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel
from pipeline.serving.roles import CHALLENGER, CHAMPION
from pipeline.serving.shadow import Copy, Shadow, compared
from pipeline.serving.values import Part
from tests.serving import made
from tests.serving.beside import ROW, challenged, engine, reading
from tests.serving.running import Kept, Running
from tests.serving.test_batching import ask, columns, until
from tests.serving.test_guard import wait_for

COMPARED = 'ratchet_shadow_copies_total{fate="compared"}'
DROPPED = 'ratchet_shadow_copies_total{fate="dropped"}'
FAILED = 'ratchet_shadow_copies_total{fate="failed"}'


def value(metrics: Metrics, name: str) -> float:
    text = metrics.text(model=None, queued_rows=0, rows_per_s=0, bodies_bytes=0, following=None).decode()
    return float(next((line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")), 0))


def is_done(service: Running, requests: int) -> None:
    """Wait until so many questions were answered, and all their copies were asked."""
    wait_for(lambda: sum(line.get("method") == "POST" for line in service.log.lines) == requests)
    wait_for(lambda: service.service.shadow.waiting == 0)


class Models:
    """A champion and a challenger, and copies of requests of the former."""

    def __init__(self) -> None:
        self.champion, self.challenger = made.model(made.TABLE), made.model(made.TABLE, version=4)

    def copy(self, *numbers: float, challenger: LoadedModel | None = None) -> Copy:
        given = columns(*numbers)
        part = Part(given, np.arange(len(numbers)))
        return Copy(self.champion, challenger or self.challenger, [part], self.champion.answer(given))


def run(
    scenario: Callable[[Shadow, Batcher, Models], Awaitable[None]], limits: Limits | None = None, *, calls: int = 1
) -> tuple[Metrics, Kept, Models]:
    metrics, log, models = Metrics(), Kept(), Models()

    async def main() -> None:
        batcher = Batcher(limits or Limits(), metrics, calls=calls)
        shadow = Shadow([batcher], limits or Limits(), metrics, log)
        try:
            async with asyncio.timeout(60):
                await scenario(shadow, batcher, models)
        finally:
            models.champion.engine.is_open.set()
            models.challenger.engine.is_open.set()
            shadow.close()
            await batcher.close()

    asyncio.run(main())
    return metrics, log, models


def test_a_share_of_what_the_champion_answered_is_asked_of_the_challenger_and_compared(tmp_path: Path) -> None:
    with challenged(tmp_path, shadow=0.5) as service:
        asked_before = list(engine(service, CHALLENGER).asked)
        for each in range(40):
            answer = service.post("/predict", [ROW, ROW], x_request_id=f"id-{each}")
            assert answer.headers["x-model-version"] == "3"
        is_done(service, 40)
        copies = reading(service, COMPARED)
        assert 5 < copies < 35
        assert reading(service, 'ratchet_shadow_rows_total{version="4"}') == 2 * copies
        assert reading(service, 'ratchet_shadow_difference_count{version="4"}') == 2 * copies
        assert engine(service, CHALLENGER).asked[len(asked_before) :] == [2] * int(copies)
        own, other = (made.foretold(made.record(made.TABLE, version=which), ROW) for which in (3, 4))
        expected = 2 * copies * float(np.max(np.abs(np.subtract(own, other))))
        assert reading(service, 'ratchet_shadow_difference_sum{version="4"}') == pytest.approx(expected, rel=1e-5)
        disagreements = 2 * copies * (np.argmax(own) != np.argmax(other))
        assert reading(service, 'ratchet_shadow_disagreements_total{version="4"}') == disagreements
        assert reading(service, f'ratchet_role_call_rows_total{{role="{CHALLENGER}"}}') == 2 * copies
        assert reading(service, f'ratchet_role_requests_total{{role="{CHAMPION}",version="3"}}') == 40
        assert reading(service, 'ratchet_rows_total{version="4"}') == 0  # nobody was given them


def test_with_both_shares_a_request_of_the_canary_is_not_copied(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=1.0, shadow=1.0) as service:
        service.post("/predict", ROW)
        engine(service, CHALLENGER).error = lambda columns: ValueError("x")
        service.post("/predict", ROW)  # and none that the challenger has failed
        engine(service, CHALLENGER).error = lambda columns: None
        service.post("/v1/models/zoo/labels/champion:predict", {"instances": [ROW]})
        is_done(service, 3)
        assert reading(service, COMPARED) == 1


def test_of_what_is_left_to_the_champion_a_share_is_copied(tmp_path: Path) -> None:
    with challenged(tmp_path, canary=0.5, shadow=0.5) as service:
        for each in range(40):
            service.post("/predict", ROW, x_request_id=f"id-{each}")
        is_done(service, 40)
        left = reading(service, f'ratchet_role_requests_total{{role="{CHAMPION}",version="3"}}')
        assert 2 < reading(service, COMPARED) < left - 2


def test_a_request_that_got_no_answer_is_not_copied(tmp_path: Path) -> None:
    with challenged(tmp_path, shadow=1.0) as service:
        engine(service, CHAMPION).error = lambda columns: ValueError("x")
        assert service.post("/predict", ROW).status == 500
        engine(service, CHAMPION).error = lambda columns: None
        service.post("/predict", ROW)
        is_done(service, 2)
        assert reading(service, COMPARED) == 1
        assert reading(service, f'ratchet_role_errors_total{{role="{CHAMPION}",version="3",why="failed"}}') == 1


def test_a_challenger_that_hangs_delays_no_answer_and_its_copies_are_dropped(tmp_path: Path) -> None:
    with challenged(tmp_path, shadow=1.0, limits=Limits(copies=2)) as service:
        engine(service, CHALLENGER).is_open.clear()
        try:
            assert {service.post("/predict", ROW).status for _ in range(5)} == {200}
            wait_for(lambda: reading(service, DROPPED) == 3)
            assert service.service.shadow.waiting == 2
        finally:
            engine(service, CHALLENGER).is_open.set()
        wait_for(lambda: reading(service, COMPARED) == 2)


def test_no_copy_is_asked_while_the_champion_has_no_call_free() -> None:
    async def scenario(shadow: Shadow, batcher: Batcher, models: Models) -> None:
        models.champion.engine.is_open.clear()
        first = ask(batcher, models.champion, 0)
        await asyncio.sleep(0)
        waits = ask(batcher, models.champion, 1)
        models.champion.engine.is_open.set()
        copy = models.copy(5)
        models.champion.engine.is_open.clear()
        shadow.take(copy)
        await asyncio.sleep(0.05)
        assert models.challenger.engine.asked == []
        models.champion.engine.is_open.set()
        await asyncio.gather(first, waits)
        await until(lambda: shadow.waiting == 0)
        assert models.challenger.engine.asked == [1]

    run(scenario)


def test_a_champion_with_a_call_left_lets_copies_be_asked() -> None:
    async def scenario(shadow: Shadow, batcher: Batcher, models: Models) -> None:
        copy = models.copy(5)
        models.champion.engine.is_open.clear()
        first = ask(batcher, models.champion, 0)
        await asyncio.sleep(0)
        shadow.take(copy)
        await until(lambda: shadow.waiting == 0)
        models.champion.engine.is_open.set()
        await first

    metrics, _, _ = run(scenario, calls=2)
    assert value(metrics, COMPARED) == 1


def test_a_large_copy_is_asked_in_pieces_between_which_requests_come_first() -> None:
    async def scenario(shadow: Shadow, batcher: Batcher, models: Models) -> None:
        models.challenger.engine.is_open.clear()
        shadow.take(models.copy(*range(19)))
        await asyncio.sleep(0.01)
        models.champion.engine.is_open.clear()
        busy = ask(batcher, models.champion, 0)
        await asyncio.sleep(0)
        models.challenger.engine.is_open.set()
        await until(lambda: models.challenger.engine.asked == [8])
        await asyncio.sleep(0.05)
        assert models.challenger.engine.asked == [8]
        models.champion.engine.is_open.set()
        await busy
        await until(lambda: shadow.waiting == 0)
        assert models.challenger.engine.asked == [8, 8, 3]

    metrics, _, _ = run(scenario, Limits(batch_rows=8))
    assert value(metrics, 'ratchet_shadow_rows_total{version="4"}') == 19


@pytest.mark.parametrize("limits", [Limits(copies=3), Limits(copies_bytes=3 * Models().copy(1, 2).size_bytes)])
def test_what_does_not_fit_is_dropped_and_what_waits_at_the_end_too(limits: Limits) -> None:
    async def scenario(shadow: Shadow, batcher: Batcher, models: Models) -> None:
        models.challenger.engine.is_open.clear()
        for _ in range(5):
            shadow.take(models.copy(1, 2))
        assert shadow.waiting == 3

    metrics, _, _ = run(scenario, limits)
    assert value(metrics, DROPPED) == 5
    assert value(metrics, COMPARED) == 0


def test_a_copy_that_fails_is_counted_and_the_next_one_is_asked() -> None:
    async def scenario(shadow: Shadow, batcher: Batcher, models: Models) -> None:
        models.challenger.engine.error = lambda asked: ValueError("secret") if 13 in asked["distance"] else None
        for number in (1, 13, 2):
            shadow.take(models.copy(number))
        await until(lambda: shadow.waiting == 0)
        shadow.take(models.copy(3))  # after all were done
        await until(lambda: shadow.waiting == 0)

    metrics, log, _ = run(scenario)
    assert (value(metrics, COMPARED), value(metrics, FAILED)) == (3, 1)
    assert value(metrics, f'ratchet_role_errors_total{{role="{CHALLENGER}",version="4",why="failed"}}') == 1
    assert log.lines == [{"event": "copy failed", "error": "ValueError"}]


def test_a_size_is_that_of_numbers_and_texts() -> None:
    few, many = (Models().copy(*range(count)).size_bytes for count in (1, 100))
    assert 90 * few < many <= 100 * few
    long = Copy(
        made.model(made.TEXT), made.model(made.TEXT), [Part({"body": made.column(["x" * 10_000])}, np.arange(1))],
        np.zeros((1, 3), np.float32),
    )  # fmt: skip
    assert long.size_bytes > 10_000


NONE = [np.nan] * 3


def test_classes_are_compared_and_each_rows_largest_difference_is_taken() -> None:
    served = made.record(made.TABLE)
    own = np.asarray([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], NONE, NONE, [1, 0, 0]], np.float32)
    other = np.asarray([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], NONE, [1, 0, 0], NONE], np.float32)
    found = compared(served, served, own, other)
    assert found.disagreements == 3  # another class, and twice only one of the two has an answer
    assert found.differences == pytest.approx([0.1, 0.5], rel=1e-6)


def test_each_has_its_class_by_its_own_threshold() -> None:
    two = ("no", "yes")
    low, even = made.record(made.TABLE, classes=two).changed(threshold=0.2), made.record(made.TABLE, classes=two)
    answers = np.asarray([[0.7, 0.3], [0.9, 0.1]], np.float32)
    assert compared(low, even, answers, answers).disagreements == 1
    assert compared(low, low, answers, answers) == (0, [0.0, 0.0])


def test_of_numbers_the_difference_is_in_their_unit() -> None:
    served = made.record(made.TABLE, classes=())
    own, other = np.asarray([[1.0], [np.nan]], np.float32), np.asarray([[31.0], [2.0]], np.float32)
    assert compared(served, served, own, other) == (1, [30.0])


def test_users_are_answered_while_copies_are_under_way(tmp_path: Path) -> None:
    """Many at once, with a slow challenger: each gets the champion's own answer, and none is shed."""
    with challenged(tmp_path, shadow=1.0) as service:
        engine(service, CHALLENGER).call_s = 0.01
        statuses: list[Any] = []

        def client() -> None:
            for _ in range(10):
                answer = service.post("/predict", ROW)
                expected = made.foretold(made.record(made.TABLE), ROW)
                found = list(answer.json["predictions"][0]["probabilities"].values())
                statuses.append((answer.status, found == expected))

        clients = [threading.Thread(target=client) for _ in range(4)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        assert statuses == [(200, True)] * 40
        is_done(service, 40)
        assert reading(service, COMPARED) + reading(service, DROPPED) == 40
