"""From a table's texts to a source's rows: features as they stand there, roles, times, and what was known when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.problems import (
    BAD_BYTES,
    HOLDS_NUL,
    KNOWN_AFTERWARDS,
    NO_GROUP,
    NO_ID,
    NO_SUCH_PART,
    NO_SUCH_TIME,
    NO_TIME,
    NOT_A_TIME,
    TARGET_NOT_A_NUMBER,
)  # fmt: skip
from pipeline.data.table_rows import Block, source_tables
from pipeline.data.wanted import Wanted
from pipeline.errors import Bug, DataError
from pipeline.recipe.table_source import TableSettings
from tests.data.csv_files import wanted

NONE = Path("/nonexistent")


def block(columns: dict[str, Any], problems: Sequence[str | None] | None = None) -> Block:
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    told = None if problems is None else pa.array(problems, pa.string())
    return Block("a.csv", table, pa.array(range(1, table.num_rows + 1), pa.int64()), told, told)


def made(columns: dict[str, Any], asked: Wanted, **settings: Any) -> dict[str, list[Any]]:
    found = pa.concat_tables(source_tables(iter([block(columns)]), TableSettings.model_validate(settings), asked, NONE))
    return found.to_pydict()  # type: ignore[no-any-return]


def test_a_row_has_its_features_as_they_stand_there_and_its_place() -> None:
    columns = {"carrier": ["UA", "", "007", " x ", "NA", "None"], "y": ["1", "2", "", "4", "5", "6"], "z": ["z"] * 6}
    found = list(source_tables(iter([block(columns)] * 2), TableSettings(target="y"), wanted("line::carrier"), NONE))  # type: ignore[arg-type]
    assert len(found) == 2
    assert found[0].to_pydict() == {
        "label": [1.0, 2.0, None, 4.0, 5.0, 6.0], "part": ["train"] * 6, "source": ["a.csv"] * 6,
        "row": [1, 2, 3, 4, 5, 6], "problem": [None] * 6, "detail": [None] * 6,
        "line": ["UA", None, "007", " x ", "NA", "None"],
    }  # fmt: skip


def test_missing_texts_are_declared() -> None:
    columns = {"a": ["NA", "", "x"], "y": ["1", "NA", "2"]}
    found = made(columns, wanted("a"), target="y", missing=["NA"])
    assert found["a"] == [None, "", "x"]
    assert found["label"] == [1.0, None, 2.0]
    assert found["problem"] == [None] * 3
    assert made(columns | {"y": ["1"] * 3}, wanted("a"), target="y", missing=[])["a"] == ["NA", "", "x"]


def test_a_record_that_cannot_be_read_keeps_its_place_and_its_problem() -> None:
    columns = {"a": ["1", None, "3"], "y": ["1", None, "x"], "id": ["p", None, "q"]}
    given_problems = block(columns, [None, "quotes that do not pair", None])
    asked = wanted("a", roles={"id": "id"})
    [found] = source_tables(iter([given_problems]), TableSettings(target="y"), asked, NONE)  # type: ignore[arg-type]
    assert found["problem"].to_pylist() == [None, "quotes that do not pair", TARGET_NOT_A_NUMBER]
    assert found["a"].to_pylist() == ["1", None, None]
    assert found["key"].to_pylist() == ["p", None, "q"]
    assert found["row"].to_pylist() == [1, 2, 3]


def test_roles_are_columns_of_their_own() -> None:
    columns = {
        "n": ["1", "", "3", "4"], "g": ["a", "b", "", "d"], "t": ["2013-01-01", "2013-01-02", "2013-01-03", ""],
        "Wind Dir": ["N", "", "S", "W"], "y": ["0"] * 4, "a": ["x"] * 4,
    }  # fmt: skip
    roles = {"id": "n", "group": "g", "time": "t", "slices": ["Wind Dir"]}
    found = made(columns, wanted("a", roles=roles), target="y", time={"zone": "UTC"})
    assert found["key"] == ["1", None, "3", "4"]
    assert found["group"] == ["a", "b", None, "d"]
    assert found["time"] == [*(datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2, 3)), None]
    assert found["slice_wind_dir"] == ["N", None, "S", "W"]
    assert found["problem"] == [None, NO_ID, NO_GROUP, NO_TIME]
    assert found["a"] == ["x", None, None, None]


def test_a_time_that_does_not_exist_is_the_rows_problem() -> None:
    found = made({"t": ["2013-02-31", "soon"], "y": ["1", "2"], "a": ["x", "x"]}, wanted("a", roles={"time": "t"}),
                 target="y", time={"zone": "UTC"})  # fmt: skip
    assert found["problem"] == [NO_SUCH_TIME, NOT_A_TIME]
    assert found["detail"] == ["'2013-02-31' in UTC", "'soon' in UTC"]
    assert found["label"] == [1.0, 2.0]


def test_what_was_known_only_after_the_rows_time_is_its_problem() -> None:
    columns = {
        "t": ["2013-01-02"] * 6, "seen": ["2013-01-01", "2013-01-02", "2013-01-03", "", "huh", "2013-01-03"],
        "a": ["x", "x", "x", "x", "x", ""], "y": ["1"] * 6,
    }  # fmt: skip
    settings: dict[str, Any] = {"target": "y", "time": {"zone": "UTC"}, "known_at": {"seen": ["a"]}}
    found = made(columns, wanted("a", roles={"time": "t"}), **settings)
    assert found["problem"] == [None, None, KNOWN_AFTERWARDS, KNOWN_AFTERWARDS, NOT_A_TIME, None]
    assert found["detail"][2:4] == ["'a' is known at 'seen': 2013-01-03", "'a' is known at 'seen': nobody knows when"]
    assert found["a"] == ["x", "x", None, None, None, None]


def test_the_part_is_a_columns() -> None:
    columns = {"p": ["Train", " test ", "val", "", "huh"], "a": ["x"] * 5, "y": ["1"] * 5}
    found = made(columns, wanted("a"), target="y", part="p")
    assert found["part"] == ["train", "test", "validation", "train", "train"]
    assert found["problem"] == [None] * 4 + [NO_SUCH_PART]


def test_no_value_holds_a_nul_or_what_is_no_unicode() -> None:
    columns = {"a": ["x\0", "é", "x", "x"], "y": ["1", "2\0", "3", "4"]}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    raw = pa.array([b"x", b"x", b"\xed\xa0\x80", b"x"], pa.binary())
    table = table.append_column("b", pa.Array.from_buffers(pa.string(), 4, raw.buffers()))
    [found] = source_tables(
        iter([Block("a.csv", table, pa.array([1, 2, 3, 4]))]), TableSettings(target="y"), wanted("a", "b"), NONE  # type: ignore[arg-type]
    )  # fmt: skip
    found.validate(full=True)
    assert found["problem"].to_pylist() == [HOLDS_NUL, HOLDS_NUL, BAD_BYTES, None]
    assert found["detail"].to_pylist() == ["in column 'a'", "in column 'y'", "in column 'b'", None]
    assert found["a"].to_pylist() == [None, None, None, "x"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)))
def test_any_text_stays_as_it_is(texts: list[str]) -> None:
    assert made({"a": texts, "y": ["1"] * len(texts)}, wanted("a:text"), target="y")["a"] == texts


@given(st.lists(st.sampled_from(["1", "", "x"]), max_size=20), st.integers(1, 5))
def test_blocks_make_no_difference(texts: list[str], size: int) -> None:
    whole = block({"a": texts, "y": texts})
    cut = [
        Block(whole.file, whole.table[at : at + size], whole.rows[at : at + size]) for at in range(0, len(texts), size)
    ]
    settings, asked = TableSettings(target="y"), wanted("a")  # type: ignore[arg-type]
    rows = [row for table in source_tables(iter(cut), settings, asked, NONE) for row in table.to_pylist()]
    assert rows == [row for table in source_tables(iter([whole]), settings, asked, NONE) for row in table.to_pylist()]


@pytest.mark.parametrize(
    ("features", "roles", "settings", "said"),
    [
        (["b"], {}, {}, r"a.csv: has no column 'b', which data.features.b names \(valid: a, t, y\)"),
        (["a"], {}, {"target": "yy"}, "has no column 'yy', which data.source.settings.target names .did you mean 'y'"),
        (["a"], {"group": "g"}, {}, "has no column 'g', which data.roles.group names"),
        (["a"], {"time": "time"}, {"time": {"zone": "UTC"}}, "has no column 'time', which data.roles.time names"),
        (["a"], {"time": "y"}, {"time": {"zone": "UTC", "columns": ["t"]}}, "has a column 'y', and data.roles.time"),
        (["a"], {}, {"part": "p"}, "has no column 'p', which data.source.settings.part names"),
        (["a"], {"time": "t"}, {"known_at": {"s": ["a"]}, "time": {"zone": "UTC"}}, "has no column 's', which"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_there_is_named(
    features: list[str], roles: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        made(
            {"a": ["x"], "y": ["1"], "t": ["2013-01-01"]}, wanted(*features, roles=roles), **{"target": "y", **settings}
        )


def test_a_source_that_delivers_no_texts_is_wrong() -> None:
    table = pa.table({"a": [1], "y": ["1"]})
    with pytest.raises(Bug, match="column 'a' is delivered as int64"):
        list(source_tables(iter([Block("a", table, pa.array([1]))]), TableSettings(target="y"), wanted("a"), NONE))  # type: ignore[arg-type]
