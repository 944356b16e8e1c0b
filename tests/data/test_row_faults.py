"""What is wrong with rows: of each the first problem that is found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.data.row_faults import Faults


def told(faults: Faults) -> list[tuple[str | None, str | None]]:
    problem, detail = faults.columns()
    return list(zip(problem.to_pylist(), detail.to_pylist(), strict=True))


def test_the_first_problem_of_a_row_stays() -> None:
    faults = Faults(4, pa.array(["a", None, None, None]), pa.array(["of a", None, None, None]))
    faults.add(np.array([True, True, False, False]), "b", lambda row: f"of {row}")
    faults.add(np.array([True, True, True, False]), "c", lambda _: None)
    faults.note(np.array([True, False, False, True]), lambda _: "noted")
    assert told(faults) == [("a", "of a"), ("b", "of 1"), ("c", None), (None, "noted")]
    assert faults.at is not None
    assert faults.at.tolist() == [True, True, True, False]
    assert told(faults.sliced(1, 3)) == [("b", "of 1"), ("c", None)]


def test_nothing_is_wrong_where_nothing_is_found() -> None:
    for faults in (Faults(2), Faults(2, pa.nulls(2, pa.string()), pa.nulls(2, pa.string()))):
        faults.add(np.zeros(2, np.bool_), "a", lambda _: None)
        assert faults.at is None
        assert told(faults) == [(None, None)] * 2
    faults.note(np.ones(2, np.bool_), lambda _: "noted")
    assert faults.at is None


def test_a_detail_is_not_endless() -> None:
    faults = Faults(1)
    faults.add_row(0, "a", "x" * 100_000)
    assert len(told(faults)[0][1] or "") == 1000
