"""No row is lost and none is made: of any table, each row that is read is kept, held back, rejected or left out, once.

Only what Spark compares is said in plain Python here; that Spark says the same is tested in tests/system/data.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.data import id_order, normalizing
from pipeline.data.cleaning import (
    FOUND_SCHEMA,
    examine,
    quarantine_schema,
    reasons,
    rejected_rows,
    separate,
)
from pipeline.data.feature_kinds import clean_schema, specs
from pipeline.data.features.category import NOT_IN_TRAINING
from pipeline.data.features.number import OUTLIER
from pipeline.data.normalizing import Normalized, normalize_dataset
from pipeline.data.problems import PROBLEMS
from pipeline.data.source_rows import raw_shards
from pipeline.data.sources.csv import Settings, open_source
from pipeline.data.splitting import Division, split_dataset
from pipeline.data.wanted import Wanted, WantedFeature
from pipeline.recipe.recipe import SplitParams
from pipeline.recipe.slots import Feature
from pipeline.storage.artifacts import digest_file
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import finish_dataset, iter_tables, write_shard
from tests.data.equal_rows import Row, rejected

CLASSES, PARTS = ("a", "b"), ("train", "validation", "test")
OUTLIERS = {"method": "iqr", "bound": 3.0, "action": "drop"}
FEATURES = specs(
    {
        "n": Feature(kind="number", settings={"missing": "median", "outliers": OUTLIERS}),
        "c": Feature(kind="category", settings={"unknown": "reject"}),
    }
)
WANTED = Wanted(CLASSES, (WantedFeature("n", "number", "n"), WantedFeature("c", "category", "c")))
SOURCE = Settings.model_validate({"target": "y", "known_at": {"before": ["n", "c"]}})
SPLIT = SplitParams(method="hash", train=0.5, validation=0.25, test=0.25)
BASE = [f"{number},base,{CLASSES[number % 2]}".encode() for number in range(1, 41)]  # each part has rows of each class
# Lines that are a record each, whatever stands before and after them.
NUMBERS = st.sampled_from(["", "50", "50.0", "-0.0", "0", "1e6", "-1e9", "nan", "1e999", "x", "3,5", '"3,5"', 'a"b'])
CATEGORIES = st.sampled_from(["", "base", "rare", "r\u00e9", "NA", "a\0b", "c" * 1001, "\ud800"])
LABELS = st.sampled_from(["a", "b", "", "B", "maybe", "a,more"])
LINES = st.lists(
    st.tuples(NUMBERS, CATEGORIES, LABELS).map(lambda values: ",".join(values).encode(errors="surrogatepass")),
    max_size=25,
)


class Account(NamedTuple):
    """The rows of each place by id, in their order."""

    raw: list[str]
    clean: list[str]
    unlabelled: list[str]
    quarantine: list[str]
    split: dict[str, str]
    prepared: dict[str, list[str]]
    served: dict[str, list[str]]
    left_out: list[dict[str, Any]]
    why: dict[str, str]
    values: dict[str, dict[str, Any]]
    digests: dict[str, str]  # of every prepared and served file


def ids(table: pa.Table) -> list[str]:
    found: list[str] = table["id"].to_pylist()
    return found


def write(folder: Path, table: pa.Table) -> Path:
    folder.mkdir()
    half = table.num_rows // 2
    entries = [write_shard(folder, n, table.schema, [piece]) for n, piece in enumerate((table[:half], table[half:]))]
    finish_dataset(folder, entries, table.schema)
    return folder


def compared(facts: pa.Table) -> pa.Table:
    """Return the rows that equal others and go for it, of FOUND_SCHEMA."""
    rows = [
        Row(fact["content"], fact["label"], "train", fact["position"], fact["delivered"])
        for fact in facts.to_pylist()
        if fact["reason"] is None
    ]
    why = rejected(rows, is_test_given=False)
    found = [{"shard": 0, "position": row.number, "reason": why[row], "detail": None} for row in rows if row in why]
    return pa.Table.from_pylist(found, FOUND_SCHEMA)


def run_here(_: None, function: Any, tasks: Sequence[tuple[Any, int]], __: object) -> list[Any]:
    return [function(task) for task, _ in tasks]


def accounted(root: Path, lines: Sequence[bytes], block_bytes: int = 2**20) -> Account:
    """Take a file through ingest, clean, split and normalize, of which a block is prepared at a time."""
    (root / "source").mkdir()
    (root / "source" / "rows.csv").write_bytes(b"\n".join((b"n,c,y", *lines, b"")))
    own = RowColumns.of(CLASSES)
    raw = pa.concat_tables(raw_shards(open_source(SOURCE, root / "source", WANTED).tables, FEATURES, own))
    facts, usable = examine(raw, 0, len(CLASSES), FEATURES, own)
    is_kept, is_held_back, refused = separate(facts, compared(facts))
    clean = usable.filter(pa.array(is_kept)).cast(clean_schema(FEATURES, own))
    quarantine = rejected_rows(raw, refused, FEATURES, own)
    assert quarantine.schema == quarantine_schema(FEATURES, own)
    folders = (write(root / "clean", clean), write(root / "quarantine", quarantine), root / "split")
    folders[2].mkdir()
    division = Division.of(SPLIT, 3, CLASSES, None)
    told = split_dataset(*folders, classes=CLASSES, params=SPLIT, division=division, on_progress=lambda *_: None)
    split = pa.concat_tables(iter_tables(folders[2]))
    assert Counter(split["part"].to_pylist()) == told
    to = Normalized(root / "prepared", root / "served", root / "left_out")
    to.left_out.mkdir()
    with (
        patch.object(normalizing, "run_tasks", run_here),
        patch.object(id_order, "run_tasks", run_here),
        patch.object(normalizing, "_BLOCK_BYTES", block_bytes),
    ):
        by_part, _ = normalize_dataset(
            None,
            folders[0], folders[2], to, features=FEATURES, on_progress=lambda *_: None, own=own,
        )  # fmt: skip
    of_parts = {part: pa.concat_tables(iter_tables(to.prepared / part)) for part in PARTS}
    prepared = {part: ids(table) for part, table in of_parts.items()}
    assert {part: len(rows) for part, rows in prepared.items()} == by_part
    return Account(
        raw=ids(raw),
        clean=ids(clean),
        unlabelled=ids(usable.filter(pa.array(is_held_back))),
        quarantine=ids(quarantine),
        split=dict(zip(ids(split), split["part"].to_pylist(), strict=True)),
        prepared=prepared,
        served={part: ids(pa.concat_tables(iter_tables(to.served / part))) for part in PARTS[1:]},
        left_out=[row for table in iter_tables(to.left_out) for row in table.to_pylist()],
        why=dict(zip(ids(quarantine), quarantine["reason"].to_pylist(), strict=True)),
        values={row["id"]: row for table in of_parts.values() for row in table.to_pylist()},
        digests={
            str(path.relative_to(root)): digest_file(path)
            for folder in (to.prepared, to.served)
            for path in folder.rglob("*")
            if path.is_file()
        },
    )


@pytest.mark.long
@settings(max_examples=20, deadline=None)
@given(LINES)
@example([b"50,base,a", b"50,base,b", b"50.0,base,a", b"50,rare,", b"50,rare,a", b"1e6,base,a", b"a\0,rare,a"])
def test_every_row_that_is_read_is_in_one_place_and_no_other(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = accounted(Path(folder), [*BASE, *lines])

    assert len(found.raw) == len(set(found.raw)) == len(BASE) + len(lines)
    assert Counter(found.raw) == Counter(found.clean) + Counter(found.unlabelled) + Counter(found.quarantine)
    assert all(reason in (*PROBLEMS, *reasons(FEATURES)) for reason in found.why.values())
    assert list(found.split) == found.clean
    left_out = {row["id"]: row["part"] for row in found.left_out}
    for part in PARTS:
        of_part = Counter(row_id for row_id, given_part in found.split.items() if given_part == part)
        assert of_part == Counter(found.prepared[part]) + Counter(row for row in left_out if left_out[row] == part)
    assert {part: found.prepared[part] for part in PARTS[1:]} == found.served
    assert all(rows == sorted(rows) for rows in found.prepared.values())
    assert {(row["reason"], row["part"] == "train") for row in found.left_out} <= {
        (OUTLIER, True),
        (NOT_IN_TRAINING, False),
    }


@pytest.mark.long
@settings(max_examples=10, deadline=None)
@given(LINES, st.randoms(use_true_random=False), st.integers(1, 2000))
def test_in_another_order_and_in_other_blocks_every_row_is_what_it_was(
    lines: list[bytes], draw: random.Random, block_bytes: int
) -> None:
    """Rows with a source's problem have no values, so those of a label are told apart by their order alone."""
    lines = [*BASE, *lines]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        found = accounted(Path(one), lines)
        again = accounted(Path(other), draw.sample(lines, len(lines)), block_bytes)

    assert again.split == found.split
    assert again.values == found.values
    assert again.digests == found.digests
    assert again.why.keys() == found.why.keys()
    assert Counter(again.why.values()) == Counter(found.why.values())
    assert {*again.unlabelled} == {*found.unlabelled}
    assert {row["id"]: row["reason"] for row in again.left_out} == {row["id"]: row["reason"] for row in found.left_out}


def test_the_property_is_tried_on_rows_of_every_fate(tmp_path: Path) -> None:
    lines = [f"{number}e5,base,a".encode() for number in range(1, 6)]
    lines += [f"5{number},rare{number},a".encode() for number in range(6)]
    found = accounted(tmp_path, [*BASE, *lines, b"7,base,", b"7.5,base,", b"x,base,a"])
    assert {row["reason"] for row in found.left_out} == {OUTLIER, NOT_IN_TRAINING}
    assert found.unlabelled
    assert found.quarantine
