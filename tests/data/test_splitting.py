"""Parts partition the rows, stay put however the data grow, and are proven apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.cleaning import CONFLICT, DUPLICATE, UNKNOWN_LABEL
from pipeline.data.freezing import thresholds_of
from pipeline.data.frozen_split import HASHES, FrozenSplit
from pipeline.data.shard_tasks import read_shard
from pipeline.data.splitting import (
    PARTS,
    SPLIT_SCHEMA,
    Division,
    assign,
    class_counts,
    lost_test_rows,
    of_shares,
    prove_apart,
    split_dataset,
    stable_hash,
)
from pipeline.errors import DataError, UsageError
from pipeline.recipe.recipe import SplitParams
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import finish_dataset, write_shard
from tests.data.equal_rows import Row, rejected

HASH = SplitParams(method="hash", train=0.7, validation=0.1, test=0.2)
STRATIFIED = SplitParams(method="stratified", train=0.7, validation=0.1, test=0.2)
SOURCE = SplitParams(method="source", train=0.9, validation=0.1, test=0.0)
METHODS = {"hash": HASH, "stratified": STRATIFIED, "source": SOURCE}
CLASSES = ["a", "b", "c"]


def digests(numbers: Sequence[object]) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]


def divided(params: SplitParams, seed: int = 1) -> Division:
    return Division.of(params, seed, CLASSES, None)


def parts_of(numbers: list[int], params: SplitParams, seed: int = 1) -> dict[int, str]:
    source = ["test" if number % 5 == 0 else "train" for number in numbers]
    labels = np.array([number % 3 for number in numbers], np.int32)
    codes = assign(source, labels, digests(numbers), params, divided(params, seed))
    return {number: PARTS[code] for number, code in zip(numbers, codes, strict=True)}


numbers = st.lists(st.integers(0, 10_000), unique=True, max_size=60).map(lambda found: [0, *(n + 1 for n in found)])
rows_of = st.lists(
    st.builds(
        Row,
        content=st.integers(0, 12).map(str),
        label=st.integers(0, 2),
        part=st.sampled_from(["train", "train", "test"]),
        number=st.just(0),
    ),
    max_size=25,
)
thresholds = st.tuples(st.integers(1, HASHES), st.integers(1, HASHES)).map(lambda pair: (min(pair), max(pair)))


def kept_parts(rows: list[Row], params: SplitParams, division: Division) -> dict[Row, str]:
    """Return the part of each row that the cleaning keeps."""
    gone = rejected(rows, is_test_given=params.method == "source")
    kept = [row for row in rows if row not in gone]
    labels = np.array([row.label for row in kept], np.int32)
    codes = assign([row.part for row in kept], labels, digests([row.content for row in kept]), params, division)
    return {row: PARTS[code] for row, code in zip(kept, codes, strict=True)}


@pytest.mark.parametrize("method", METHODS)
@given(before=rows_of, more=rows_of, by_class=st.lists(thresholds, min_size=3, max_size=3))
def test_however_the_data_grow_no_row_that_stays_moves(method, before, more, by_class):
    params = METHODS[method]
    by_class = [(first, HASHES) for first, _ in by_class] if method == "source" else by_class
    frozen = FrozenSplit.of(params, 7, dict(zip(CLASSES, by_class, strict=True))) if method != "hash" else None
    division = Division.of(params.model_copy(update={"frozen": "f" if frozen else None}), 1, CLASSES, frozen)
    first = Row("always there", 0, "test", 0)
    grown = [row._replace(number=number) for number, row in enumerate([first, *before, *more])]

    then, now = (kept_parts(rows, params, division) for rows in (grown[: 1 + len(before)], grown))

    assert {row: now[row] for row in then if row in now} == {row: part for row, part in then.items() if row in now}
    if method == "source":  # whatever is appended to the training files, every test row stays
        calm = [row for row in grown if row.part != "test" or row.number <= len(before)]
        tests = {row for row, part in then.items() if part == "test"}
        assert tests == {row for row, part in kept_parts(calm, params, division).items() if part == "test"}
    else:  # nor does what a row holds: its copies are where it was
        part_of = {(row.content, row.label): part for row, part in then.items()}
        assert all(part_of.get((row.content, row.label), part) == part for row, part in now.items())


@pytest.mark.parametrize("method", METHODS)
@given(rows=numbers, data=st.data())
def test_a_part_does_not_depend_on_the_order_of_rows(method, rows, data):
    shuffled = data.draw(st.permutations(rows))

    assert parts_of(shuffled, METHODS[method]) == parts_of(rows, METHODS[method])


@given(rows=numbers)
def test_by_source_the_test_part_is_the_source_s_test_rows(rows):
    assert {row for row, part in parts_of(rows, SOURCE).items() if part == "test"} == {n for n in rows if n % 5 == 0}


@pytest.mark.parametrize("method", METHODS)
def test_without_a_frozen_split_the_shares_come_out_and_another_seed_draws_other_rows(method):
    rows = [number for number in range(1, 25_001) if number % 5]
    params = METHODS[method]
    parts = parts_of([0, *rows], params)
    shares = [sum(parts[row] == name for row in rows) / len(rows) for name in PARTS]

    assert shares == pytest.approx([params.train, params.validation, params.test], abs=0.015)
    assert parts_of([0, *rows], params, seed=2) != parts


def test_the_thresholds_are_the_whole_range_s_where_a_part_has_no_share():
    assert of_shares(SOURCE)[1] == HASHES
    last = Division(1, [(1, HASHES)])
    assert set(last.codes(np.zeros(99, np.int32), digests(range(99)))) == {PARTS.index("validation")}
    every = Division(1, [(HASHES, HASHES)])
    assert set(every.codes(np.zeros(99, np.int32), digests(range(99)))) == {PARTS.index("train")}


def test_each_class_has_its_own_thresholds_and_the_frozen_split_s_seed_draws():
    rows = list(range(300))
    labels = np.arange(300, dtype=np.int32) % 3
    keys = stable_hash(digests(rows), 7)
    by_class = {name: thresholds_of(keys[labels == label], (0.7, 0.1, 0.2)) for label, name in enumerate(CLASSES)}
    params = STRATIFIED.model_copy(update={"frozen": "f"})
    division = Division.of(params, 1, CLASSES, FrozenSplit.of(STRATIFIED, 7, by_class))

    counts = class_counts(assign(["train"] * 300, labels, digests(rows), params, division), labels, CLASSES)

    assert counts == {
        "train": {"a": 70, "b": 70, "c": 70},
        "validation": {"a": 10, "b": 10, "c": 10},
        "test": {"a": 20, "b": 20, "c": 20},
    }


def test_a_class_that_a_frozen_split_lacks_is_named_with_the_command():
    frozen = FrozenSplit.of(STRATIFIED, 7, {"a": (1, 2), "c": (1, 2)})

    with pytest.raises(UsageError, match=r"splits/f\.yaml: no thresholds of class 'b'; run `ratchet split freeze`"):
        Division.of(STRATIFIED.model_copy(update={"frozen": "f"}), 1, CLASSES, frozen)


def lost(*rows: tuple[int | None, str, int, str], params: SplitParams) -> dict[str, int]:
    """Return the lost test rows among rejected ones: label, part, what the row holds, reason."""
    labels, parts, contents, reasons = zip(*rows, strict=True)
    columns = {"label": pa.array(labels, pa.int32()), "part": parts, "content_digest": digests(contents)}
    return lost_test_rows(pa.table({**columns, "reason": reasons}), params, divided(params))


def test_lost_test_rows_are_those_of_the_source_s_test_files_where_they_are_given():
    rows = [(0, "test", 1, CONFLICT), (1, "test", 1, CONFLICT), (1, "train", 1, CONFLICT), (0, "train", 2, CONFLICT)]
    others = [(9, "test", 3, UNKNOWN_LABEL), (None, "test", 4, UNKNOWN_LABEL), (0, "test", 5, DUPLICATE)]

    assert lost(*rows, *others, params=SOURCE) == {CONFLICT: 1, UNKNOWN_LABEL: 2}


@pytest.mark.parametrize("method", ["hash", "stratified"])
def test_lost_test_rows_are_those_whose_hash_would_put_them_there(method):
    params = METHODS[method]
    inside = [row for row, part in parts_of(list(range(60)), params).items() if part == "test"]
    outside = [row for row in range(60) if row not in inside]
    conflicting = [(label, "train", row, CONFLICT) for row in (*inside[:3], *outside) for label in (0, 1)]

    assert lost(*conflicting, (0, "train", inside[4], DUPLICATE), params=params) == {CONFLICT: 3}
    assert lost((9, "test", inside[0], UNKNOWN_LABEL), (None, "test", inside[1], UNKNOWN_LABEL), params=params) == {}


def test_source_without_test_rows_says_what_to_set():
    with pytest.raises(DataError, match=r"set split\.method to stratified or hash"):
        assign(["train"] * 3, np.zeros(3, np.int32), digests([1, 2, 3]), SOURCE, divided(SOURCE))


def test_a_class_without_rows_in_a_part_is_named():
    codes, labels = np.array([0, 1, 2, 0, 1], np.int8), np.array([0, 0, 0, 1, 1])

    with pytest.raises(DataError, match="class 'b' has no rows in the test part, of 2 in all"):
        class_counts(codes, labels, ["a", "b"])


def test_a_digest_or_an_id_in_two_parts_is_named():
    codes = np.array([0, 1], np.int8)
    with pytest.raises(DataError, match="content digest d is both in the train and in the validation part"):
        prove_apart(codes, ["x", "y"], ["d", "d"])
    with pytest.raises(DataError, match="id x is both in the train and in the validation part"):
        prove_apart(codes, ["x", "x"], ["d", "e"])
    assert prove_apart(codes, ["x", "y"], ["d", "e"])["distinct_content_digests"] == 2


CLEAN_SCHEMA = pa.schema(
    [*(pa.field(name, pa.string()) for name in ("id", "part", "content_digest")), ("label", pa.int32())]
)


def written(folder: Path, shards: Sequence[dict[str, Sequence[object]]], schema: pa.Schema) -> Path:
    """Write a data set with these shards."""
    folder.mkdir()
    tables = [pa.table(columns, schema) for columns in shards]
    entries = [write_shard(folder, number, schema, [table]) for number, table in enumerate(tables)]
    finish_dataset(folder, entries, schema, counts={})
    return folder


def split_of_600(tmp_path: Path, params: SplitParams) -> tuple[Path, dict[str, int], list[tuple[int, int]]]:
    """Split 600 clean rows in two shards, beside some rejected ones: the folder, what is returned and told."""
    rows = [
        {
            "id": [f"row-{number}" for number in numbers],
            "part": ["test" if number % 5 == 0 else "train" for number in numbers],
            "content_digest": digests(numbers),
            "label": [number % 3 for number in numbers],
        }
        for numbers in (range(250), range(250, 600))
    ]
    clean = written(tmp_path / "clean", rows, CLEAN_SCHEMA)
    rejected_schema = CLEAN_SCHEMA.append(pa.field("reason", pa.string()))
    gone = [
        {
            "id": [f"gone-{number}" for number in numbers],
            "part": ["test"] * len(numbers),
            "content_digest": digests(numbers),
            "label": [0] * len(numbers),
            "reason": [CONFLICT] * len(numbers),
        }
        for numbers in (range(700, 703), range(703, 705))
    ]
    quarantine = written(tmp_path / "quarantine", gone, rejected_schema)
    told: list[tuple[int, int]] = []
    (tmp_path / "split").mkdir()
    counts = split_dataset(
        clean,
        quarantine,
        tmp_path / "split",
        classes=CLASSES,
        params=params,
        division=divided(params),
        on_progress=lambda done, rows: told.append((done, rows)),
    )
    return tmp_path / "split", counts, told


def test_a_split_names_each_row_s_part_in_the_shards_of_the_clean_rows_with_its_proof(tmp_path: Path):
    split, by_part, told = split_of_600(tmp_path, SOURCE)

    manifest = read_manifest(split)
    tables = [read_shard(split / entry.path) for entry in manifest.files]
    assert [entry.rows for entry in manifest.files] == [250, 350]
    assert [table.schema for table in tables] == [SPLIT_SCHEMA] * 2
    expected = parts_of(list(range(600)), SOURCE)
    rows = pa.concat_tables(tables).to_pylist()
    assert [(row["id"], row["part"]) for row in rows] == [(f"row-{n}", expected[n]) for n in range(600)]
    assert by_part == {name: list(expected.values()).count(name) for name in PARTS}
    assert told == [(250, 600), (600, 600)]


def test_a_split_s_manifest_has_what_it_counted(tmp_path: Path):
    split, by_part, _ = split_of_600(tmp_path, SOURCE)

    counts = read_manifest(split).counts
    assert counts["parts"] == by_part
    assert {part: sum(by_class.values()) for part, by_class in counts["classes"].items()} == by_part
    assert counts["proof"] == {
        "rows": 600,
        "distinct_ids": 600,
        "distinct_content_digests": 600,
        "ids_in_two_parts": 0,
        "content_digests_in_two_parts": 0,
    }
    assert counts["lost_test_rows"] == {CONFLICT: 5}


def test_no_share_of_training_rows_leaves_one_hash_to_them():
    none = SplitParams.model_construct(method="hash", train=0.0, validation=0.5, test=0.5, frozen=None)

    assert of_shares(none) == (1, HASHES // 2)
    most = SplitParams.model_construct(method="hash", train=0.7, validation=0.3, test=1e-30, frozen=None)
    assert of_shares(most) == (round(0.7 * HASHES), HASHES)


def test_equal_rows_that_are_lost_count_once_for_each_reason():
    rows = [(0, "test", 1, CONFLICT), (1, "test", 1, CONFLICT), (1, "test", 1, UNKNOWN_LABEL)]

    assert list(lost(*rows, params=SOURCE).items()) == sorted({CONFLICT: 1, UNKNOWN_LABEL: 1}.items())


def test_labels_at_the_edge_of_the_classes_are_told_apart():
    inside = [row for row, part in parts_of(list(range(200)), HASH).items() if part == "test"]

    for label, is_lost in ((-1, False), (0, True), (2, True), (3, False)):
        assert bool(lost((label, "train", inside[0], CONFLICT), params=HASH)) is is_lost, label


def test_the_hash_is_the_first_64_bits_of_sha256_over_seed_and_digest():
    whole = hashlib.sha256(b"split 7 abc").hexdigest()

    assert stable_hash(["abc"], 7).tolist() == [int(whole[:16], 16)]


def test_a_hash_that_is_exactly_a_threshold_is_beyond_it():
    [key] = stable_hash(["abc"], 7).tolist()
    zero = np.zeros(1, np.int32)

    for pair, part in (((key, HASHES), 1), ((key + 1, HASHES), 0), ((1, key), 2), ((1, key + 1), 1)):
        assert Division(7, [pair]).codes(zero, ["abc"]).tolist() == [part], pair


def test_a_recipe_that_names_no_frozen_split_has_its_own_shares_and_seed():
    frozen = FrozenSplit.of(STRATIFIED, 7, dict.fromkeys(CLASSES, (1, 2)))

    assert Division.of(STRATIFIED, 1, CLASSES, frozen) == Division(1, [of_shares(STRATIFIED)] * 3)


def test_a_split_by_hash_counts_the_lost_test_rows_of_all_shards_by_their_labels(tmp_path: Path):
    split, _, _ = split_of_600(tmp_path, HASH)

    gone = [(0, "test", number, CONFLICT) for number in range(700, 705)]
    assert read_manifest(split).counts["lost_test_rows"] == lost(*gone, params=HASH)


def test_a_part_s_code_takes_a_byte():
    assert divided(HASH).codes(np.zeros(3, np.int32), digests(range(3))).dtype == np.int8
