"""A served folder is read only if it is whole, and written only where nothing else is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.export.served import golden_rows, read_served, require_replaceable
from tests.export.served_folder import ANSWERS, COLUMNS, make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "served"


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what stands in the folder's record."""
    path = folder / "model.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_what_is_whole_is_read_as_it_was_written(folder: Path) -> None:
    written = make(folder)
    assert read_served(folder) == written
    assert written.format("onnx") == written.formats[1]
    assert written.format("litert") is None


def test_golden_rows_come_back_with_their_answers(folder: Path) -> None:
    make(folder)
    columns, answers = golden_rows(folder)
    np.testing.assert_array_equal(answers, ANSWERS)
    assert columns["picture"].dtype == np.uint8
    np.testing.assert_array_equal(columns["picture"], COLUMNS["picture"])
    assert columns["word"].tolist() == ["a", "", "é"]


@pytest.mark.parametrize("path", ["onnx/model.onnx", "saved_model/1/saved_model.pb", "golden/answers.npy"])
def test_a_file_with_other_bytes_is_refused_by_its_path(folder: Path, path: str) -> None:
    make(folder)
    (folder / path).write_bytes(b"swapped")
    with pytest.raises(DataError, match=rf"{path}: its bytes do not match the digest in model.json; export it again"):
        read_served(folder)


@pytest.mark.parametrize("path", ["onnx/model.onnx", "golden/word.json"])
def test_a_missing_file_is_refused_by_its_path(folder: Path, path: str) -> None:
    make(folder)
    (folder / path).unlink()
    with pytest.raises(DataError, match=rf"{path}: missing, so the served model is not whole"):
        read_served(folder)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "onnx/../../outside", "", "a\\b", "./a", "a//b"])
@pytest.mark.parametrize("where", ["files", "golden_files", "path"])
def test_a_path_that_leaves_the_folder_is_refused(folder: Path, path: str, where: str) -> None:
    make(folder)
    (folder.parent / "outside").write_text("secret")

    def change(values: dict[str, Any]) -> None:
        if where == "golden_files":
            values["golden_files"][path] = "sha256:0"
        elif where == "files":
            values["formats"][0]["files"][path] = "sha256:0"
        else:
            values["formats"][0]["path"] = path

    changed(folder, change)
    with pytest.raises(DataError, match="is no path inside the folder"):
        read_served(folder)


def test_a_link_that_leaves_the_folder_is_refused(folder: Path) -> None:
    make(folder)
    outside = folder.parent / "outside"
    outside.write_bytes((folder / "onnx/model.onnx").read_bytes())  # it even has the digest
    (folder / "onnx/model.onnx").unlink()
    (folder / "onnx/model.onnx").symlink_to(outside)
    with pytest.raises(DataError, match="a link that leaves the served folder"):
        read_served(folder)


def test_a_form_without_a_file_at_its_path_is_refused(folder: Path) -> None:
    make(folder)
    changed(folder, lambda values: values["formats"][1].update(path="onnx/other.onnx"))
    with pytest.raises(DataError, match=r"onnx has no file at onnx/other\.onnx; export it again"):
        read_served(folder)


def test_two_forms_of_one_name_are_refused(folder: Path) -> None:
    make(folder)
    changed(folder, lambda values: values["formats"][1].update(name="saved_model"))
    with pytest.raises(DataError, match="two have the same name"):
        read_served(folder)


def test_a_folder_without_a_record_is_no_served_model(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"it has no model\.json; make one by `ratchet export --to`"):
        read_served(tmp_path)


@pytest.mark.parametrize(("name", "content"), [("word.json", b"{}"), ("word.json", b"\xff"), ("answers.npy", b"none")])
def test_golden_rows_that_are_none_are_refused(folder: Path, name: str, content: bytes) -> None:
    make(folder)
    (folder / "golden" / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: no "):
        golden_rows(folder)


def test_golden_rows_that_do_not_fit_their_answers_are_refused(folder: Path) -> None:
    make(folder)
    np.save(folder / "golden" / "answers.npy", ANSWERS[:2])
    with pytest.raises(DataError, match="rows and answers do not fit each other"):
        golden_rows(folder)


def test_what_is_not_a_served_model_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds something else than a served model"):
        require_replaceable(tmp_path / "precious")
    with pytest.raises(UsageError, match="no folder"):
        require_replaceable(tmp_path / "precious/thesis.txt")


def test_nothing_an_empty_folder_and_a_served_model_are_replaced(tmp_path: Path, folder: Path) -> None:
    make(folder)
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "absent", tmp_path / "empty", folder):
        require_replaceable(path)
