"""Drafts of the two contracts of a table: what was found of its columns, widened by the rules of `widening.py`.

A number may go beyond the range found by as much as that is wide; of texts, those of which there are few may be no
others, one row in a hundred apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipeline.drafting.columns import Column
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
from pipeline.drafting.measuring import Table
from pipeline.drafting.widening import ONE_IN_A_HUNDRED, divergence, down, mostly, out_of, row_count, spaced, up

_NUMBER = {".": r"^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"}
_NUMBER[","] = _NUMBER["."].replace(r"\.", ",")
_MOST_NAMED = 50  # texts of a column that a contract lists


def raw_table_suite(
    table: Table,
    features: Mapping[str, tuple[str, Column]],
    problems: Mapping[str, int],
    shares: Sequence[float],
    unlabelled: int,
    unknown: int = 0,
    missing: Collection[str] = (),
) -> list[Section]:
    """Return what the raw rows promise. `features` are their kinds and columns by name; `shares` those of classes.

    `unlabelled` rows have no target, `unknown` ones one that is no class; `missing` texts stand for no value.
    """
    rows, unusable = table.rows, sum(problems.values())
    sound = mostly(unusable, rows)
    typed = ("id", "label", "content_digest") if shares else ("id", "content_digest")
    labels = [Expected("column_values_to_not_be_null", {"column": "label", **mostly(unlabelled + unusable, rows)})]
    if shares:
        labelled = max(1, rows - unlabelled - unusable)
        known = label_set(len(shares))
        labels += [known._replace(kwargs={**known.kwargs, **mostly(unknown, labelled)})]
        labels.append(divergence(shares, labelled, unknown / labelled, holdout=ONE_IN_A_HUNDRED))
    columns = [
        each
        for name, (kind, column) in features.items()
        for each in raw_column(name, kind, column, rows, missing=missing)
    ]
    return [
        Section("The table", [row_count(rows), *schema(table.columns, typed)]),
        Section("Each row is one row", [*is_id(), *_places(table)]),
        Section("The target", labels),
        Section(
            "Where rows come from",
            [
                not_null("part"),
                not_null("source"),
                Expected(
                    "column_values_to_be_null",
                    {"column": "problem", **sound},
                    out_of(unusable, rows, "cannot be used") if unusable else "",
                ),
                *is_digest(),
            ],
        ),
        Section("The columns", columns),
    ]


def _places(table: Table) -> list[Expected]:
    unique = Expected("compound_columns_to_be_unique", {"column_list": ["source", "row"]}, "no record comes twice")
    return [unique] if not table.exceptions else []


def raw_column(name: str, kind: str, column: Column, rows: int, missing: Collection[str] = ()) -> list[Expected]:
    """Return what a column promises in so many raw rows, those that cannot be used included: they have no value."""
    texts = column.rows - column.blank - sum(column.nothings[text] for text in missing)
    lacking = rows - (column.given if kind == "number" else texts)
    there = Expected("column_values_to_not_be_null", {"column": name, **mostly(lacking, rows)})
    if kind == "number":
        sign = column.decimal or "."
        is_number = {"column": name, "regex": _NUMBER[sign], "mostly": 0.99}
        return [there, Expected("column_values_to_match_regex", is_number, f"{column.low:.6g} to {column.high:.6g}")]
    if kind == "category" and column.values is not None and len(column.values) <= _MOST_NAMED:
        values = {
            "column": name,
            "value_set": sorted(column.blanks.union(column.values).difference(missing)),
            "mostly": 0.99,
        }
        return [there, Expected("column_values_to_be_in_set", values)]
    lengths = {"column": name, "min_value": 0, "max_value": max(1, 2 * column.longest)}
    return [
        there,
        Expected("column_value_lengths_to_be_between", lengths, f"{spaced(column.longest)} characters at most"),
    ]


def prepared_table_suite(table: Table, shares: Sequence[float], kept: int) -> list[Section]:
    """Return what training, evaluation and gate rely on: the rows of all parts."""
    parts = ["train", "validation", "test"]
    typed = ("id", "label") if shares else ("id",)
    labels = [not_null("label")]
    if shares:
        labels += [label_set(len(shares)), divergence(shares, kept)]
    facts = [each for name, found in table.ranges.items() for each in _fact(name, found)]
    return [
        Section("The table", [row_count(table.rows, f"{spaced(kept)} kept rows"), *schema(table.columns, typed)]),
        Section(
            "The parts",
            [
                *is_there("id"),
                Expected("column_values_to_be_in_set", {"column": "part", "value_set": [*parts, "augmented"]}),
                Expected("column_distinct_values_to_contain_set", {"column": "part", "value_set": parts}),
            ],
        ),
        Section("The target", labels),
        Section("The columns, prepared", facts),
    ]


def _fact(name: str, found: Any) -> list[Expected]:
    wide = max(found.high - found.low, 1.0)
    low, high = down(found.low - wide), up(found.high + wide)
    if found.low >= 0:
        low = 0.0
    bounds = between(name, low, high, {"mostly": 0.99}, f"{found.low:.4g} to {found.high:.4g} found")
    return [not_null(name), bounds]
