"""Counts and shares as people read them."""

from __future__ import annotations

import pytest

from pipeline.gate.paired import Counts, detectable_gain, rows_for_gain, z_at
from pipeline.gate.words import beside, number, percent, points, power
from tests.gate.given import CHAMPION


def test_thousands_stand_apart() -> None:
    assert [number(count) for count in (0, 999, 1000, 1234567)] == ["0", "999", "1 000", "1 234 567"]


@pytest.mark.parametrize(
    ("share", "words"), [(0.014, "1.4 points"), (0.01, "1 point"), (0.0, "0 points"), (0.000123456, "0.0123 points")]
)
def test_a_share_in_points(share: float, words: str) -> None:
    assert points(share) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.058, "5.8 %"),
        (0.0, "0 %"),
        (1e-4, "0.01 %"),
        (9.9e-5, "less than 0.01 %"),
        (1.0, "100 %"),
        (0.12345, "12.3 %"),
    ],
)
def test_a_share_in_per_cent(share: float, words: str) -> None:
    assert percent(share) == words


def test_one_row_won_is_one() -> None:
    said = [beside(Counts(2000, won, 46), "champion", CHAMPION) for won in (1, 70)]
    assert said == [
        "1 row won, 46 lost of 2 000 against champion v3",
        "70 rows won, 46 lost of 2 000 against champion v3",
    ]


def test_what_rows_can_show_at_another_error_and_margin() -> None:
    counts, total = Counts(1000, 7, 3), (0.05, z_at(0.01))
    gain, rows = detectable_gain(counts, error=0.1, total=total), rows_for_gain(counts, 0.01, error=0.1, total=total)
    said = power(counts, 0.1, total)
    assert said == (
        f"1 000 rows, exactly one of the two right on 1 %: a gain of {100 * round(gain, 3):g} points "
        f"would be found four times in five; +1 point needs {number(rows)} rows"
    )
