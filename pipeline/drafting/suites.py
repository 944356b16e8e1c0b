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

from collections.abc import Sequence

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
from pipeline.drafting.widening import (
    ONE_IN_A_HUNDRED,
    divergence,
    down,
    mostly,
    of_sizes,
    out_of,
    row_count,
    spaced,
    up,
)

_LEAST_MOVE = 2.0  # grey levels
_LEVELS, _MOST_DEVIATION = 255.0, 127.5


def raw_suite(
    table: Table, delivered: Delivered, pictures: Pictures, shares: Sequence[float], feature: str
) -> list[Section]:
    """Return what the raw rows promise. `shares` are the classes' in their order, of all labelled rows."""
    rows, columns, unusable = table.rows, table.columns, delivered.problems.total()
    sound = mostly(unusable, rows)
    position = [Expected("compound_columns_to_be_unique", {"column_list": ["source", "row"]}, "no picture comes twice")]
    parts = sorted(delivered.parts, reverse=True)
    problems = [
        Expected("column_values_to_be_null", {"column": "problem", **sound}, out_of(unusable, rows, "cannot be used"))
    ]
    return [
        Section("The table", [row_count(rows), *schema(columns, ("id", "label", "content_digest"))]),
        Section(
            "Each row is one row",
            [
                *is_id(),
                *(position if not table.exceptions else []),
                Expected("column_values_to_be_between", {"column": "row", "min_value": 0}),
            ],
        ),
        Section("Labels", _raw_labels(delivered, shares)),
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
            **(mostly(table.exceptions, table.rows) if table.exceptions else {}),
        },
        out_of(table.exceptions, table.rows, "have their very pixels in another part too")
        if table.exceptions
        else "no two parts hold the same pixels",
    )
    bounds = f"{spaced(kept)} kept rows, and {copies} changed cop{'y' if copies == 1 else 'ies'} of each training row"
    return [
        Section("The table", [row_count(table.rows, bounds), *schema(table.columns, ("id", "label"))]),
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
        Section("Labels", [not_null("label"), label_set(len(shares)), divergence(shares, kept)]),
        Section("Pictures", _prepared_pictures(table, size_bytes, feature)),
    ]


def _raw_labels(delivered: Delivered, shares: Sequence[float]) -> list[Expected]:
    labelled, unknown = delivered.labels.total(), delivered.unknown_labels
    none = Expected(
        "column_values_to_not_be_null",
        {"column": "label", **mostly(delivered.null_labels, delivered.rows)},
        out_of(delivered.unlabelled, delivered.rows, "have no label") if delivered.unlabelled else "",
    )
    known = label_set(len(shares))
    return [
        none,
        known._replace(kwargs={**known.kwargs, **mostly(unknown, labelled + unknown)}),
        divergence(shares, labelled, unknown / max(1, labelled + unknown), holdout=ONE_IN_A_HUNDRED),
    ]


def _raw_pictures(table: Table, pictures: Pictures, feature: str, sound: dict[str, float]) -> list[Expected]:
    unique = down(max(0.0, 1 - 2 * table.duplicates / table.rows - 2 * ONE_IN_A_HUNDRED))
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
                    *of_sizes(low, high),
                    sound,
                    f"{low} to {high} pixels found" if low < high else "",
                )
            )
    if pictures.channels:
        low, high = min(pictures.channels), max(pictures.channels)
        expected.append(between(f"{feature}_channels", low, high, sound))
    expected += [
        Expected("column_values_to_not_be_null", {"column": f"{feature}_bytes", **sound}),
        between(f"{feature}_bytes", *of_sizes(pictures.smallest_bytes, pictures.largest_bytes), sound),
        *is_digest(),
    ]
    if unique > 0:
        notes = out_of(table.duplicates, table.rows, "hold what another row holds, or nothing; clean puts them aside")
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
    low, high = down(found.low / 2), up((found.high + most) / 2)
    bounds = {**({"min_value": low} if low > 0 else {}), **({"max_value": high} if high < most else {})}
    notes = f"{found.low:.4g} to {found.high:.4g} found, of grey levels of 0 to 255"
    if column.endswith("_std") and low <= 0:
        notes += "; 0 is a picture of one level"
    move = max(_LEAST_MOVE, found.deviation / 2)
    mean = {"min_value": down(max(0.0, found.mean - move)), "max_value": up(min(most, found.mean + move))}
    of_each = [Expected("column_values_to_be_between", {"column": column, **bounds}, notes)] if bounds else []
    return [*of_each, Expected("column_mean_to_be_between", {"column": column, **mean}, f"{found.mean:.4g} found")]
