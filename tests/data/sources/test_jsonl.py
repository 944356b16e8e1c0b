"""JSON lines as a source: the files, the rows and their numbers, and what is wrong with a file as a whole."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.source_rows import NothingThere
from pipeline.data.sources import jsonl
from pipeline.data.sources.jsonl import Settings
from pipeline.data.wanted import Wanted, WantedFeature
from pipeline.errors import DataError, UsageError
from pipeline.recipe.recipe import Roles

WANTED = Wanted(("no", "yes"), (WantedFeature("size", "number", "size"), WantedFeature("body", "text", "said")))


def line(size: object, said: object = "hello", label: object = "yes", **more: object) -> str:
    return json.dumps({"size": size, "said": said, "label": label, **more}) + "\n"


def rows(folder: Path, wanted: Wanted = WANTED, **settings: Any) -> list[dict[str, Any]]:
    complete = {"target": "label", "known_at": {"before": ["size", "said"]}, **settings}
    source = jsonl.open_source(Settings.model_validate(complete), folder, wanted)
    return pa.concat_tables(list(source.tables)).to_pylist()


def test_each_line_of_each_file_is_a_row_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "b.ndjson").write_text(line(1.50) + "[]\n" + line(2))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line(0.1).encode()))
    (tmp_path / "notes.txt").write_text("no part of it")
    found = [(row["source"], row["row"], row["size"], row["problem"]) for row in rows(tmp_path)]
    assert found == [
        ("a.jsonl.gz", 1, "0.1", None),
        ("b.ndjson", 1, "1.5", None),
        ("b.ndjson", 2, None, "line cannot be understood"),
        ("b.ndjson", 3, "2", None),
    ]


def test_a_row_has_its_features_its_target_and_its_roles(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        line(7, "a", "no", place="here", flag=True) + line(None, None, None) + line("7", "b", "perhaps")
    )
    wanted = WANTED._replace(roles=Roles(slices=("place", "flag")))
    first, second, third = rows(tmp_path, wanted)
    assert (first["label"], first["size"], first["body"]) == (0, "7", "a")
    assert (first["slice_place"], first["slice_flag"], first["part"]) == ("here", "true", "train")
    assert (second["label"], second["size"], second["body"], second["problem"]) == (None, None, None, None)
    assert (third["label"], third["size"], third["detail"]) == (-1, "7", third["detail"])
    assert "'perhaps' is none of data.classes" in third["detail"]


def test_a_broken_last_line_takes_no_other_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line(1) + line(2) + line(3)[:-9])
    assert [row["problem"] for row in rows(tmp_path)] == [None, None, "line cannot be understood"]


@pytest.mark.long
@pytest.mark.parametrize("bad", ['{"size": NaN}', '{"size": [1]}', '{"size": "\\ud800"}', '{"size": "\\u0000"}', "{{"])
def test_one_wrong_line_among_many_is_told_by_its_number(tmp_path: Path, bad: str) -> None:
    (tmp_path / "a.jsonl").write_text(line(1) * 9999 + bad + "\n")
    found = rows(tmp_path)
    assert len(found) == 10_000
    assert [row["row"] for row in found if row["problem"]] == [10_000]


def test_which_lines_are_wrong_depends_on_no_column_that_is_wanted(tmp_path: Path) -> None:
    bad = ['{"size": 1, "other": NaN}', '{"other": "\\ud800"}', '{"other": 1, "other": 2}', '{"other": "\\u0000"}']
    (tmp_path / "a.jsonl").write_text(line(1, other=5) + "\n".join(bad))
    with_it = WANTED._replace(roles=Roles(slices=("other",)))
    assert [row["problem"] is not None for row in rows(tmp_path)] == [False, True, True, True, True]
    assert [row["problem"] for row in rows(tmp_path)] == [row["problem"] for row in rows(tmp_path, with_it)]


def test_a_field_that_no_line_has_is_an_error_and_one_that_some_lack_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line(1) + '{"size": 2}\n')
    assert [row["body"] for row in rows(tmp_path)] == ["hello", None]
    (tmp_path / "a.jsonl").write_text('{"size": 2, "sayd": 1, "label": "no"}\n')
    with pytest.raises(
        DataError, match=r"no column 'said', which data\.features\.body names \(did you mean 'sayd'\?\)"
    ):
        rows(tmp_path)


def test_a_folder_without_a_file_or_a_line_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NothingThere, match=r"holds no file like \*\.jsonl, \*\.ndjson"):
        rows(tmp_path)
    (tmp_path / "a.jsonl").write_text("")
    with pytest.raises(DataError, match="no line in it; expected one JSON object a line"):
        rows(tmp_path)


def test_a_damaged_gzip_is_an_error_of_the_file(tmp_path: Path) -> None:
    packed = gzip.compress(line(1).encode() * 100)
    (tmp_path / "a.jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: its gzip is damaged"):
        rows(tmp_path)


def test_a_gzip_that_swells_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b" " * 30_000_000))
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        rows(tmp_path)


def test_a_long_line_is_passed_over_and_a_long_value_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line(1, "x" * 10 * 2**20) + line(2))
    assert [row["problem"] for row in rows(tmp_path)] == [None, None]
    first, second = rows(tmp_path, longest_line_mib=1)
    assert (first["problem"], second["size"]) == ("line too long", "2")


def test_which_files_are_read_is_a_setting(tmp_path: Path) -> None:
    for name in ("train.json", "more/test.jsonl", "other.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(line(1, part="train"))
    assert [row["source"] for row in rows(tmp_path)] == ["other.jsonl"]
    assert [row["source"] for row in rows(tmp_path, files=["*.json", "**/t*.jsonl"])] == [
        "more/test.jsonl",
        "train.json",
    ]
    assert [row["source"] for row in rows(tmp_path / "train.json")] == ["train.json"]


def test_a_link_out_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "b.jsonl").write_text(line(1))
    (tmp_path / "set" / "a.jsonl").symlink_to(tmp_path / "b.jsonl")
    with pytest.raises(DataError, match=r"set/a\.jsonl: link out of the folder.*take it out of `files`"):
        rows(tmp_path / "set")


def test_a_single_file_has_no_pictures_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line(1))
    wanted = Wanted(("no", "yes"), (WantedFeature("image", "image", "size"),))
    with pytest.raises(UsageError, match=r"data\.path: is a file; pictures need a folder"):
        rows(tmp_path / "a.jsonl", wanted)


def test_it_recognises_its_files(tmp_path: Path) -> None:
    assert jsonl.recognise(tmp_path) is None
    (tmp_path / "a.ndjson").write_text(line(1))
    assert jsonl.recognise(tmp_path) == {}
    assert jsonl.recognise(tmp_path / "a.ndjson") == {}
    (tmp_path / "1.png").write_bytes(b"")
    assert jsonl.recognise(tmp_path) is None


@given(st.lists(st.sampled_from([line(1), line(2.5, "é"), "{\n", "\n", "[1]\n", line([1])]), max_size=40))
def test_every_line_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.mktemp("lines")
    (folder / "a.jsonl").write_text(line(0) + "".join(lines))
    assert [row["row"] for row in rows(folder)] == list(range(1, len(lines) + 2))
