"""Targets from texts: numbers, classes between edges, classes by name; a blank is unlabelled, a wrong one is told."""

from __future__ import annotations

import math
import struct

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.problems import TARGET_NOT_A_NUMBER
from pipeline.data.row_faults import Faults
from pipeline.data.table_targets import targets


def told(texts: list[str | None], classes: tuple[str, ...] = (), edges: tuple[float, ...] = ()) -> pa.Table:
    faults = Faults(len(texts))
    labels = targets(pa.array(texts, pa.string()), classes, edges, faults)
    assert labels.type == (pa.int32() if classes else pa.float64())
    problem, detail = faults.columns()
    return pa.table({"label": labels, "problem": problem, "detail": detail})


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_a_number_is_the_target_to_the_last_bit(numbers: list[float]) -> None:
    found = told([repr(number) for number in numbers])
    assert found["label"].to_pylist() == numbers
    assert all(math.copysign(1, label) == 1 for label in found["label"].to_pylist() if label == 0)
    assert found["problem"].null_count == len(numbers)


def test_what_is_no_number_is_told() -> None:
    wrong = [
        "NA",
        "None",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "1,5",
        "1_000",
        "0x10",
        "\u0661",
        "1 2",
        "--1",
        "1e",
        ".",
        "+",
    ]
    fine = {" 29 ": 29.0, "+5": 5.0, "007": 7.0, "-0.0": 0.0, "1.": 1.0, ".5": 0.5, "1E3": 1000.0}
    found = told([*wrong, *fine, "", " ", None])
    blank: list[float | None] = [None] * 3
    assert found["label"].to_pylist() == [*[None] * len(wrong), *fine.values(), *blank]
    assert found["problem"].to_pylist() == [TARGET_NOT_A_NUMBER] * len(wrong) + [None] * (len(fine) + 3)
    assert found["detail"].to_pylist()[:2] == ["target 'NA'", "target 'None'"]
    assert struct.pack("d", found["label"][len(wrong) + 3].as_py()) == struct.pack("d", 0.0)


def test_a_number_above_an_edge_is_of_the_next_class() -> None:
    found = told(["29.5", "29.6", "-3", "60", "61", "x", ""], ("a", "b", "c"), (29.5, 60.0))
    assert found["label"].to_pylist() == [0, 1, 0, 1, 2, None, None]
    assert found["problem"].to_pylist() == [*[None] * 5, TARGET_NOT_A_NUMBER, None]


def test_a_comma_stands_before_the_fraction_where_that_is_declared() -> None:
    faults = Faults(5)
    labels = targets(pa.array(["1,5", "2", " -,5e1 ", "1.5", ""]), (), (), faults, ",")
    assert labels.to_pylist() == [1.5, 2.0, -5.0, None, None]
    assert faults.columns()[0].to_pylist() == [None, None, None, TARGET_NOT_A_NUMBER, None]


def test_a_class_is_found_by_its_name_and_another_is_told_without_a_problem() -> None:
    found = told(["dogs", " cats ", "birds", "", None, "dog"], ("cats", "dogs"))
    assert found["label"].to_pylist() == [1, 0, -1, None, None, -1]
    assert found["problem"].null_count == 6
    assert found["detail"].to_pylist()[2] == "'birds' is none of data.classes (valid: cats, dogs)"
    assert found["detail"].to_pylist()[5] == "'dog' is none of data.classes (did you mean 'dogs'?)"
    assert found["detail"].null_count == 4


def test_no_rows_have_no_targets() -> None:
    assert told([]).num_rows == told([], ("a", "b")).num_rows == told([], ("a", "b"), (1.0,)).num_rows == 0
