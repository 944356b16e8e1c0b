"""Documents in class folders: what a path says, what a text may hold, what is refused before a run."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from pipeline.data.source_rows import NothingThere, Source
from pipeline.data.sources import text_folder
from pipeline.data.sources.text_folder import Settings
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError, UsageError
from pipeline.recipe.recipe import Roles

CLASSES = ("ham", "spam")


def write(folder: Path, **documents: str | bytes) -> Path:
    for name, document in documents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document.encode() if isinstance(document, str) else document)
    return folder


def opened(folder: Path, classes: tuple[str, ...] = CLASSES, **settings: Any) -> Source:
    return text_folder.open_source(Settings.model_validate(settings), folder, Wanted(classes))


def rows(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    return pa.concat_tables(list(opened(folder, **settings).tables)).to_pylist()


def test_a_document_has_the_class_of_its_folder_and_the_part_above(tmp_path: Path) -> None:
    write(
        tmp_path, spam__1="a", test__ham__sub__2="b", loose="c", unlabelled__3="d", Validation__spam__4="e", jam__5="f"
    )
    found = {row["source"]: (row["part"], row["label"], row["text"]) for row in rows(tmp_path)}
    assert found == {
        "Validation/spam/4": ("validation", 1, "e"),
        "jam/5": ("train", -1, "f"),
        "loose": ("train", None, "c"),
        "spam/1": ("train", 1, "a"),
        "test/ham/sub/2": ("test", 0, "b"),
        "unlabelled/3": ("train", None, "d"),
    }
    assert (opened(tmp_path).rows, opened(tmp_path).test_rows) == (6, 1)
    [jam] = [row for row in rows(tmp_path) if row["label"] == -1]
    assert jam["detail"] == "'jam' is none of data.classes (did you mean 'ham'?)"


@pytest.mark.parametrize(
    "text",
    ["one\r\ntwo\n", " ", "x" * 1_000_000, "\u200f\u05d0\u05d1 \u200b\u2060", "=cmd|'/c calc'!A0", "😀\u0301", "NULL"],
)
def test_a_text_is_all_that_the_file_holds(tmp_path: Path, text: str) -> None:
    assert [row["text"] for row in rows(write(tmp_path, spam__1=text))] == [text]


@pytest.mark.parametrize(
    ("content", "problem", "detail"),
    [
        (b"", "empty", None),
        (b"caf\xe9", "bytes that are no text", "byte 4 is 0xe9, which is not utf-8"),
        (b"a\xed\xa0\x80", "bytes that are no text", "byte 2 is 0xed, which is not utf-8"),
        (b"a\0b", "holds a NUL character", "byte 2"),
        ("abc".encode("utf-16"), "holds a NUL character", "byte 4"),
    ],
)
def test_what_is_no_text_comes_with_its_problem(
    tmp_path: Path, content: bytes, problem: str, detail: str | None
) -> None:
    good, bad = rows(write(tmp_path, ham__1="good", spam__2=content))
    assert (good["problem"], good["text"]) == (None, "good")
    assert (bad["problem"], bad["detail"], bad["text"], bad["label"]) == (problem, detail, None, 1)


def test_the_encoding_is_declared_and_never_guessed(tmp_path: Path) -> None:
    write(tmp_path, spam__1="\u201ccafé\u201d".encode("cp1252"), spam__2=b"\x81", spam__3=b"\xef\xbb\xbfa")
    assert [row["text"] for row in rows(tmp_path)] == [None, None, "a"]
    assert [row["text"] for row in rows(tmp_path, encoding="cp1252")] == ["“café”", None, "ï»¿a"]
    assert [row["text"] for row in rows(tmp_path, encoding="latin-1")] == ["\x93café\x94", "\x81", "ï»¿a"]
    [_, bad, _] = rows(tmp_path, encoding="cp1252")
    assert bad["detail"] == "byte 1 is 0x81, which is not cp1252"


def test_links_and_devices_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", spam__1="a", spam__README="of another program")
    write(tmp_path, outside="secret")
    (folder / "spam/2").symlink_to(tmp_path / "outside")
    (folder / "spam/3").symlink_to("nowhere")
    os.mkfifo(folder / "spam/4")
    (folder / "spam/5").symlink_to(folder / "spam/1")
    assert [(row["source"], row["problem"], row["text"]) for row in rows(folder)] == [
        ("spam/1", None, "a"),
        ("spam/2", "link out of the folder", None),
        ("spam/3", "link that leads nowhere", None),
        ("spam/4", "neither file nor folder", None),
        ("spam/5", None, "a"),
    ]


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, spam__1="x" * 2**20, spam__2="x" * (2**20 + 1))
    assert [row["problem"] for row in rows(tmp_path, largest_file_mib=1)] == [None, "file too large"]


def test_nothing_there_and_an_empty_class_are_errors(tmp_path: Path) -> None:
    with pytest.raises(NothingThere, match="nothing in it; expected a folder for each class, with documents"):
        opened(tmp_path)
    write(tmp_path, spam__1="a")
    (tmp_path / "eggs").mkdir()
    with pytest.raises(DataError, match="/eggs: a class folder without a file; remove it, put files into it"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "roles", [Roles(id="name"), Roles(group="a"), Roles(time="at"), Roles(weight="w"), Roles(slices=("a",))]
)
def test_a_role_is_refused_when_the_recipe_is_checked(roles: Roles) -> None:
    recipe = SimpleNamespace(data=SimpleNamespace(roles=roles, classes=CLASSES))
    with pytest.raises(UsageError, match=r"data\.roles: text_folder has no columns"):
        text_folder.check(Settings(), recipe)


def test_a_number_is_no_class_folder() -> None:
    recipe = SimpleNamespace(data=SimpleNamespace(roles=Roles(), classes=()))
    with pytest.raises(UsageError, match=r"data\.classes: is empty, and text_folder's folders are classes"):
        text_folder.check(Settings(), recipe)


def test_it_recognises_folders_of_documents_only(tmp_path: Path) -> None:
    assert text_folder.recognise(write(tmp_path / "a", spam__1="a", ham__2="b")) == {}
    assert text_folder.recognise(write(tmp_path / "b", train__1="a", test__2="b")) is None
    assert text_folder.recognise(write(tmp_path / "c", a__1=b"\x89PNG\r\n\x1a\n\0\0", b__2="b")) is None
    assert text_folder.recognise(write(tmp_path / "d", **{"a__1.csv": "a,b", "b__2.json": "{}"})) is None
    assert text_folder.recognise(write(tmp_path / "e", a__1=b"caf\xe9", b__2="plain")) == {"encoding": "latin-1"}
    assert text_folder.recognise(write(tmp_path / "f", a__1=b"caf\xe9", b__2="é", b__3="ö")) == {}
    assert text_folder.recognise(tmp_path / "a" / "spam" / "1") is None
