"""What the workers of one training do together: the small interface that hides Horovod.

Nothing else in `training` knows how many processes there are, or imports Horovod. Every rank calls all methods in the
same order.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from pipeline.errors import Bug, UsageError
from pipeline.runtime.cores import yielding_threads
from pipeline.training.tree import Span, added, block_of, largest_nodes

RANK_VARIABLE = "HOROVOD_RANK"
HOST_VARIABLE = "HOROVOD_HOSTNAME"
_HOST_BYTES, _CPU_BYTES = 64, 64  # of what is told of a rank
Part = tuple[Span, Any]  # a node of the tree, and its sum: one flat float32 tensor


class Collective(Protocol):
    """A group of ranks 0 … size − 1."""

    rank: int
    size: int

    def tree_sum(self, sums: Sequence[Part], leaves: int) -> Any:
        """Return the sum over all virtual workers of flat float32 tensors, added in their fixed tree (`tree.py`).

        `sums` are those of the largest nodes of the rank's block.
        """

    def fast_sum(self, flat: Any) -> Any:
        """Return the sum over the ranks of one flat float32 tensor, added in whatever order is fastest."""

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Set these Keras variables, on every rank, to rank 0's values."""

    def gather(self, content: bytes) -> list[bytes]:
        """Return every rank's content, by rank. All contents have the same number of bytes."""

    def close(self) -> None:
        """Leave the group."""


class SingleProcess:
    """A group of one."""

    rank = 0
    size = 1

    def tree_sum(self, sums: Sequence[Part], leaves: int) -> Any:  # noqa: ARG002 - the root is left, of any tree
        """Return the one sum that is left."""
        [(_, flat)] = sums
        return flat

    def fast_sum(self, flat: Any) -> Any:
        """Return the tensor unchanged."""
        return flat

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Do nothing: there are no other ranks."""

    def gather(self, content: bytes) -> list[bytes]:
        """Return the content as the only one."""
        return [content]

    def close(self) -> None:
        """Do nothing."""


class Horovod:
    """The ranks that join through Horovod's rendezvous; the launcher's environment says where it is.

    Keras 3 variables are passed as `variable.value`: `hvd.DistributedOptimizer` around a Keras 3 optimizer silently
    does not reduce (Horovod 0.28.1), so gradients are summed here, by Horovod's plain operations on one flat tensor.
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

    def tree_sum(self, sums: Sequence[Part], leaves: int) -> Any:
        """Add in the order of the tree.

        Of two ranks with one sum each, any allreduce does: it is one addition, which commutes. Otherwise every rank
        takes one slice of all sums, adds these in the tree, and gives the result to all: as many bytes as a ring
        allreduce moves (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms", 2009), where each rank has one.
        """
        import tensorflow as tf

        nodes = [largest_nodes(block_of(rank, self.size, leaves), leaves) for rank in range(self.size)]
        if [len(of_rank) for of_rank in nodes] == [1, 1]:
            return self.fast_sum(sums[0][1])
        size = int(sums[0][1].shape[0])
        slice_size = -(-size // self.size)
        padded = tf.pad(tf.stack([flat for _, flat in sums]), [[0, 0], [0, slice_size * self.size - size]])
        slices = tf.transpose(tf.reshape(padded, [len(sums), self.size, slice_size]), [1, 0, 2])  # [rank, sum, slice]
        received, _ = self._hvd.alltoall(
            tf.reshape(slices, [-1, slice_size]), splits=[len(sums)] * self.size, name="slices"
        )
        spans = [span for of_rank in nodes for span in of_rank]
        [(_, whole)] = added(zip(spans, tf.unstack(received, len(spans)), strict=True), leaves, tf.add)
        return self._hvd.allgather(whole, name="step")[:size]

    def fast_sum(self, flat: Any) -> Any:
        """Allreduce."""
        return self._hvd.allreduce(flat, op=self._hvd.Sum, name="step")

    def broadcast(self, variables: Sequence[Any]) -> None:
        """Broadcast from rank 0."""
        for number, variable in enumerate(variables):
            variable.assign(self._hvd.broadcast(variable.value, root_rank=0, name=f"variable.{number}"))

    def gather(self, content: bytes) -> list[bytes]:
        """Gather one row of bytes per rank."""
        row = np.frombuffer(content, np.uint8)[np.newaxis]
        return [bytes(gathered) for gathered in np.asarray(self._hvd.allgather(row, name="bytes"))]

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


def require_alike(collective: Collective, digest: bytes, cpu_type: str) -> None:
    """Raise UsageError unless every rank has the same digest of what they all computed from the same numbers."""
    host = os.environ.get(HOST_VARIABLE) or socket.gethostname()
    told = (text.encode()[:size].ljust(size) for text, size in ((host, _HOST_BYTES), (cpu_type, _CPU_BYTES)))
    answers = collective.gather(digest + b"".join(told))
    texts = [answer[len(digest) :] for answer in answers]
    cuts = (slice(_HOST_BYTES), slice(_HOST_BYTES, None))
    hosts, cpus = ([text[cut].decode(errors="ignore").strip() for text in texts] for cut in cuts)
    for rank, answer in enumerate(answers):
        if answer[: len(digest)] != answers[0][: len(digest)]:
            raise UsageError(
                f"training: rank {rank} on {hosts[rank]} computes other bits than rank 0 on {hosts[0]}: name hosts of "
                f"one CPU type and environment in horovod.hosts, or set train.exact to false ({cpus[rank]}; {cpus[0]})"
            )
