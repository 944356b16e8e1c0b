"""Ranks must agree, and a rank that is alone is a group of one. Horovod's own: tests/system."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import Bug
from pipeline.training.collective import RANK_VARIABLE, SingleProcess, is_lost_peer, join, prove_identical


class Gathered(SingleProcess):
    """A rank to which the others have given these contents."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = list(contents)

    def gather(self, content: bytes) -> list[bytes]:
        return self.contents


def test_without_a_launcher_a_process_is_a_group_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RANK_VARIABLE, raising=False)
    group = join()
    assert (group.rank, group.size) == (0, 1)
    assert group.gather(b"x") == [b"x"]
    assert group.total(np.array([1.5, 2.0])).tolist() == [1.5, 2.0]


def test_ranks_with_the_same_digest_go_on() -> None:
    prove_identical(Gathered(b"a", b"a", b"a"), b"a", "epoch 1")


def test_ranks_that_drifted_apart_are_named() -> None:
    with pytest.raises(Bug, match="epoch 1: rank 1, 3 and rank 0 hold different weights"):
        prove_identical(Gathered(b"a", b"b", b"a", b"c"), b"a", "epoch 1")


@pytest.mark.parametrize(
    ("said", "is_lost"), [("Horovod has been shut down", True), ("OOM when allocating tensor", False)]
)
def test_only_what_horovod_says_is_a_lost_peer(said: str, is_lost: bool) -> None:
    assert is_lost_peer(RuntimeError(said)) == is_lost


def test_what_a_rank_alone_stacks_is_its_own() -> None:
    assert SingleProcess().stack(np.array([1.0, 2.0]), "moments").tolist() == [[1.0, 2.0]]
