"""What all tests share."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

# The machines that run this are shared: how long an example took says nothing about the code.
settings.register_profile("ratchet", deadline=None, max_examples=50)
# While somebody works: `make check`.
settings.register_profile("check", parent=settings.get_profile("ratchet"), max_examples=10)
# A mutant is noticed or not, always alike; which example is the smallest is no matter.
settings.register_profile(
    "mutants",
    parent=settings.get_profile("ratchet"),
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    database=None,
)
settings.load_profile("ratchet")


# A shell has what it runs in the background ignore interrupts, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Leave what has been imported by now out of every later garbage collection: it stays, and there is much of it."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """No test pulls the plug, and without that none can tell whether fsync has been."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
