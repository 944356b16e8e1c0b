"""Which source is taken for what is at a path."""

from __future__ import annotations

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
