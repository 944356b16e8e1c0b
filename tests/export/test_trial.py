"""Rows in batches, and how long a call takes."""

from __future__ import annotations

import numpy as np

from pipeline.export.trial import batches, speed


def test_batches_hold_every_row_once_in_order() -> None:
    columns = {"a": np.arange(10), "b": np.arange(10) * 2}
    found = list(batches(columns, 4))
    assert [len(batch["a"]) for batch in found] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([batch["b"] for batch in found]), columns["b"])


def test_a_call_is_timed_with_so_many_rows_without_the_first() -> None:
    now, calls = [0.0], []

    def asked(columns: dict[str, np.ndarray]) -> np.ndarray:
        calls.append(columns["a"].tolist())
        now[0] += 100.0 if len(calls) == 1 else 0.002
        return columns["a"].astype(np.float32)

    found = speed(asked, {"a": np.arange(3)}, 5, clock=lambda: now[0])
    assert found == {"rows": 5, "p50_ms": 2.0, "p95_ms": 2.0}
    assert calls[0] == [0, 1, 2, 0, 1]
    assert len(calls) == 301


def test_a_slow_form_is_called_at_least_once_and_not_for_ever() -> None:
    now, calls = [0.0], []

    def asked(columns: dict[str, np.ndarray]) -> np.ndarray:
        calls.append(1)
        now[0] += 60.0
        return columns["a"].astype(np.float32)

    assert speed(asked, {"a": np.arange(3)}, 1, clock=lambda: now[0])["p50_ms"] == 60_000.0
    assert len(calls) == 2
