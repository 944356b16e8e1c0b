"""The bracketing of a sum is a function of the number of virtual workers alone, however many ranks add it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.tree import added, block_of, largest_nodes


def bracketed(leaves: int, ranks: int) -> Any:
    """Return who was added to whom: each rank adds up its block, and then all of them what is left."""
    left = []
    for rank in range(ranks):
        block = block_of(rank, ranks, leaves)
        left += added((((leaf, leaf + 1), leaf) for leaf in block), leaves, lambda a, b: (a, b))
    [(span, whole)] = added(left, leaves, lambda a, b: (a, b))
    assert span == (0, leaves)
    return whole


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int]:
    leaves = draw(st.integers(1, 64))
    return leaves, draw(st.sampled_from([ranks for ranks in range(1, leaves + 1) if leaves % ranks == 0]))


@given(cuts())
def test_any_number_of_ranks_adds_in_the_same_order(cut: tuple[int, int]) -> None:
    leaves, ranks = cut
    assert bracketed(leaves, ranks) == bracketed(leaves, 1)


def test_the_tree_is_that_of_a_binary_counter() -> None:
    assert bracketed(4, 1) == ((0, 1), (2, 3))
    assert bracketed(7, 1) == (((0, 1), (2, 3)), ((4, 5), 6))


@given(cuts())
def test_the_blocks_of_the_ranks_are_equal_and_cover_every_virtual_worker_once(cut: tuple[int, int]) -> None:
    leaves, ranks = cut
    blocks = [block_of(rank, ranks, leaves) for rank in range(ranks)]
    assert [leaf for block in blocks for leaf in block] == list(range(leaves))
    assert {len(block) for block in blocks} == {leaves // ranks}


@given(st.integers(0, 6), st.integers(0, 6))
def test_a_rank_of_a_power_of_two_has_one_sum_to_give(leaves: int, ranks: int) -> None:
    ranks = min(leaves, ranks)
    for rank in range(2**ranks):
        block = block_of(rank, 2**ranks, 2**leaves)
        assert largest_nodes(block, 2**leaves) == [(block.start, block.stop)]


def test_ranks_that_cut_the_tree_in_its_branches_give_several_sums() -> None:
    assert largest_nodes(block_of(0, 2, 6), 6) == [(0, 2), (2, 3)]
    assert largest_nodes(block_of(1, 2, 6), 6) == [(3, 4), (4, 6)]


@given(st.integers(1, 300))
def test_few_sums_are_held_at_a_time(leaves: int) -> None:
    additions: list[None] = []
    held = []

    def parts() -> Iterator[tuple[tuple[int, int], None]]:
        for leaf in range(leaves):
            yield (leaf, leaf + 1), None
            held.append(leaf + 1 - len(additions))

    assert len(added(parts(), leaves, lambda *_: additions.append(None))) == 1
    assert len(held) == leaves
    assert max(held) <= leaves.bit_length()
