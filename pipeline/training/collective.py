"""What the workers of one training do together: the small interface that hides Horovod.

Nothing else in `training` knows how many processes there are, or imports Horovod. Every rank calls all methods in the
same order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.errors import Bug, UsageError
from pipeline.runtime.cores import yielding_threads

RANK_VARIABLE = "HOROVOD_RANK"


class Collective(Protocol):
    """A group of ranks 0 … size − 1."""

    rank: int
    size: int

    def average(self, flat: Any) -> Any:
        """Return the mean over the ranks of one flat float32 tensor: a step's only exchange, traced into its graph."""

    def stack(self, values: Any, name: str) -> Any:
        """Return the float32 tensors of all ranks, `[rank, …]`, the same bits on each; traced, with its gradient.

        `name` tells it from the step's other exchanges.
        """

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Set these Keras variables, on every rank, to rank 0's values."""

    def gather(self, content: bytes) -> list[bytes]:
        """Return every rank's content, by rank. All contents have the same number of bytes."""

    def total(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum over the ranks, added in the order of the ranks, so that every rank gets the same bits."""

    def close(self) -> None:
        """Leave the group."""


class SingleProcess:
    """A group of one."""

    rank = 0
    size = 1

    def average(self, flat: Any) -> Any:
        """Return the tensor unchanged."""
        return flat

    def stack(self, values: Any, name: str) -> Any:  # noqa: ARG002 - there is no exchange to name
        """Return the tensor as the only one."""
        return values[None]

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Do nothing: there are no other ranks."""

    def gather(self, content: bytes) -> list[bytes]:
        """Return the content as the only one."""
        return [content]

    def total(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sums unchanged."""
        return sums

    def close(self) -> None:
        """Do nothing."""


class Horovod:
    """The ranks that join through Horovod's rendezvous; the launcher's environment says where it is.

    Keras 3 variables are passed as `variable.value`: `hvd.DistributedOptimizer` around a Keras 3 optimizer silently
    does not reduce (Horovod 0.28.1), so the gradients are averaged here, by plain allreduce.
    """

    def __init__(self) -> None:
        try:
            import horovod.tensorflow as hvd
        except ImportError as error:
            raise UsageError(
                f"Horovod cannot be loaded ({error}): run `make setup` to build it, or set horovod.workers to 1"
            ) from error
        with yielding_threads():
            hvd.init()
        self._hvd = hvd
        self.rank = int(hvd.rank())
        self.size = int(hvd.size())

    def average(self, flat: Any) -> Any:
        """Allreduce; it becomes part of the step's graph."""
        return self._hvd.allreduce(flat, op=self._hvd.Average, name="step")

    def stack(self, values: Any, name: str) -> Any:
        """Allreduce tensors that are zero but for the rank's own row: sums with zeros keep every bit."""
        import tensorflow as tf

        rows = [[self.rank, self.size - 1 - self.rank]]

        @tf.custom_gradient  # type: ignore[untyped-decorator] # TensorFlow publishes no types
        def stacked(own: Any) -> Any:
            padded = tf.pad(own[tf.newaxis], rows + [[0, 0]] * own.shape.rank)

            def gradient(upstream: Any) -> Any:
                # The ranks' losses are averaged; each depends on this rank's row.
                return self._hvd.allreduce(upstream, op=self._hvd.Sum, name=f"{name}.gradient")[self.rank]

            return self._hvd.allreduce(padded, op=self._hvd.Sum, name=name), gradient

        return stacked(values)

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Broadcast from rank 0."""
        for number, variable in enumerate(variables):
            variable.assign(self._hvd.broadcast(variable.value, root_rank=0, name=f"variable.{number}"))

    def gather(self, content: bytes) -> list[bytes]:
        """Gather one row of bytes per rank."""
        row = np.frombuffer(content, np.uint8)[np.newaxis]
        return [bytes(gathered) for gathered in np.asarray(self._hvd.allgather(row, name="bytes"))]

    def total(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Gather, then add in the order of the ranks: an allreduce adds in an order of its own."""
        gathered = np.asarray(self._hvd.allgather(sums[np.newaxis], name="sums"))
        return np.asarray(gathered.sum(axis=0), np.float64)

    def close(self) -> None:
        """Leave Horovod's group."""
        self._hvd.shutdown()


def join() -> Collective:
    """Join the group that the launcher's environment names; without one, return a group of one."""
    return Horovod() if RANK_VARIABLE in os.environ else SingleProcess()


class PeerLost(Exception):
    """Another rank is gone: the group cannot continue."""


def is_lost_peer(error: BaseException) -> bool:
    """Return whether an error of TensorFlow's runtime is Horovod reporting that another rank is gone."""
    return "Horovod" in str(error)


def prove_identical(collective: Collective, digest: bytes, where: str) -> None:
    """Raise Bug unless every rank has the same digest: ranks that drift apart do not train the declared model."""
    digests = collective.gather(digest)
    strays = [rank for rank, other in enumerate(digests) if other != digests[0]]
    if strays:
        raise Bug(
            f"{where}: rank {', '.join(map(str, strays))} and rank 0 hold different weights or optimizer state; "
            "nothing was published"
        )
