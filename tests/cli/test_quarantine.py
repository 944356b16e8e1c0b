"""`ratchet quarantine`: rejected rows listed, shown, exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from tests.cli.given import answer, complaint
from tests.report.rejected_rows import KEPT_SCHEMA, SCHEMA, rejected, write_rows
from tests.runs.kept import finished, lock_of, put_folder

UNKNOWN = "label outside the declared classes"


@pytest.fixture
def cleaned(project: Path) -> Path:
    """A project of which some rows were rejected."""
    write_rows(
        project / "data" / "quarantine",
        [rejected(n, "train.gz", n, content_digest="same") for n in range(9)],
        [
            *(rejected(100 + n, f"cats/{n}.png", 0, UNKNOWN, column="label", label=-1, detail="dgo") for n in range(7)),
            rejected(200, "birds\x1b[2J.zip!eagle.png", 0, "not a picture", image=None),
        ],
    )
    write_rows(project / "data" / "clean", [rejected(300, "test.gz", 4, content_digest="same")])
    return project


def test_the_list_has_reasons_with_their_files_and_first_rows(
    cleaned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, "quarantine", "list").splitlines() == [
        "data/quarantine: 17 rows rejected",
        "       9  exact duplicate",
        "          train.gz: 0, 1, 2, 3, 4, 5 and 3 more",
        f"       7  {UNKNOWN} (column label)",
        *(f"          cats/{n}.png: 0" for n in range(5)),
        "          and 2 more files, with 2 rows: --json has all",
        "       1  not a picture",
        r"          birds\x1b[2J.zip!eagle.png: 0",
    ]


def test_one_more_file_is_one_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(project / "data" / "quarantine", [rejected(n, f"{n}.png", 0, "empty") for n in range(6)])
    write_rows(project / "data" / "clean", [rejected(300, "test.gz", 4)])
    assert "          and 1 more file, with 1 row: --json has all" in answer(capsys, "quarantine", "list").splitlines()


def test_where_no_run_was_it_is_said_what_to_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "quarantine", "list")[1].endswith("(--set, --config): --run ID\n")


def test_the_list_for_programs_has_every_file(cleaned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(answer(capsys, "quarantine", "list", "--json"))
    assert [len(each["files"]) for each in found["data/quarantine"]] == [1, 7, 1]


def test_a_row_is_shown_with_all_that_is_known_and_where_its_bytes_are(
    cleaned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = answer(capsys, "quarantine", "show", "train.gz:7")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[:5] == ["reason exact duplicate", "column –", "detail –", "label 1 (trouser)", "part train"]
    assert "image 6 bytes, in column image of the shard" in lines
    assert "source samples/fashion_mnist/train.gz, row 7" in lines
    assert "shard data/quarantine/part-00000.parquet, row 7" in lines
    assert f"equals, kept test.gz:4, label 1, id {300:032x}" in lines
    assert sum(line.startswith("equals, rejected train.gz:") for line in lines) == 5


def test_a_member_of_an_archive_is_told_by_the_archive_and_no_name_reaches_the_terminal_as_it_is(
    cleaned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = answer(capsys, "quarantine", "show", f"{200:032x}")
    assert r"samples/fashion_mnist/birds\x1b[2J.zip, eagle.png, row 0" in said
    assert "\x1b" not in said


def test_a_row_that_is_not_there_is_answered_with_the_nearest(
    cleaned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = complaint(capsys, "quarantine", "show", "cats/17.png")
    assert (code, "no rejected row 'cats/17.png' (did you mean 'cats/1.png'?)" in said) == (2, True)


def test_rows_are_exported_once(cleaned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, "quarantine", "export", "out", "--reason", UNKNOWN)
    assert said == "out: 7 rows in rows.csv, 7 payloads in files of their own\n"
    code, said = complaint(capsys, "quarantine", "export", "out")
    assert (code, said) == (
        2,
        "ratchet: out is there already, and nothing is written over; name a folder that is not\n",
    )


def test_rows_of_an_earlier_run_are_listed_though_the_folder_has_none(
    cleaned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cleaned / ".dvc").mkdir()
    (cleaned / ".dvc" / "config").touch()
    content = {path.name: path.read_bytes() for path in (cleaned / "data" / "quarantine").iterdir()}
    record = finished(cleaned, recipe=yaml.safe_load((cleaned / "params.yaml").read_text()))
    kept = cleaned / record.folder
    shutil.copy(cleaned / "dvc.yaml", kept / "dvc.yaml")
    (kept / "dvc.lock").write_text(lock_of(**{"data/quarantine": put_folder(cleaned, content)}))
    before = answer(capsys, "quarantine", "list")
    shutil.rmtree(cleaned / "data")

    assert answer(capsys, "quarantine", "list", "--run", "r1") == before
    assert "equals, kept" not in answer(capsys, "quarantine", "show", "train.gz:7", "--run", "r1")
    code, said = complaint(capsys, "quarantine", "list")
    assert (code, "first `ratchet run --until clean`" in said) == (74, True)
    assert said.endswith("(--set, --config): --run r1\n")
    code, said = complaint(capsys, "quarantine", "list", "--run", "r2")
    assert (code, "no run 'r2' (valid: r1)" in said) == (2, True)


def test_rows_held_back_are_listed_and_shown_by_their_files(cleaned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declared = yaml.safe_load((cleaned / "dvc.yaml").read_text())
    declared["stages"]["clean"]["outs"] = ["data/clean", "data/quarantine", "data/unlabelled"]
    declared["stages"]["clean"]["meta"]["rows"]["held"] = "data/unlabelled"
    (cleaned / "dvc.yaml").write_text(yaml.safe_dump(declared))
    write_rows(cleaned / "data" / "unlabelled", [rejected(1, "x.png")], schema=KEPT_SCHEMA)
    listed = answer(capsys, "quarantine", "list")
    assert listed.endswith("data/unlabelled: 1 row held back\n          x.png: 0\n")
    [held] = json.loads(answer(capsys, "quarantine", "list", "--json"))["data/unlabelled"]
    assert held["files"] == [{"source": "x.png", "rows": 1, "first": [0]}]
    lines = [" ".join(line.split()) for line in answer(capsys, "quarantine", "show", "x.png").splitlines()]
    assert "shard data/unlabelled/part-00000.parquet, row 0" in lines


def test_rows_that_could_not_be_read_equal_no_other(cleaned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(cleaned / "data" / "quarantine")
    rows = [rejected(n, f"{n}.png", 0, "empty", problem="empty", content_digest="of nothing") for n in range(2)]
    write_rows(cleaned / "data" / "quarantine", rows, schema=SCHEMA.append(pa.field("problem", pa.string())))
    assert "equals" not in answer(capsys, "quarantine", "show", "0.png")


def test_a_graph_in_which_nothing_is_rejected_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declared = yaml.safe_load((project / "dvc.yaml").read_text())
    for stage in declared["stages"].values():
        stage["meta"].get("rows", {}).pop("rejected", None)
    (project / "dvc.yaml").write_text(yaml.safe_dump(declared))
    code, said = complaint(capsys, "quarantine", "list")
    assert (code, "no stage rejects rows; the one that does says `rows: {rejected: <path>}`" in said) == (2, True)
