"""A table with every odd line there is: each good row is kept, each odd one told, however the table is cut."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from pipeline.cli import command_line
from pipeline.data.cleaning import DUPLICATE
from pipeline.records.contract_result import ContractResult
from pipeline.storage.record_files import write_record
from tests.system.conftest import RunHere
from tests.system.data.faulty_rows import files, table_of
from tests.system.data.odd_table import (
    FILE,
    HELD_BACK,
    ODD,
    SMALL_BLOCKS,
    SMALL_READS,
    all_lines,
    good_lines,
    make_root,
)
from tests.system.data.test_same_result import run_stages

STAGES = ("resolve", "ingest", "check_raw", "clean", "split", "normalize", "augment", "check_prepared")
PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, run_here: RunHere) -> Path:
    root = make_root(tmp_path_factory.mktemp("odd") / "project", all_lines())
    run_here(root, *STAGES)
    return root


def test_every_good_row_is_kept_and_every_odd_one_is_told_by_reason_and_place(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = all_lines()
    expected = {
        (lines.index(odd.line) + 1, odd.reason, odd.column)
        for odd in ODD
        if odd.reason != DUPLICATE and odd.line not in good_lines()
    }
    quarantine = table_of(done / "data/quarantine")
    rejected = quarantine.select(["row", "reason", "column"]).to_pylist()
    found = {tuple(row.values()) for row in rejected}
    # Which of two equal rows is kept, their digests say.
    repeated = quarantine.filter(pc.equal(quarantine["reason"], DUPLICATE))["key"].to_pylist()
    assert sorted(repeated) == ["minus zero", "r007"]
    assert len(rejected) == len(ODD)
    assert expected <= found
    kept = table_of(done / "data/clean")
    assert kept.num_rows == len(good_lines())
    assert table_of(done / "data/unlabelled")["row"].to_pylist() == [lines.index(HELD_BACK) + 1]
    bodies = dict(zip(kept["key"].to_pylist(), kept["body"].to_pylist(), strict=True))
    assert bodies["formula"] == "=cmd|' /C calc'!A0"
    assert bodies["quoted"] == 'a, "quoted" text\nof two lines'
    assert len(bodies["million"]) == 1_000_000
    of_key = {row["key"]: row for row in kept.select(["key", "n", "word"]).to_pylist()}
    assert of_key["leading"] == {"key": "leading", "n": 7.0, "word": "007"}
    assert str(of_key["minus zero"]["n"]) == "0.0"

    monkeypatch.chdir(done)
    assert command_line.main(("quarantine", "list", "--json")) == 0
    listed: dict[str, list[dict[str, Any]]] = json.loads(capsys.readouterr().out)
    told = Counter({(each["reason"], each["column"]): each["rows"] for each in listed["data/quarantine"]})
    assert told == Counter((odd.reason, odd.column) for odd in ODD)
    assert {file["source"] for each in listed["data/quarantine"] for file in each["files"]} == {FILE}
    assert command_line.main(("quarantine", "list")) == 0
    words = capsys.readouterr().out
    assert all(odd.reason in words for odd in ODD)


def test_no_group_is_in_two_parts_and_what_is_joined_was_there_an_hour_before(done: Path) -> None:
    parts = dict(zip(*(table_of(done / "data/split")[name].to_pylist() for name in ("id", "part")), strict=True))
    kept = table_of(done / "data/clean").to_pylist()
    assert len({(row["group"], parts[row["id"]]) for row in kept}) == len({row["group"] for row in kept})
    assert set(parts.values()) == set(PARTS)
    for row in kept:
        at = row["time"]
        seen = [hour for hour in (0, 8, 16) if hour + 1 <= at.hour + at.minute / 60]
        if seen and at.day < 29:
            assert row["temp"] == pytest.approx(at.month + at.day / 10 + seen[-1] / 100)


def run_checked(root: Path, *, cut_by: int, **place: str) -> None:
    """Run the data stages in a process of their own, on raw data that have passed their contract."""
    passed = ContractResult(suite="s", rows=1, outcome="pass", expectations=(), data_digest="sha256:00")
    write_record(root / "reports/contracts/raw/result.json", passed)
    run_stages(root, "resolve", "ingest", "clean", "split", "normalize", "augment", cut_by=cut_by, **place)


@pytest.mark.parametrize(
    ("cut_by", "place"),
    [
        (1, {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"}),
        (7, {"LC_ALL": "C", "LANG": "C", "TZ": "America/St_Johns", "PYTHONHASHSEED": "7"}),
    ],
    ids=["1 partition, Turkish, Kathmandu", "7 partitions, C, Newfoundland"],
)
def test_partitions_reads_locale_and_zone_leave_the_same_bytes(
    done: Path, tmp_path: Path, cut_by: int, place: dict[str, str]
) -> None:
    root = make_root(tmp_path / "project", all_lines(), SMALL_READS)

    run_checked(root, cut_by=cut_by, **place)

    assert files(root / "data") == files(done / "data")


def test_another_order_of_the_rows_and_small_blocks_leave_the_same_prepared_bytes(done: Path, tmp_path: Path) -> None:
    """Until rows are prepared they keep their places, by which people find them again: so it is rows that are compared.

    Changed copies are made shard by shard of what is prepared.
    """
    root = make_root(tmp_path / "project", all_lines(order=1), SMALL_BLOCKS)

    run_checked(root, cut_by=2)

    def rows(folder: Path, path: str) -> dict[str, Any]:
        table = table_of(folder / "data" / path)
        names = [name for name in table.column_names if name not in ("row", "detail")]
        return {row["id"]: row for row in table.select(names).to_pylist()}

    assert table_of(root / "data/raw")["id"].to_pylist() != table_of(done / "data/raw")["id"].to_pylist()
    for path in ("clean", "split", "unlabelled"):
        assert rows(root, path) == rows(done, path)
    for path in ("prepared", "served", "augmented"):
        assert files(root / "data" / path) == files(done / "data" / path)
    why = [table_of(each / "data/quarantine").select(["reason", "column"]).to_pylist() for each in (root, done)]
    assert Counter(map(str, why[0])) == Counter(map(str, why[1]))
