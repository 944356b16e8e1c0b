"""Figures are written for people."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.report.figures import count, moment, number, plain, short, unbroken


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.891, "0.8910"),
        (-0.01, "−0.0100"),
        (2.4e-7, "2.4e−07"),
        (0.0, "0.0000"),
        (12000, "12\u202f000"),
        (True, "yes"),
        (None, "–"),
        ("≥ 0.85", "≥ 0.85"),
        ({"min": 0}, '{"min": 0}'),
    ],
)
def test_figures_are_written_for_people(value: Any, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0, "0"), (1234567, "1\u202f234\u202f567")])
def test_counts_have_their_thousands_apart(value: int | None, text: str) -> None:
    assert count(value) == text


@pytest.mark.parametrize(("digest", "text"), [(None, "–"), ("sha256:" + "0123456789ab" * 5, "0123456789ab")])
def test_a_digest_is_shown_by_its_beginning(digest: str | None, text: str) -> None:
    assert short(digest) == text


def test_long_values_are_cut() -> None:
    assert plain({"names": ["é"] * 100}) == '{"names": [' + ('"é", ' * 100)[:148] + "…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "60 lost of 4 000 rows, by chance in 13.3 % of cases",
            "60 lost of 4\u00a0000 rows, by chance in 13.3\u00a0% of cases",
        ),
        ("1 234 567", "1\u00a0234\u00a0567"),
        ("v3 2 rows", "v3 2 rows"),
    ],
)
def test_no_line_ends_within_a_number(text: str, shown: str) -> None:
    assert unbroken(text) == shown


def test_a_moment_is_readable() -> None:
    assert moment("2026-11-22T13:25:07+00:00") == moment("2026-11-22T13:25:07.250Z") == "2026-11-22 13:25:07 UTC"
