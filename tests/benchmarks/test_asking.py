"""The clients of the benchmarks, against a server that answers as it is told."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks.asking import load, question

ANSWER = b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%s"


def said(status: int, body: bytes = b"{}") -> bytes:
    return ANSWER % (status, len(body), body)


@contextmanager
def server(pieces: Callable[[int], list[bytes]], pause_s: float = 0.0) -> Iterator[tuple[int, list[int]]]:
    """Answer the n-th question with these pieces, or hang up if there are none; yield the port and what was asked."""
    asked: list[int] = []
    content, one_by_one = question(), threading.Lock()

    class Answering(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True
        timeout = 60  # of a client that has failed

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                while self.rfile.read(len(content)) == content:
                    with one_by_one:
                        number = len(asked)
                        asked.append(number)
                    time.sleep(pause_s)
                    if not (parts := pieces(number)):
                        return
                    for part in parts:
                        self.wfile.write(part)
                        time.sleep(0.001)  # so that most come apart; what is counted must be the same if they do not

    # A thread a connection: the end of the block waits for all of them, which end as their clients do.
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=[0.01])
        thread.start()
        try:
            yield listening.server_address[1], asked
        finally:
            listening.shutdown()
            thread.join(60)


@pytest.mark.parametrize("rate", [None, 300.0], ids=["closed", "open"])
def test_each_answer_is_counted_once_by_its_status_however_it_is_cut(rate: float | None) -> None:
    whole = {0: said(200), 1: said(503), 2: said(500), 3: said(200, b"x" * 5000)}

    def pieces(number: int) -> list[bytes]:
        content = whole[number % 4]
        return [content[:25], content[25:38], content[38:]]

    with server(pieces) as (port, asked):
        found = load(port, question(), 3, 0.5, rate)
    counts = [len(found.seconds), found.refused, found.failed]
    assert sum(counts) == len(asked) > 8
    assert counts == pytest.approx([len(asked) / 2, len(asked) / 4, len(asked) / 4], abs=2)
    assert min(found.seconds) > 0.001
    assert found.wall_s > 0.4


@pytest.mark.long
def test_a_time_counts_from_when_a_question_was_due_where_no_connection_was_free() -> None:
    with server(lambda _: [said(200)], pause_s=0.05) as (port, asked):
        found = load(port, question(), 1, 0.5, 100.0)
    assert len(found.seconds) == len(asked) > 20  # all are asked, if late: none is left out as it would wait
    assert max(found.seconds) > 0.5
    assert len(found.lags_s) < len(asked) / 2


def test_a_connection_that_is_closed_before_its_answer_has_failed() -> None:
    with server(lambda number: [said(200)] if number < 3 else []) as (port, _):
        found = load(port, question(), 1, 0.3)
    assert (len(found.seconds), found.failed) == (3, 1)
