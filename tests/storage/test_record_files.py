"""A record's file is written as the record says, and read through it alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import DataError, StorageError
from pipeline.records.identity import Identity
from pipeline.storage.record_files import find_record, read_record, write_record

IDENTITY = Identity(name="digits", version=3, digest="sha256:00")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_record(tmp_path / "identity.json", IDENTITY)
    assert read_record(tmp_path / "identity.json", Identity) == IDENTITY


def test_a_file_that_is_not_there_is_an_input_output_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"identity\.json: cannot be read"):
        read_record(tmp_path / "identity.json", Identity)


def test_a_record_that_may_be_missing_is_none(tmp_path: Path) -> None:
    assert find_record(tmp_path / "identity.json", Identity) is None


def test_a_record_that_may_be_missing_is_found(tmp_path: Path) -> None:
    write_record(tmp_path / "identity.json", IDENTITY)
    assert find_record(tmp_path / "identity.json", Identity) == IDENTITY


@pytest.mark.parametrize("read", [read_record, find_record])
def test_a_file_that_is_no_such_record_is_refused_with_its_name(tmp_path: Path, read: Callable[..., object]) -> None:
    (tmp_path / "identity.json").write_text('{"name": "digits"}')
    with pytest.raises(DataError, match=r"identity\.json: version: "):
        read(tmp_path / "identity.json", Identity)
