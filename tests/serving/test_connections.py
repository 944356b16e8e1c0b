"""One connection of a client, without a network: what is done when an answer is read slowly, or by nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.serving.connections import Connection

IDLE_S = 5


class Loop:
    """Keeps what is to be done later until it is asked to be late."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def call_later(self, after_s: float, what: Callable[..., None], *arguments: Any) -> None:
        """Keep what is to be done."""
        assert after_s == IDLE_S
        self.later.append(lambda: what(*arguments))

    def pass_on(self) -> None:
        """Do what was to be done by now."""
        due, self.later = self.later, []
        for what in due:
            what()


class Transport:
    """So many bytes wait to be read."""

    def __init__(self) -> None:
        self.waiting_bytes, self.is_cut = 0, False

    def get_write_buffer_size(self) -> int:
        """Return the bytes that wait."""
        return self.waiting_bytes

    def abort(self) -> None:
        """Note that the connection is cut."""
        self.is_cut = True


@pytest.mark.parametrize(
    ("waiting_bytes", "is_cut"),
    [([9, 8, 1, 0], False), ([9, 9], True), ([9, 8, 8], True), ([9, 8, 9], True)],
    ids=["slowly", "nobody", "no longer", "more of the next answer"],
)
def test_a_connection_is_cut_once_nothing_of_an_answer_is_read_for_as_long_as_it_may_idle(
    waiting_bytes: list[int], is_cut: bool
) -> None:
    connection: Any = Connection.__new__(Connection)
    connection.loop, connection.transport, connection.timeout_keep_alive = Loop(), Transport(), IDLE_S
    connection.transport.waiting_bytes = waiting_bytes[0]
    connection._expect_reading()
    for left in waiting_bytes[1:]:
        assert not connection.transport.is_cut
        connection.transport.waiting_bytes = left
        connection.loop.pass_on()
    assert connection.transport.is_cut == is_cut
    assert not connection.loop.later
