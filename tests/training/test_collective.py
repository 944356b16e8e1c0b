"""Ranks must agree, and a rank that is alone is a group of one. Horovod's own: tests/system."""

from __future__ import annotations

import pytest

from pipeline.errors import Bug, UsageError
from pipeline.training.collective import (
    HOST_VARIABLE,
    RANK_VARIABLE,
    SingleProcess,
    is_lost_peer,
    join,
    prove_identical,
    require_alike,
)


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
    assert group.tree_sum([((0, 4), "the sum")], 4) == group.fast_sum("the sum") == "the sum"


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


class Answering(SingleProcess):
    """A rank after which others answer, each with a digest, a host and its CPU type."""

    def __init__(self, *others: tuple[bytes, str, str]) -> None:
        self.others = others

    def gather(self, content: bytes) -> list[bytes]:
        half = (len(content) - len(self.others[0][0])) // 2
        told = [digest + host.encode().ljust(half) + cpu.encode().ljust(half) for digest, host, cpu in self.others]
        return [content, *told]


def test_hosts_that_compute_alike_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOST_VARIABLE, "here")
    require_alike(Answering((b"aa", "there", "another type")), b"aa", "this type")


def test_hosts_that_compute_other_bits_are_named_with_their_cpu_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOST_VARIABLE, "here")
    group = Answering((b"aa", "near", "Xeon"), (b"bb", "far", "EPYC"))
    with pytest.raises(
        UsageError,
        match=r"rank 2 on far computes other bits than rank 0 on here: .*train\.exact to false \(EPYC; Xeon\)$",
    ) as caught:
        require_alike(group, b"aa", "Xeon")
    assert "\n" not in str(caught.value)


def test_a_long_name_of_a_host_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOST_VARIABLE, "ä" * 300)
    require_alike(Answering((b"aa", "there", "")), b"aa", "this type")
