"""The fixed tree in which the sums of a step are added: floating-point addition depends on its order.

Its leaves are the virtual workers 0 … V − 1, and a node is the span of its leaves. The left child of a node has the
largest power of two of leaves that is smaller than the node's own number: the tree that a binary counter makes of
numbers that arrive one by one. Which process adds which nodes is free; the bracketing, and so every bit, is not.
The same shape: RFC 6962, "Certificate Transparency", 2013, section 2.1. Pairwise sums err less than running ones
(Higham, "The Accuracy of Floating Point Summation", 1993).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Value = TypeVar("Value")
Span = tuple[int, int]  # the leaves begin … end − 1


def block_of(rank: int, ranks: int, leaves: int) -> range:
    """Return the consecutive leaves that a rank carries; `ranks` divides `leaves`."""
    share = leaves // ranks
    return range(rank * share, (rank + 1) * share)


def added(
    parts: Iterable[tuple[Span, Value]], leaves: int, add: Callable[[Value, Value], Value]
) -> list[tuple[Span, Value]]:
    """Add up neighbouring nodes, which come in order, as far as the tree has their sums; return what is left of them.

    Of all nodes side by side, one is left: the root. It holds no more than a sum of each height at a time.
    """
    sums: list[tuple[Span, Value]] = []
    for part in parts:
        sums.append(part)
        while len(sums) > 1 and _are_siblings(sums[-2][0], sums[-1][0], leaves):
            (left, first), (right, second) = sums[-2:]
            sums[-2:] = [((left[0], right[1]), add(first, second))]
    return sums


def largest_nodes(block: range, leaves: int) -> list[Span]:
    """Return the nodes whose sums remain of a block of leaves, in order."""
    return [span for span, _ in added((((leaf, leaf + 1), None) for leaf in block), leaves, lambda *_: None)]


def _are_siblings(left: Span, right: Span, leaves: int) -> bool:
    """Return whether two adjacent nodes are the children of one."""
    begin, end = 0, leaves
    while end - begin > 1:
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if (left, right) == ((begin, middle), (middle, end)):
            return True
        begin, end = (begin, middle) if right[1] <= middle else (middle, end)
    return False
