"""Works one batch ahead: while a step computes, a thread makes what the next one takes.

It pays where batches cost something to make and a step leaves Python's lock alone, as TensorFlow's does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")


def ahead(values: Iterable[T]) -> Iterator[T]:
    """Yield the same values in the same order, each made while the one before is in use; raises what making one does.

    Whoever stops early waits for the one that is being made.
    """
    source = iter(values)
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, source, end)
        while (value := coming.result()) is not end:
            coming = thread.submit(next, source, end)
            yield cast(T, value)
