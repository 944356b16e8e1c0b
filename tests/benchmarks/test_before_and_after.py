"""Comparing two checkouts: the figures that benchmarks print are found, and better is above 1 for all of them."""

from __future__ import annotations

import os

import pytest

from benchmarks.before_and_after import CONTRACT, READING, SPARK, TRAINING, Figure, number_in, ratio, verdict

PRINTED = {
    READING: (
        "  prepared shards               612,345 images/s\n  TFRecord one at a time    26,100 images/s",
        612345.0,
    ),
    SPARK: ("as built       2.10 s median of [2.10, 2.11]    5,678 images/s\npandas UDFs  9 s  1 images/s", 5678.0),
    CONTRACT: ("medians    pipeline 1.23 s, default settings 4.56 s", 1.23),
    TRAINING: ("  horovod         3,210 images/s\n  independent     3,300 images/s", 3210.0),
}


@pytest.mark.parametrize("figure", PRINTED, ids=lambda figure: figure.name)
def test_the_figure_is_found_in_what_its_benchmark_prints(figure: Figure) -> None:
    text, value = PRINTED[figure]
    assert number_in(text, figure.pattern) == value


def test_a_benchmark_that_could_not_measure_has_no_figure() -> None:
    assert number_in("could not measure: 0 of 3 rounds were quiet", READING.pattern) is None


def test_more_images_a_second_are_better() -> None:
    assert ratio(READING, 100.0, 120.0) == pytest.approx(1.2)


def test_fewer_seconds_are_better() -> None:
    assert ratio(CONTRACT, 1.2, 1.0) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("ratios", "missing", "expected"),
    [([1.0, 0.95], 0, 0), ([1.0, 0.94], 0, 1), ([1.0], 1, os.EX_TEMPFAIL), ([], 6, os.EX_TEMPFAIL), ([0.9], 1, 1)],
)
def test_exit_code(ratios: list[float], missing: int, expected: int) -> None:
    assert verdict(ratios, missing) == expected
