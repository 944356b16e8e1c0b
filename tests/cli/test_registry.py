"""What the list of versions says of each: the primary figure, whatever it is called."""

from __future__ import annotations

import pytest

from pipeline.cli.registry import _primary


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        ({"accuracy": 0.91234, "rows": 360.0, "macro_f1": 0.9}, "accuracy 0.9123"),
        ({"rows": 360.0, "accuracy": 0.8, "macro_f1": 0.9}, "accuracy 0.8000"),  # registered by an earlier Ratchet
        ({"mean_error": 12.5, "rows": 3.0}, "mean error 12.5000"),
        ({}, ""),
    ],
)
def test_the_primary_figure_is_told_by_its_name(metrics: dict[str, float], text: str) -> None:
    assert _primary(metrics) == text
