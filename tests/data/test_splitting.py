"""Parts partition the rows, stay put however the data grow, and are proven apart."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.apartness import Names, prove_apart
from pipeline.data.cleaning import CONFLICT, DUPLICATE, UNKNOWN_LABEL
from pipeline.data.freezing import thresholds_of
from pipeline.data.frozen_split import HASHES, FrozenSplit
from pipeline.data.instants import Instants, text_of
from pipeline.data.shard_tasks import read_shard
from pipeline.data.splitting import (
    PARTS,
    Division,
    assign,
    assign_rows,
    counted,
    is_validation_given,
    lost_test_rows,
    of_shares,
    require_test_rows,
    split_dataset,
    stable_hash,
    stratum_counts,
)
from pipeline.data.strata import Strata
from pipeline.errors import Bug, DataError, UsageError
from pipeline.recipe.recipe import SplitParams
from pipeline.records.manifest import Manifest
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
    division = divided(params, seed)
    codes = assign(source, labels, division.hashes(digests(numbers)), params, division)
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
thresholds = st.sets(st.integers(1, HASHES - 1), min_size=2, max_size=2).map(lambda pair: (min(pair), max(pair)))


def kept_parts(rows: list[Row], params: SplitParams, division: Division) -> dict[Row, str]:
    """Return the part of each row that the cleaning keeps."""
    gone = rejected(rows, is_test_given=params.method == "source")
    kept = [row for row in rows if row not in gone]
    labels = np.array([row.label for row in kept], np.int32)
    hashes = division.hashes(digests([row.content for row in kept]))
    codes = assign([row.part for row in kept], labels, hashes, params, division)
    return {row: PARTS[code] for row, code in zip(kept, codes, strict=True)}


@pytest.mark.long
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
@given(rows=numbers)
def test_validation_rows_of_the_source_are_the_validation_part_where_its_parts_are_asked_for(method, rows):
    params = METHODS[method]
    source = [("test", "validation", "train")[min(number % 5, 2)] for number in rows]
    labels, division = np.array([number % 3 for number in rows], np.int32), divided(params)
    hashes = division.hashes(digests(rows))

    given_, drawn = (assign(source, labels, hashes, params, division, is_validation_given=it) for it in (True, False))

    if method == "source":
        assert [PARTS[code] for code in given_] == source
    else:
        assert given_.tolist() == drawn.tolist()


@pytest.mark.parametrize(
    ("method", "parts", "is_given"),
    [("source", {"validation": 3}, True), ("source", {"train": 3}, False), ("hash", {"validation": 3}, False)],
)
def test_validation_rows_are_given_where_kept_ones_are_and_the_recipe_asks_for_them(method, parts, is_given):
    clean = Manifest(rows=3, files=(), columns={}, counts={"source_parts": parts})

    assert is_validation_given(clean, METHODS[method]) == is_given


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
    assert set(last.codes(np.zeros(99, np.int32), stable_hash(digests(range(99)), 1))) == {PARTS.index("validation")}
    every = Division(1, [(HASHES, HASHES)])
    assert set(every.codes(np.zeros(99, np.int32), stable_hash(digests(range(99)), 1))) == {PARTS.index("train")}


def test_each_class_has_its_own_thresholds_and_the_frozen_split_s_seed_draws():
    rows = list(range(300))
    labels = np.arange(300, dtype=np.int32) % 3
    keys = stable_hash(digests(rows), 7)
    by_class = {name: thresholds_of(keys[labels == label], (0.7, 0.1, 0.2)) for label, name in enumerate(CLASSES)}
    params = STRATIFIED.model_copy(update={"frozen": "f"})
    division = Division.of(params, 1, CLASSES, FrozenSplit.of(STRATIFIED, 7, by_class))

    codes = assign(["train"] * 300, labels, keys, params, division)
    counts = stratum_counts(counted(codes, labels, 3), Strata.of_classes(CLASSES), "stratified")

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
    rejected = pa.table({**columns, "reason": reasons})
    whole, in_pieces = [rejected], [rejected.slice(row, 1) for row in range(len(rows))]
    found = lost_test_rows(whole, params, divided(params))
    assert lost_test_rows(in_pieces, params, divided(params)) == found
    return found


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
        require_test_rows(0, SOURCE)
    require_test_rows(1, SOURCE)
    require_test_rows(0, HASH)


def test_a_class_without_rows_in_a_part_is_named():
    codes, labels = np.array([0, 1, 2, 0, 1], np.int8), np.array([0, 0, 0, 1, 1])

    with pytest.raises(DataError, match="class 'b' has no rows in the test part, of 2 in all"):
        stratum_counts(counted(codes, labels, 2), Strata.of_classes(["a", "b"]), "stratified")


def written(folder: Path, name: str, tables: list[pa.Table]) -> Path:
    """Write a data set of these shards."""
    target = folder / name
    target.mkdir()
    entries = [write_shard(target, number, table.schema, [table]) for number, table in enumerate(tables)]
    parts = Counter(part for table in tables for part in table["part"].to_pylist())
    finish_dataset(target, entries, tables[0].schema, counts={"source_parts": dict(parts)})
    return target


def clean_rows(**changes: list[str]) -> pa.Table:
    """Return 300 kept rows; of every five one is a test row."""
    columns = {
        "id": [f"row {number}" for number in range(300)],
        "label": pa.array([number % 3 for number in range(300)], pa.int32()),
        "part": ["test" if number % 5 == 0 else "train" for number in range(300)],
        "content_digest": digests(range(300)),
    }
    return pa.table(columns | changes)


@pytest.mark.parametrize(("column", "what"), [("id", "id"), ("content_digest", "content digest")])
def test_a_name_that_comes_again_in_another_shard_and_part_is_named(tmp_path: Path, column: str, what: str):
    names = clean_rows()[column].to_pylist()
    rows = clean_rows(**{column: [*names[:250], names[1], *names[251:]]})
    clean = written(tmp_path, "clean", [rows.slice(0, 200), rows.slice(200)])
    quarantine = written(tmp_path, "quarantine", [rows.slice(0, 0).append_column("reason", pa.array([], pa.string()))])
    (tmp_path / "split").mkdir()

    with pytest.raises(DataError, match=rf"split: {what} {names[1]} is both in the train and in the test part"):
        split_dataset(
            clean,
            quarantine,
            tmp_path / "split",
            classes=CLASSES,
            params=SOURCE,
            division=divided(SOURCE),
            on_progress=lambda done, total: None,
        )


def test_whatever_the_shards_their_rows_get_their_parts_and_are_counted_together(tmp_path: Path):
    numbers, sizes = list(range(300)), (100, 1, 0, 199)
    rows = clean_rows()
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    clean = written(tmp_path, "clean", [rows.slice(start, size) for start, size in zip(starts, sizes, strict=True)])
    rejected = rows.slice(0, 2).append_column("reason", pa.array([CONFLICT, DUPLICATE]))
    quarantine = written(tmp_path, "quarantine", [rejected])
    (tmp_path / "split").mkdir()
    told: list[tuple[int, int]] = []

    found = split_dataset(
        clean,
        quarantine,
        tmp_path / "split",
        classes=CLASSES,
        params=HASH,
        division=divided(HASH),
        on_progress=lambda done, total: told.append((done, total)),
    )

    parts = parts_of(numbers, HASH)
    manifest = read_manifest(tmp_path / "split")
    shards = [read_shard(tmp_path / "split" / entry.path) for entry in manifest.files]
    assert [shard.num_rows for shard in shards] == list(sizes)
    assert pa.concat_tables(shards).to_pylist() == [{"id": f"row {n}", "part": parts[n]} for n in numbers]
    assert found == manifest.counts["parts"] == {part: list(parts.values()).count(part) for part in PARTS}
    assert manifest.counts["classes"] == {
        part: {name: sum(parts[n] == part for n in numbers[label::3]) for label, name in enumerate(CLASSES)}
        for part in PARTS
    }
    assert manifest.counts["proof"]["distinct_content_digests"] == manifest.counts["proof"]["distinct_ids"] == 300
    assert told == [(100, 300), (101, 300), (101, 300), (300, 300)]


def test_no_share_is_so_small_that_no_hash_is_left_for_it() -> None:
    assert of_shares(SplitParams(method="hash", train=1e-30, validation=0.5, test=0.5)) == (1, HASHES // 2)


def test_without_a_share_for_the_test_part_every_hash_has_another() -> None:
    for train in (0.1, 0.3, 0.58, 0.9):
        assert of_shares(SplitParams(method="source", train=train, validation=1 - train, test=0.0))[1] == HASHES


GROUPED = SplitParams(method="grouped", train=0.7, validation=0.1, test=0.2)
TIME = SplitParams(method="time", train=0.7, validation=0.1, test=0.2)
BY_ROLE = {"grouped": GROUPED, "time": TIME}
COUNTED = {"grouped": "all", "time": "all", "hash": "all", "stratified": "bins"}


class Given(NamedTuple):
    """A kept row of a table: its number, which stands for what it holds, its target, its group and its time."""

    number: int
    target: float
    group: str
    time: int


tables = st.lists(
    st.builds(
        Given,
        number=st.integers(0, 10_000),
        target=st.integers(-9, 9).map(float),
        group=st.integers(0, 12).map(str),
        time=st.integers(0, 30),
    ),
    unique_by=lambda row: row.number,
    max_size=30,
).map(
    lambda rows: [
        *(Given(20_000 + n, float(n % 19 - 9), f"g{n}", n % 29) for n in range(120)),  # enough of each for every part
        *rows,
    ]
)


def table_of(rows: Sequence[Given]) -> pa.Table:
    """Return them as the cleaning leaves a table with a group and a time whose target is a number."""
    return pa.table(
        {
            "id": [f"row {row.number}" for row in rows],
            "label": pa.array([row.target for row in rows], pa.float64()),
            "part": ["train"] * len(rows),
            "content_digest": digests([row.number for row in rows]),
            "group": pa.array([row.group for row in rows], pa.string()),
            "time": pa.array([row.time for row in rows], pa.timestamp("us", "UTC")),
        }
    )


class Found(NamedTuple):
    """What a split says: each row's part by its id, and what stands in the manifest."""

    parts: dict[str, str]
    counts: dict[str, Any]


def split(
    folder: Path,
    shards: list[pa.Table],
    params: SplitParams,
    *,
    classes: Sequence[str] = (),
    frozen: FrozenSplit | None = None,
    rejected: pa.Table | None = None,
    has_groups: bool = False,
) -> Found:
    """Divide rows in these shards in a folder of its own; they keep their groups if the method, or who asks, does."""
    own = Path(tempfile.mkdtemp(dir=folder))
    if params.method != "grouped" and not has_groups:
        shards = [rows.drop_columns(["group"]) if "group" in rows.column_names else rows for rows in shards]
    clean = written(own, "clean", shards)
    gone = shards[0].slice(0, 0).append_column("reason", pa.array([], pa.string())) if rejected is None else rejected
    quarantine = written(own, "quarantine", [gone])
    (own / "split").mkdir()
    division = Division.of(params, 1, classes, frozen)
    split_dataset(
        clean,
        quarantine,
        own / "split",
        classes=classes,
        params=params,
        division=division,
        on_progress=lambda done, total: None,
    )
    manifest = read_manifest(own / "split")
    rows = pa.concat_tables([read_shard(own / "split" / entry.path) for entry in manifest.files])
    shutil.rmtree(own)
    return Found(dict(zip(rows["id"].to_pylist(), rows["part"].to_pylist(), strict=True)), dict(manifest.counts))


@pytest.mark.long
@pytest.mark.parametrize("method", ["grouped", "time", "hash", "stratified"])
@settings(max_examples=15)
@given(rows=tables, data=st.data())
def test_neither_the_order_of_rows_nor_how_they_are_cut_changes_a_part(tmp_path_factory, method, rows, data):
    folder = tmp_path_factory.getbasetemp()
    params = {**METHODS, **BY_ROLE}[method].model_copy(update={"quantiles": 3})
    shuffled = table_of(data.draw(st.permutations(rows)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    pieces = [shuffled.slice(a, b - a) for a, b in itertools.pairwise([0, *cuts, len(rows)])]

    assert split(folder, pieces, params) == split(folder, [table_of(rows)], params)


@pytest.mark.long
@settings(max_examples=25)
@given(rows=tables)
def test_all_rows_of_a_group_are_in_one_part(tmp_path_factory, rows):
    found = split(tmp_path_factory.getbasetemp(), [table_of(rows)], GROUPED)

    part_of: dict[str, str] = {}
    for row in rows:
        part = found.parts[f"row {row.number}"]
        assert part_of.setdefault(row.group, part) == part
    proof = found.counts["proof"]
    assert (proof["distinct_groups"], proof["groups_in_two_parts"]) == (len(part_of), 0)
    assert (proof["distinct_ids"], proof["distinct_content_digests"]) == (len(rows), len(rows))


@pytest.mark.long
@settings(max_examples=15)
@given(rows=tables, more=tables)
def test_by_group_no_row_moves_however_the_data_grow(tmp_path_factory, rows, more):
    folder = tmp_path_factory.getbasetemp()
    known = {row.number for row in rows}
    grown = [*rows, *(row for row in more if row.number not in known)]

    then, now = (split(folder, [table_of(each)], GROUPED).parts for each in (rows, grown))

    assert {row: now[row] for row in then} == then


@pytest.mark.long
@settings(max_examples=25)
@given(rows=tables)
def test_by_time_the_latest_rows_are_the_test_part_and_the_manifest_says_since_when(tmp_path_factory, rows):
    found = split(tmp_path_factory.getbasetemp(), [table_of(rows)], TIME)

    times = {part: [row.time for row in rows if found.parts[f"row {row.number}"] == part] for part in PARTS}
    assert max(times["train"]) < min(times["validation"])
    assert max(times["validation"]) < min(times["test"])
    starts = {f"{part}_from": text_of(min(times[part])) for part in ("validation", "test")}
    assert found.counts["instants"] == starts
    assert found.counts["times"] == {
        part: {"first": text_of(min(each)), "last": text_of(max(each))} for part, each in times.items()
    }
    assert found.counts["parts"] == {part: len(each) for part, each in times.items()}


def test_by_time_the_frozen_instants_stay_however_many_rows_come_later(tmp_path: Path):
    rows = [Given(n, 0.0, "", n) for n in range(300)]
    frozen = FrozenSplit.of(TIME, 9, {}, instants=Instants(50, 100))
    found = split(tmp_path, [table_of(rows)], TIME.model_copy(update={"frozen": "f"}), frozen=frozen)

    assert found.counts["parts"] == {"train": 50, "validation": 50, "test": 200}
    assert split(tmp_path, [table_of(rows)], TIME).counts["parts"] == {"train": 210, "validation": 30, "test": 60}


def test_by_time_no_row_is_divided_before_the_instants_are_known():
    with pytest.raises(Bug, match="before the instants are known"):
        assign_rows(table_of([Given(1, 0.0, "", 1)]), TIME, Division(1, []))


@pytest.mark.parametrize("method", ["grouped", "time", "hash", "stratified"])
def test_a_number_is_counted_by_bins_where_it_is_stratified_and_otherwise_by_parts(tmp_path: Path, method: str):
    rows = [Given(n, float(n % 40), str(n), n) for n in range(800)]
    params = {**METHODS, **BY_ROLE}[method].model_copy(update={"quantiles": 4})
    counts = split(tmp_path, [table_of(rows)], params).counts

    assert counts["classes"] == {part: {} for part in PARTS}
    assert sum(counts["parts"].values()) == 800
    if COUNTED[method] == "all":
        assert "bins" not in counts
        assert "edges" not in counts
        return
    assert counts["edges"] == [9.0, 19.0, 29.0]
    names = ("≤ 9", "9 – 19", "19 – 29", "> 29")
    assert [tuple(of_part) for of_part in counts["bins"].values()] == [names] * 3
    assert {name: sum(of_part[name] for of_part in counts["bins"].values()) for name in names} == dict.fromkeys(
        names, 200
    )
    assert counts["parts"] == {part: sum(of_part.values()) for part, of_part in counts["bins"].items()}


def test_without_a_frozen_split_a_stratified_number_is_divided_as_by_hash(tmp_path: Path):
    rows = [Given(n, float(n), "", n) for n in range(900)]

    assert split(tmp_path, [table_of(rows)], STRATIFIED).parts == split(tmp_path, [table_of(rows)], HASH).parts


def test_a_bin_without_rows_in_a_part_is_named(tmp_path: Path):
    rows = [Given(n, float(n), "", n) for n in range(60)]

    with pytest.raises(
        DataError,
        match=r"^split: no row whose target is [^ ]+ – [^ ]+ is in the \w+ part, of 2 in all; lower split.quantiles",
    ):
        split(tmp_path, [table_of(rows)], STRATIFIED.model_copy(update={"quantiles": 30}))


def test_a_part_without_rows_is_named(tmp_path: Path):
    rows = [Given(n, float(n), "one", n) for n in range(60)]

    with pytest.raises(DataError, match=r"^split: no row is in the \w+ part, of 60 in all; change split in params"):
        split(tmp_path, [table_of(rows)], GROUPED)


@pytest.mark.parametrize(
    ("method", "advice"),
    [
        ("source", "or give each class its shares: `ratchet split freeze`"),
        ("stratified", "or give each class its shares: `ratchet split freeze`"),
        ("hash", "split.method stratified, and `ratchet split freeze`"),
        ("grouped", "or take smaller groups: all rows of one go to one part"),
        ("time", "or take rows of it at other times: the parts follow each other"),
    ],
)
def test_what_to_do_about_a_class_that_a_part_lacks_is_said_by_the_method(method: str, advice: str):
    with pytest.raises(DataError, match=f"class 'a' has no rows in the test part, of 2 in all; change split.*{advice}"):
        stratum_counts(np.array([[1], [1], [0]]), Strata.of_classes(["a"]), method)


def test_classes_are_divided_by_group_and_by_time_too(tmp_path: Path):
    rows = [Given(n, 0.0, str(n), n) for n in range(300)]
    table = table_of(rows).set_column(1, "label", pa.array([n % 2 for n in range(300)], pa.int32()))
    for params in (GROUPED, TIME):
        found = split(tmp_path, [table], params, classes=["a", "b"])
        assert [set(each) for each in found.counts["classes"].values()] == [{"a", "b"}] * 3
        assert "bins" not in found.counts


def test_bins_of_a_frozen_split_have_thresholds_of_their_own_and_are_those_that_are_counted(tmp_path: Path):
    rows = [Given(n, float(n % 2), "", n) for n in range(400)]
    params = STRATIFIED.model_copy(update={"frozen": "f"})
    frozen = FrozenSplit.of(params, 1, {"≤ 0.5": (1, HASHES // 2), "> 0.5": (HASHES // 2, HASHES - 1)}, edges=(0.5,))

    with pytest.raises(DataError, match=r"no row whose target is ≤ 0\.5 is in the train part, of 200 in all"):
        split(tmp_path, [table_of(rows)], params, frozen=frozen)
    wide = {"≤ 0.5": (HASHES // 4, HASHES // 2), "> 0.5": (HASHES // 2, HASHES // 4 * 3)}
    found = split(tmp_path, [table_of(rows)], params, frozen=FrozenSplit.of(params, 1, wide, edges=(0.5,)))

    hashes = stable_hash(digests(range(400)), 1)
    for row, value in zip(rows, hashes.tolist(), strict=True):
        first, second = wide["> 0.5" if row.target else "≤ 0.5"]
        assert found.parts[f"row {row.number}"] == PARTS[(value >= first) + (value >= second)]
    assert found.counts["edges"] == [0.5]


def test_rejected_rows_that_the_test_part_lacks_are_found_by_their_group_and_by_their_time(tmp_path: Path):
    rows = [Given(n, float(n), f"g{n % 90}", n % 90) for n in range(360)]
    gone = [Given(1000 + n, float(n), f"g{n}", n) for n in range(90)]
    columns = table_of(gone).append_column("reason", pa.array([UNKNOWN_LABEL] * 90))
    nameless = columns.set_column(4, "group", pa.nulls(90, pa.string()))
    timeless = columns.set_column(5, "time", pa.nulls(90, pa.timestamp("us", "UTC")))
    without = columns.set_column(1, "label", pa.array([None, np.nan, np.inf] * 30, pa.float64()))
    for params, lacking in ((GROUPED, nameless), (TIME, timeless)):
        found = split(tmp_path, [table_of(rows)], params, rejected=columns)
        inside = {row.group for row in rows if found.parts[f"row {row.number}"] == "test"}
        assert found.counts["lost_test_rows"] == {UNKNOWN_LABEL: len(inside)}
        assert 0 < len(inside) < 90
        for nothing in (lacking, without):
            assert split(tmp_path, [table_of(rows)], params, rejected=nothing).counts["lost_test_rows"] == {}


def test_a_group_in_two_parts_would_be_named(tmp_path: Path):
    names = {"group": Names(np.array([1, 1], np.uint64), lambda: [(["g", "g"], np.array([1, 1], np.uint64))])}
    with pytest.raises(DataError, match="split: group g is both in the train and in the test part"):
        prove_apart(PARTS, np.array([0, 2], np.int8), names)


SOURCE = SplitParams(method="source", train=0.9, validation=0.1, test=0.0)


@pytest.mark.parametrize("params", [TIME, SOURCE], ids=["time", "source"])
def test_a_group_that_the_source_or_the_time_parts_is_named(tmp_path: Path, params: SplitParams):
    rows = [Given(n, 0.0, "alone", n) for n in range(60)] + [Given(60 + n, 0.0, "both", 60 + n) for n in range(40)]
    parts = pa.array(["train"] * 60 + ["validation"] * 10 + ["test"] * 30)
    table = table_of(rows).set_column(2, "part", parts)

    with pytest.raises(DataError, match=r"^split: group both is both in .* part; split\.method grouped") as raised:
        split(tmp_path, [table], params, has_groups=True)
    assert str(raised.value).endswith("give them to one part, or leave data.roles.group out")
    split(tmp_path, [table], params)  # nothing says that they belong together


def test_groups_that_are_apart_in_the_source_s_own_parts_are_proven_so(tmp_path: Path):
    rows = [Given(n, 0.0, f"g{n % 5 + 5 * (n // 50)}", n) for n in range(150)]
    table = table_of(rows).set_column(2, "part", pa.array(["train"] * 50 + ["validation"] * 50 + ["test"] * 50))
    proof = split(tmp_path, [table], SOURCE, has_groups=True).counts["proof"]
    assert (proof["distinct_groups"], proof["groups_in_two_parts"]) == (15, 0)


def test_by_time_equal_content_at_times_of_two_parts_is_refused(tmp_path: Path):
    rows = [Given(n, 0.0, "", n) for n in range(100)]
    table = table_of(rows)
    names = table["content_digest"].to_pylist()
    again = table.set_column(3, "content_digest", pa.array([*names[:99], names[0]]))

    with pytest.raises(DataError, match=rf"split: content digest {names[0]} is both in the train and in the test part"):
        split(tmp_path, [again], TIME)


def test_by_time_a_rejected_row_of_an_unknown_class_is_in_no_part_frozen_or_not():
    frozen = FrozenSplit.of(TIME, 1, {}, instants=Instants(3, 5))
    named = TIME.model_copy(update={"frozen": "f"})
    rows = table_of([Given(n, 0.0, "", 6) for n in range(4)])
    gone = rows.set_column(1, "label", pa.array([0, 3, -1, None], pa.int32()))
    gone = gone.append_column("reason", pa.array([CONFLICT] * 4))

    assert lost_test_rows([gone], named, Division.of(named, 1, CLASSES, frozen)) == {CONFLICT: 1}
    unfrozen = dataclasses.replace(Division.of(TIME, 1, CLASSES, None), instants=Instants(3, 5))
    assert lost_test_rows([gone], TIME, unfrozen) == {CONFLICT: 1}
