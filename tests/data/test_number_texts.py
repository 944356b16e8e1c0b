"""Which texts are numbers, and which numbers they are."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.number_texts import Decimal, read_numbers


def one(text: str | None, decimal: Decimal = ".") -> float | str | None:
    """Return the number of a text, None if it has no value, or that it is something else."""
    read = read_numbers(pa.array([text], pa.string()), decimal)
    if read.is_blank[0]:
        assert not read.is_number[0]
        return None
    return float(read.values[0]) if read.is_number[0] else "something else"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0),
        ("+1", 1.0),
        ("-1", -1.0),
        ("1.0", 1.0),
        ("007", 7.0),
        ("00.50", 0.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        ("2.5e-3", 0.0025),
        (" 12", 12.0),
        ("12 ", 12.0),
        ("\t 12\r\n", 12.0),
        ("\u00a012\u2003", 12.0),
        ("9007199254740993", 9007199254740992.0),  # halfway between two float64: to the even one
        ("0.1000000000000000055511151231257827021181583404541015625", 0.1),
        ("1" * 300, float("1" * 300)),
        ("1e400", math.inf),
        ("-1e400", -math.inf),
        ("1e99999999999999999999", math.inf),
        ("9" * 400, math.inf),
        ("1e-400", 0.0),
        ("4.9e-324", 5e-324),
    ],
)
def test_decimal_numbers_are_read_correctly_rounded(text: str, number: float) -> None:
    assert one(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("nan", "NaN", "inf", "-inf", "Infinity", "None", "NA", "N/A", "null", "true"),
        *("0x1F", "0b1", "1_000", "1 000", "1,000", "1,5", "1.000.000", "1'000", "- 1", "1e", "e5", "1e5.0", "1e+"),
        *(".", "+", "-", "--1", "+-1", "1+", "1-", "5%", "$5", "5 min", "=1+1", "1\u200b", "\ufeff1", "1\n2"),
        *("٣", "１２", "²", "½", "−5", "1\u00a0000", "Ⅷ"),  # noqa: RUF001 - signs and digits that are not ASCII's
    ],
)
def test_all_else_is_something_else(text: str) -> None:
    assert one(text) == "something else"


@pytest.mark.parametrize("text", [None, "", " ", "\t\r\n ", "\u00a0", "\u3000 "])
def test_blanks_alone_are_no_value(text: str | None) -> None:
    assert one(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,5", 1.5),
        (",5", 0.5),
        ("-0,25e1", -2.5),
        ("12", 12.0),
        ("1.5", "something else"),
        ("1.000,5", "something else"),
    ],
)
def test_a_fraction_stands_after_the_declared_sign_alone(text: str, number: float | str) -> None:
    assert one(text, ",") == number


@pytest.mark.parametrize("text", ["-0", "-0.0", "-1e-400", "-.0e5"])
def test_there_is_one_zero(text: str) -> None:
    found = one(text)
    assert found == 0
    assert math.copysign(1, float(found or 0)) == 1


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=9))
def test_what_python_writes_is_read_as_it_was(numbers: list[float]) -> None:
    read = read_numbers(pa.array(map(repr, numbers), pa.string()), ".")

    assert read.is_number.all()
    assert read.values.tolist() == numbers


@given(st.from_regex(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_every_number_of_the_grammar_is_the_nearest_float64(text: str) -> None:
    assert one(text) == float(text)


@given(st.lists(st.one_of(st.none(), st.text(), st.floats().map(repr), st.integers().map(str)), max_size=20))
def test_a_row_is_read_as_if_it_stood_alone_and_in_whatever_pieces(texts: list[str | None]) -> None:
    texts = [text if text is None else text.encode(errors="ignore").decode() for text in texts]
    column = pa.chunked_array([pa.array(texts[:7], pa.string()), pa.array(texts[7:], pa.string())])

    read = read_numbers(column, ".")

    for row, text in enumerate(texts):
        alone = read_numbers(pa.array([text], pa.string()), ".")
        assert (read.is_blank[row], read.is_number[row]) == (alone.is_blank[0], alone.is_number[0])
        np.testing.assert_equal(read.values[row], alone.values[0])


def test_no_rows_are_no_numbers() -> None:
    read = read_numbers(pa.chunked_array([], pa.string()), ".")
    assert [len(each) for each in read] == [0, 0, 0]


def test_a_cell_of_ten_million_characters_is_read_in_no_time() -> None:
    for text in ("1" * 10**7, " " * 10**7 + "x", "1 " * 5 * 10**6):
        read = read_numbers(pa.array([text]), ".")
        assert read.is_number[0] == ("x" not in text and " " not in text)
