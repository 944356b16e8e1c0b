"""What is still done after a failure: what goes wrong then is a warning, because people must read the failure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.errors import without_secrets


@contextmanager
def warned(what: str) -> Iterator[None]:
    """Make any error of the block one warning line that begins with `what`, on standard error."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not take the place of the first error
        reason = without_secrets(" ".join(str(error).split())) or type(error).__name__
        print(f"warning: {what}: {reason}", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def at_the_end(act: Callable[[], object], what: str) -> Iterator[None]:
    """Call `act` when the block ends, however it ends. After an error of the block, an error of `act` is a warning."""
    try:
        yield
    except BaseException:
        with warned(what):
            act()
        raise
    act()
