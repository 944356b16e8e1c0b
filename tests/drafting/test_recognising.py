"""Which source is taken for what is at a path."""

from __future__ import annotations

import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.drafting.recognising import recognise
from pipeline.errors import DataError, UsageError
from tests.system.project import write_digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "digits"
    write_digits(folder)
    return folder


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for name in ("oak", "ash"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def test_a_folder_of_idx_files_is_idx(digits: Path) -> None:
    found = recognise(digits)
    assert (found.choice.name, found.choice.settings, found.others) == ("idx", {}, ())


def test_a_folder_of_class_folders_is_an_image_folder(photographs: Path) -> None:
    assert recognise(photographs).choice.name == "image_folder"


def test_the_settings_come_with_it_whether_it_is_named_or_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("set/oak/1.png", "set/ash/1.png"):
            archive.writestr(name, b"\x89PNG\r\n\x1a\n")
    for name in (None, "archive"):
        found = recognise(tmp_path / "set.zip", name)
        assert (found.choice.name, found.choice.settings) == ("archive", {"below": "set"})


def test_where_several_could_read_it_the_first_by_name_does_and_the_others_are_told(digits: Path) -> None:
    for name in ("oak", "ash"):
        (digits / name).mkdir()
        (digits / name / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = recognise(digits)
    assert (found.choice.name, found.others) == ("idx", ("image_folder",))
    assert recognise(digits, "image_folder").choice.name == "image_folder"


def test_settings_that_are_given_lie_over_those_that_are_found(photographs: Path) -> None:
    found = recognise(photographs, settings={"class_folder": "innermost"})
    assert found.choice.settings == {"class_folder": "innermost"}
    with pytest.raises(UsageError, match=r"class_foldr'.*did you mean .*class_folder'"):
        recognise(photographs, settings={"class_foldr": "innermost"})


def test_what_no_source_recognises_is_refused_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(DataError, match=r"no source recognises what is there .*idx.*--source NAME"):
        recognise(tmp_path)


def test_a_source_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--source: no source 'image_foldr'.*did you mean 'image_folder'"):
        recognise(tmp_path, "image_foldr")


def dated(folder: Path, *names: str) -> Path:
    """Write a picture under each name below folders of January and February."""
    for month in ("2024-01-01", "2024-02-01"):
        for name in names:
            (folder / month / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / month / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_folders_named_by_date_are_snapshots_where_the_newest_is_a_source_of_its_own(tmp_path: Path) -> None:
    found = recognise(dated(tmp_path, "oak/1.png", "ash/1.png"))
    assert (found.choice.name, found.snapshot) == ("image_folder", tmp_path / "2024-02-01")


def test_folders_named_by_date_are_classes_where_pictures_stand_in_them(tmp_path: Path) -> None:
    found = recognise(dated(tmp_path, "1.png", "2.png"))
    assert (found.choice.name, found.snapshot) == ("image_folder", None)
    assert recognise(tmp_path, "image_folder").snapshot is None


@pytest.mark.parametrize("name", [None, "jdbc"])
def test_a_query_and_a_database_are_said_to_be_written_by_hand_and_how(tmp_path: Path, name: str | None) -> None:
    (tmp_path / "flights.sql").write_text("SELECT * FROM flights")
    with closing(sqlite3.connect(tmp_path / "flights.db")) as connection:
        connection.execute("CREATE TABLE flights (x)")
    with pytest.raises(DataError) as raised:
        recognise(tmp_path, name)
    said = str(raised.value)
    assert said == (
        f"{tmp_path}: flights.sql is for source jdbc, of which no draft can be made; write by hand data.source: "
        "{name: jdbc, settings: {url: 'jdbc:sqlite:flights.db', query: flights.sql, watermark: …, target: …, "
        "known_at: …}} (docs/data.md, jdbc)"
    )


def test_a_query_or_a_database_alone_is_known_too(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1")
    with pytest.raises(
        DataError, match=r"a\.sql is for source jdbc.*url: 'jdbc:postgresql://HOST/DATABASE', query: a\.sql"
    ):
        recognise(tmp_path)
    (tmp_path / "a.sql").unlink()
    (tmp_path / "b").write_bytes(b"SQLite format 3\0")
    with pytest.raises(DataError, match=r"b is for source jdbc.*url: 'jdbc:sqlite:b', query: query\.sql"):
        recognise(tmp_path)


def test_what_a_source_reads_is_not_to_be_written_by_hand_for_a_query_beside_it(photographs: Path) -> None:
    (photographs / "a.sql").write_text("SELECT 1")
    assert recognise(photographs).choice.name == "image_folder"
