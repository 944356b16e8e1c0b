"""Dialects that are found: those in which all first records have the same number of values."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.csv_sniffing import dialect_of
from tests.data.csv_files import write


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a,b\n1,2\n", {}),
        ("\ufeffa,b\n1,2", {}),
        ("a;b\n1,5;2\n3;4\n", {"delimiter": ";"}),
        ("a\tb\n1\t2\n", {"delimiter": "\t"}),
        ('a|b\n"1\n|,;"|2\n', {"delimiter": "|"}),
        ("a,é\n1,2\n".encode("cp1252"), {"encoding": "cp1252"}),
        (gzip.compress(b"a,b\n1,2\n"), {}),
        ("one\ntwo\n", None),
        ("a,b\n1\n", None),
        ("", None),
        (b"\0,\0\n\0,\0\n", None),
    ],
)
def test_a_dialect_is_found_or_not(tmp_path: Path, content: str | bytes, found: dict[str, Any] | None) -> None:
    assert dialect_of(write(tmp_path / "a.csv", content)) == found


def test_a_file_that_cannot_be_read_has_none(tmp_path: Path) -> None:
    assert dialect_of(tmp_path / "a.csv") is None


def test_a_large_file_is_judged_by_its_begin(tmp_path: Path) -> None:
    assert dialect_of(write(tmp_path / "a.csv", "a;b\n" + "1;2\n" * 1_000_000)) == {"delimiter": ";"}
