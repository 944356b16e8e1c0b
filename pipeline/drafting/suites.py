"""Drafts of the two contracts: what was found, widened by stated rules, in Great Expectations' own suite format.

The rules, in one place:
- a number of rows may halve or double;
- of a share of rows that is as it should be, the rest may double, and one row in a hundred more may be wrong;
- the classes' shares may move as far as if the largest class came at half its share;
- a size that is always the same stays so; others may halve or double;
- the brightness of a single picture may go halfway to what is possible; the mean over all of them by half of the
  standard deviation between pictures, and 2 grey levels at the least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pipeline.drafting.expectations import (
    Expected,
    Section,
    between,
    is_digest,
    is_id,
    is_there,
    label_set,
    not_null,
    schema,
)
from pipeline.drafting.looking import Delivered, Pictures
from pipeline.drafting.measuring import Range, Table

_ONE_IN_A_HUNDRED = 0.01
_LEAST_DIVERGENCE = 0.01
_NOISE = 5  # times the divergence that chance alone gives: (classes - 1) / (2 rows)
_LEAST_MOVE = 2.0  # grey levels
_LEVELS, _MOST_DEVIATION = 255.0, 127.5
_NOTHING = 1e-9
_PLACES = 3  # digits that a bound keeps, rounded outwards


def raw_suite(
    table: Table, delivered: Delivered, pictures: Pictures, shares: Sequence[float], feature: str
) -> list[Section]:
    """Return what the raw rows promise. `shares` are the classes' in their order, of all labelled rows."""
    rows, columns, unusable = table.rows, table.columns, delivered.problems.total()
    sound = _mostly(unusable, rows)
    position = [Expected("compound_columns_to_be_unique", {"column_list": ["source", "row"]}, "no picture comes twice")]
    parts = sorted(delivered.parts, reverse=True)
    problems = [
        Expected("column_values_to_be_null", {"column": "problem", **sound}, _of(unusable, rows, "cannot be used"))
    ]
    return [
        Section("The table", [_rows(rows), *schema(columns, ("id", "label", "content_digest"))]),
        Section(
            "Each row is one row",
            [
                *is_id(),
                *(position if not table.exceptions else []),
                Expected("column_values_to_be_between", {"column": "row", "min_value": 0}),
            ],
        ),
        Section("Labels", _raw_labels(delivered, shares, unusable)),
        Section(
            "Where rows come from",
            [
                not_null("part"),
                Expected("column_values_to_be_in_set", {"column": "part", "value_set": parts}),
                Expected("column_distinct_values_to_contain_set", {"column": "part", "value_set": parts}),
                not_null("source"),
                *(problems if "problem" in columns else []),
            ],
        ),
        Section("Pictures", _raw_pictures(table, pictures, feature, sound)),
    ]


def prepared_suite(
    table: Table, shares: Sequence[float], size_bytes: int, feature: str, kept: int, copies: int
) -> list[Section]:
    """Return what training, evaluation and gate rely on: the rows of all parts, and the changed copies."""
    parts = ["train", "validation", "test"]
    apart = Expected(
        "column_values_to_be_between",
        {
            "column": "parts_with_row",
            "min_value": 1,
            "max_value": 1,
            **(_mostly(table.exceptions, table.rows) if table.exceptions else {}),
        },
        _of(table.exceptions, table.rows, "have their very pixels in another part too")
        if table.exceptions
        else "no two parts hold the same pixels",
    )
    bounds = f"{_spaced(kept)} kept rows, and {copies} changed cop{'y' if copies == 1 else 'ies'} of each training row"
    return [
        Section("The table", [_rows(table.rows, bounds), *schema(table.columns, ("id", "label"))]),
        Section(
            "The parts, and that nothing leaks from one into another",
            [
                *is_there("id"),
                apart,
                Expected(
                    "column_values_to_be_in_set",
                    {"column": "source_part", "value_set": ["train"]},
                    "changed copies are made of training rows only",
                ),
                Expected("column_values_to_be_in_set", {"column": "part", "value_set": [*parts, "augmented"]}),
                Expected("column_distinct_values_to_contain_set", {"column": "part", "value_set": parts}),
            ],
        ),
        Section("Labels", [not_null("label"), label_set(len(shares)), _divergence(shares, kept)]),
        Section("Pictures", _prepared_pictures(table, size_bytes, feature)),
    ]


def _raw_labels(delivered: Delivered, shares: Sequence[float], unusable: int) -> list[Expected]:
    labelled = delivered.labels.total()
    unknown = max(0, delivered.rows - delivered.unlabelled - labelled - unusable)
    none = Expected(
        "column_values_to_not_be_null",
        {"column": "label", **_mostly(delivered.unlabelled + unusable, delivered.rows)},
        _of(delivered.unlabelled, delivered.rows, "have no label") if delivered.unlabelled else "",
    )
    known = label_set(len(shares))
    wrong = unknown + unusable  # the label of a row that cannot be used may be unknown, too
    return [
        none,
        known._replace(kwargs={**known.kwargs, **_mostly(wrong, delivered.rows)}),
        _divergence(shares, labelled, holdout=_ONE_IN_A_HUNDRED),
    ]


def _raw_pictures(table: Table, pictures: Pictures, feature: str, sound: dict[str, float]) -> list[Expected]:
    unique = _down(max(0.0, 1 - 2 * table.repeated / table.rows - 2 * _ONE_IN_A_HUNDRED))
    expected = [
        Expected(
            "column_values_to_be_in_set",
            {"column": f"{feature}_encoding", "value_set": sorted(pictures.encodings), **sound},
        )
    ]
    if f"{feature}_mode" in table.columns and pictures.modes:
        expected.append(
            Expected(
                "column_values_to_be_in_set",
                {"column": f"{feature}_mode", "value_set": sorted(pictures.modes), **sound},
            )
        )
    for side, sides in (("height", pictures.heights), ("width", pictures.widths)):
        if len(sides):
            low, high = int(sides.min()), int(sides.max())
            expected.append(
                between(
                    f"{feature}_{side}",
                    *_of_sizes(low, high),
                    sound,
                    f"{low} to {high} pixels found" if low < high else "",
                )
            )
    if pictures.channels:
        low, high = min(pictures.channels), max(pictures.channels)
        expected.append(between(f"{feature}_channels", low, high, sound))
    expected += [
        Expected("column_values_to_not_be_null", {"column": f"{feature}_bytes", **sound}),
        between(f"{feature}_bytes", *_of_sizes(pictures.smallest_bytes, pictures.largest_bytes), sound),
        *is_digest(),
    ]
    if unique > 0:
        notes = _of(table.repeated, table.rows, "hold what another row holds, or cannot be read; clean puts them aside")
        expected.append(
            Expected(
                "column_proportion_of_unique_values_to_be_between",
                {"column": "content_digest", "min_value": unique},
                notes,
            )
        )
    return expected


def _prepared_pictures(table: Table, size_bytes: int, feature: str) -> list[Expected]:
    expected = [not_null(f"{feature}_bytes"), between(f"{feature}_bytes", size_bytes, size_bytes, {})]
    for fact, most in (("mean", _LEVELS), ("std", _MOST_DEVIATION)):
        column = f"{feature}_{fact}"
        if column in table.ranges:
            expected += [not_null(column), *_brightness(column, table.ranges[column], most)]
    return expected


def _brightness(column: str, found: Range, most: float) -> list[Expected]:
    """Return the bounds of a brightness: of each picture, and of their mean."""
    low, high = _down(found.low / 2), _up((found.high + most) / 2)
    bounds = {**({"min_value": low} if low > 0 else {}), **({"max_value": high} if high < most else {})}
    notes = f"{found.low:.4g} to {found.high:.4g} found, of grey levels of 0 to 255"
    if column.endswith("_std") and low <= 0:
        notes += "; 0 is a picture of one level"
    move = max(_LEAST_MOVE, found.deviation / 2)
    mean = {"min_value": _down(max(0.0, found.mean - move)), "max_value": _up(min(most, found.mean + move))}
    of_each = [Expected("column_values_to_be_between", {"column": column, **bounds}, notes)] if bounds else []
    return [*of_each, Expected("column_mean_to_be_between", {"column": column, **mean}, f"{found.mean:.4g} found")]


def _divergence(shares: Sequence[float], rows: int, holdout: float = 0.0) -> Expected:
    """Return the bound on how far the classes' shares may move: Kullback–Leibler divergence from those found."""
    weights = [max(round(share, 6), 1e-6) for share in shares]
    largest = weights.index(max(weights))
    weights[largest] = round(1 - sum(weights[:largest] + weights[largest + 1 :]), 6)
    halved = [
        share / 2 if place == largest else share * (1 + weights[largest] / 2 / (1 - weights[largest]))
        for place, share in enumerate(weights)
    ]
    moved = sum(
        there * math.log(there / share) for there, share in zip(halved, weights, strict=True) if there and share
    )
    chance = _NOISE * (len(shares) - 1) / (2 * max(1, rows))
    # What is held out for labels that are none of these is taken from all of them: that alone gives −log(1 − holdout).
    threshold = _up(max(moved, _LEAST_DIVERGENCE, chance) - math.log(1 - holdout))
    held = {"tail_weight_holdout": holdout} if holdout else {}
    partition = {"values": list(range(len(shares))), "weights": weights}
    return Expected(
        "column_kl_divergence_to_be_less_than",
        {"column": "label", "partition_object": partition, "threshold": threshold, **held},
        f"the shares found; the largest class at half its share gives {moved:.2g}",
    )


def _rows(rows: int, notes: str = "") -> Expected:
    bounds = {"min_value": max(1, rows // 2), "max_value": 2 * rows}
    return Expected("table_row_count_to_be_between", bounds, notes or f"{_spaced(rows)} found")


def _of_sizes(low: int, high: int) -> tuple[int, int]:
    return (low, high) if low == high else (max(1, low // 2), 2 * high)


def _mostly(wrong: int, rows: int) -> dict[str, float]:
    """Return the share of rows that must be as they should be, where so many are not."""
    share = _down(1 - 2 * wrong / max(1, rows) - _ONE_IN_A_HUNDRED)
    return {"mostly": max(share, 0.001)}


def _of(rows: int, of: int, what: str) -> str:
    return f"{_spaced(rows)} of {_spaced(of)} rows {what}"


def _spaced(count: int) -> str:
    return f"{count:_}".replace("_", " ")


def _down(value: float) -> float:
    return _rounded(value, math.floor)


def _up(value: float) -> float:
    return _rounded(value, math.ceil)


def _rounded(value: float, towards: Any) -> float:
    """Return a value rounded outwards to three digits."""
    if abs(value) < _NOTHING:
        return 0.0
    scale = 10.0 ** (_PLACES - 1 - math.floor(math.log10(abs(value))))
    return float(f"{towards(round(value * scale, 6)) / scale:.{_PLACES + 3}g}")
