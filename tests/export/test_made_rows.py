"""Rows that are made up fit what a model takes."""

from __future__ import annotations

import numpy as np

from pipeline.export.made_rows import made_rows
from tests.models.made import architecture, column, image, text

MIXED = architecture(
    image((6, 5, 3)),
    column("number", "fare", ["1", "2", "9"], low=0.0, high=10.0),
    column("category", "carrier", ["AA", "UA"]),
    text(),
)


def test_they_have_the_types_and_sizes_of_raw_rows() -> None:
    rows = made_rows(MIXED, 40)
    assert {name: (values.dtype, values.shape) for name, values in rows.items()} == {
        "image": (np.uint8, (40, 6, 5, 3)),
        "fare": (np.float64, (40,)),
        "carrier": (np.object_, (40,)),
        "body": (np.object_, (40,)),
    }


def test_they_lie_where_the_model_has_answers() -> None:
    rows = made_rows(MIXED, 200)
    assert rows["fare"].min() >= 0.0
    assert rows["fare"].max() <= 10.0
    assert {"AA", "UA", "unknown"} == set(rows["carrier"])
    assert len(set(rows["body"])) > 100


def test_they_are_always_the_same() -> None:
    first, again = made_rows(MIXED, 20), made_rows(MIXED, 20)
    assert all(np.array_equal(first[name], again[name]) for name in first)
