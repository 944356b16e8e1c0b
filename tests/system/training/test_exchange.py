"""The exchange between ranks keeps the tree: ranks of one process, which hand each other arrays in Horovod's stead.

Real ranks and their digests: tests/system/test_training.py.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from pipeline.training.collective import Horovod
from pipeline.training.tree import added, block_of

SIZE = 7  # no number of ranks divides it


class Exchange:
    """What ranks of one process put down, for all of them to see."""

    def __init__(self, ranks: int) -> None:
        self.given: list[Any] = [None] * ranks
        self.calls: list[str] = []
        self.barrier = threading.Barrier(ranks, timeout=60)

    def swap(self, rank: int, value: Any) -> list[Any]:
        self.given[rank] = value
        self.barrier.wait()
        seen = list(self.given)
        self.barrier.wait()
        return seen


class OneRank:
    """What a rank calls of Horovod."""

    Sum = "sum"

    def __init__(self, exchange: Exchange, rank: int) -> None:
        self._exchange, self._rank = exchange, rank

    def init(self) -> None:
        """Have nothing to do."""

    def rank(self) -> int:
        return self._rank

    def size(self) -> int:
        return len(self._exchange.given)

    def _swap(self, call: str, value: Any) -> list[Any]:
        self._exchange.calls.append(call)
        return self._exchange.swap(self._rank, value)

    def alltoall(self, rows: Any, splits: Sequence[int], name: str) -> tuple[Any, Any]:
        import tensorflow as tf

        assert sum(splits) == len(rows)
        given = self._swap(f"alltoall {name}", (rows, list(splits)))
        shares = [rows[sum(cuts[: self._rank]) :][: cuts[self._rank]] for rows, cuts in given]
        return tf.concat(shares, axis=0), [len(share) for share in shares]

    def allgather(self, rows: Any, name: str) -> Any:
        import tensorflow as tf

        return tf.concat(self._swap(f"allgather {name}", rows), axis=0)

    def broadcast(self, value: Any, root_rank: int, name: str) -> Any:
        return self._swap(f"broadcast {name}", value)[root_rank]

    def allreduce(self, flat: Any, op: str, name: str) -> Any:
        assert op == self.Sum
        return sum(self._swap(f"allreduce {name}", flat))


def group(exchange: Exchange, rank: int, monkeypatch: pytest.MonkeyPatch) -> Horovod:
    """Return a rank that has joined the others; only its own constructor looks for Horovod."""
    import sys

    monkeypatch.setitem(sys.modules, "horovod", type(sys)("horovod"))
    monkeypatch.setitem(sys.modules, "horovod.tensorflow", OneRank(exchange, rank))
    monkeypatch.setattr(sys.modules["horovod"], "tensorflow", OneRank(exchange, rank), raising=False)
    return Horovod()


def together(groups: Sequence[Horovod], work: Callable[[Horovod], Any]) -> list[Any]:
    """Let every rank work at the same time; return what each has, by rank."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(groups)) as pool:
        return list(pool.map(work, groups))


@pytest.mark.parametrize(("ranks", "leaves"), [(2, 2), (2, 4), (2, 6), (3, 6), (3, 12), (4, 4), (4, 12), (6, 6)])
def test_the_sum_of_any_number_of_ranks_has_the_bits_of_one(
    ranks: int, leaves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    numbers = np.random.default_rng(leaves).normal(size=(leaves, SIZE)).astype(np.float32) * 10.0 ** np.arange(SIZE)
    tensors = [tf.constant(row, tf.float32) for row in numbers]
    every = [((leaf, leaf + 1), tensor) for leaf, tensor in enumerate(tensors)]
    [(_, alone)] = added(every, leaves, operator.add)

    exchange = Exchange(ranks)
    groups = [group(exchange, rank, monkeypatch) for rank in range(ranks)]
    assert [(one.rank, one.size) for one in groups] == [(rank, ranks) for rank in range(ranks)]

    def summed(one: Horovod) -> bytes:
        block = block_of(one.rank, ranks, leaves)
        total = one.tree_sum(added((every[leaf] for leaf in block), leaves, operator.add), leaves)
        return bytes(total.numpy().tobytes())

    assert together(groups, summed) == [alone.numpy().tobytes()] * ranks
    is_one_addition = (ranks, leaves) in ((2, 2), (2, 4))
    assert set(exchange.calls) == ({"allreduce step"} if is_one_addition else {"alltoall slices", "allgather step"})


def test_contents_are_gathered_by_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange(3)
    groups = [group(exchange, rank, monkeypatch) for rank in range(3)]
    assert (
        together(groups, lambda one: one.gather(b"rank" + bytes([one.rank]))) == [[b"rank\0", b"rank\1", b"rank\2"]] * 3
    )


def test_every_rank_gets_the_values_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    exchange = Exchange(2)
    groups = [group(exchange, rank, monkeypatch) for rank in range(2)]
    variables = [[keras.Variable([1.0 + 10 * rank, 2.0]), keras.Variable(3.0 + rank)] for rank in range(2)]
    together(groups, lambda one: one.broadcast(variables[one.rank]))
    assert [[variable.numpy().tolist() for variable in own] for own in variables] == [[[1.0, 2.0], 3.0]] * 2
