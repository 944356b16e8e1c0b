"""What a form may take on a machine: at most the bound, and what is not known holds none."""

from __future__ import annotations

import math

import pytest

from pipeline.export.bounds import MachineBounds

MEBI = 2**20
SLOW = "its onnx takes {} ms a call of one row at the 95th percentile, 2 may be"
UNKNOWN = "how long its onnx takes is not known, and"


@pytest.mark.parametrize(
    ("bounds", "size_bytes", "p95_ms", "said"),
    [
        (MachineBounds(), 9 * MEBI, None, ""),
        (MachineBounds(p95_ms=2.0), MEBI, 2.0, ""),
        (MachineBounds(p95_ms=2.0), MEBI, 2.5, SLOW.format("2.5")),
        (MachineBounds(p95_ms=2.0), MEBI, math.nan, SLOW.format("nan")),
        (MachineBounds(p95_ms=2.0), MEBI, None, f"{UNKNOWN} 2 ms a call may be on this machine"),
        (MachineBounds(size_mib=1.5), 3 * MEBI // 2, None, ""),
        (MachineBounds(size_mib=1.5), 3 * MEBI // 2 + 1, 0.1, "its onnx has 1.5 MiB, 1.5 may be on this machine"),
        (MachineBounds(2.0, 1.0), 4 * MEBI, 9.0, "its onnx has 4 MiB, 1 may be on this machine"),
    ],
)  # fmt: skip
def test_a_bound_is_held_or_named(bounds: MachineBounds, size_bytes: int, p95_ms: float | None, said: str) -> None:
    assert bounds.beyond("onnx", size_bytes, p95_ms) == said


def test_one_bound_alone_is_something_to_hold_to() -> None:
    assert not MachineBounds().are_set
    assert MachineBounds(p95_ms=1.0).are_set
    assert MachineBounds(size_mib=1.0).are_set
