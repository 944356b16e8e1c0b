"""What the tests of scripts share."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest


@pytest.fixture
def used_s() -> Callable[[], float]:
    """Gives the processor seconds of the processes that the test has started and seen to their end."""

    def used() -> float:
        times = resource.getrusage(resource.RUSAGE_CHILDREN)
        return times.ru_utime + times.ru_stime

    before_s = used()
    return lambda: used() - before_s
