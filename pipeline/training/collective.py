"""What the workers of one training do together: the one small seam behind which Horovod stands.

Nothing else in this package knows how many processes there are, or imports Horovod. All methods are called by every
rank in the same order.
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
        """Return the mean over the ranks of one flat float32 tensor: the one exchange of a step, while it is traced."""

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Give every rank the values that rank 0 has in these Keras variables."""

    def gather(self, content: bytes) -> list[bytes]:
        """Return what every rank gave, by rank. All give the same number of bytes."""

    def total(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum over the ranks, in the order of the ranks, so that it is the same everywhere."""

    def close(self) -> None:
        """Leave the group."""


class SingleProcess:
    """A group of one."""

    rank = 0
    size = 1

    def average(self, flat: Any) -> Any:
        """Return the tensor."""
        return flat

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Do nothing: there is nobody else."""

    def gather(self, content: bytes) -> list[bytes]:
        """Return the one content."""
        return [content]

    def total(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sums."""
        return sums

    def close(self) -> None:
        """Do nothing."""


class Horovod:
    """The ranks that Horovod's rendezvous brings together; the launcher's environment says where it is.

    Keras 3 variables are handed over as `variable.value`: `hvd.DistributedOptimizer` around a Keras 3 optimizer reduces
    nothing and says nothing (Horovod 0.28.1), so the gradients are averaged here, by plain allreduce.
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
        """Allreduce; becomes a part of the step's graph."""
        return self._hvd.allreduce(flat, op=self._hvd.Average, name="step")

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Broadcast from rank 0."""
        for number, variable in enumerate(variables):
            variable.assign(self._hvd.broadcast(variable.value, root_rank=0, name=f"variable.{number}"))

    def gather(self, content: bytes) -> list[bytes]:
        """Gather as one row of bytes a rank."""
        row = np.frombuffer(content, np.uint8)[np.newaxis]
        return [bytes(gathered) for gathered in np.asarray(self._hvd.allgather(row, name="bytes"))]

    def total(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Gather and add in the order of the ranks: an allreduce of many ranks adds in an order of its own."""
        gathered = np.asarray(self._hvd.allgather(sums[np.newaxis], name="sums"))
        return np.asarray(gathered.sum(axis=0), np.float64)

    def close(self) -> None:
        """Leave Horovod's group."""
        self._hvd.shutdown()


def join() -> Collective:
    """Join the group that the launcher's environment names, or be a group of one."""
    return Horovod() if RANK_VARIABLE in os.environ else SingleProcess()


class PeerLost(Exception):
    """Another rank is gone: the group cannot go on."""


def is_lost_peer(error: BaseException) -> bool:
    """Say whether an error of TensorFlow's runtime is Horovod reporting that another rank is gone."""
    return "Horovod" in str(error)


def prove_identical(collective: Collective, digest: bytes, where: str) -> None:
    """Raise Bug unless every rank has the same digest: ranks that drifted apart would train a model nobody chose."""
    digests = collective.gather(digest)
    strays = [rank for rank, other in enumerate(digests) if other != digests[0]]
    if strays:
        raise Bug(
            f"{where}: rank {', '.join(map(str, strays))} and rank 0 hold different weights or optimizer state; "
            "a layer that keeps state of its own (batch normalisation) is the usual cause: nothing was published"
        )
