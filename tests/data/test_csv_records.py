"""Records of delimited text: found at once and one by one they are the same, however the text is cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.data import csv_pieces
from pipeline.data.csv_pieces import pieces
from pipeline.data.csv_records import CODES, FINE, LARGE, QUOTES, RETURN, WRONG, One, Rules, one_record

QUOTE, COMMA = ord('"'), ord(",")
RULES = Rules(COMMA, QUOTE, 2, 2**20)
# What is hard about delimited text, close together.
TEXTS = st.text('a,"\r\n', max_size=60)
WELL_FORMED = st.lists(st.lists(st.text('a,"\r\n é', max_size=6), min_size=2, max_size=2), max_size=12)


class Bytes:
    """A stream of some content."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._content.read(size)


def one_by_one(content: bytes, rules: Rules) -> list[tuple[bytes, int]]:
    """Return the records by the definition alone."""
    if content and not content.endswith(b"\n"):
        content += b"\n"
    found, begin = [], 0
    while begin < len(content):
        one = one_record(content, begin, rules, is_all=True)
        assert one is not None
        after = one.next if one.next > 0 else content.index(b"\n", begin) + 1
        found.append((content[begin : one.end][:100] if one.next < 0 else content[begin : one.end], one.code))
        begin = after
    return found


def at_once(content: bytes, rules: Rules, piece_bytes: int) -> list[tuple[bytes, int]]:
    found = []
    for piece in pieces(Bytes(content), rules, piece_bytes):  # type: ignore[arg-type]
        for begin, end, code in zip(piece.begins, piece.ends, piece.codes, strict=True):
            found.append((piece.content[begin:end], int(code)))
    return found


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(1, 70), st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 5, 2**20]), st.booleans())
@example('a,"\na,a\n', 3, 2, 2**20, True)
@example('"""a""",a\r\n', 2, 2, 2**20, True)
@example('a\r"a"\n', 70, 2, 2**20, True)
def test_records_are_the_same_whatever_the_pieces(
    text: str, piece_bytes: int, columns: int, largest: int, with_quotes: bool
) -> None:
    rules = Rules(COMMA, QUOTE if with_quotes else None, columns, largest)
    expected = one_by_one(text.encode(), rules)
    with pytest.MonkeyPatch.context() as patch:  # that all ways are taken in short texts, too
        patch.setattr(csv_pieces, "_SMALLEST_WINDOW", 1 + piece_bytes // 3)
        patch.setattr(csv_pieces, "_LARGEST_WINDOW", 1 + piece_bytes // 2)
        patch.setattr(csv_pieces, "_MANY", 1 + piece_bytes % 3)
        patch.setattr(csv_pieces, "_MOST_ALONE", 2)
        found = at_once(text.encode(), rules, piece_bytes)
    assert [code for _, code in found] == [code for _, code in expected]
    assert [text[:100] for text, _ in found] == [text[:100] for text, _ in expected]


@pytest.mark.long
@settings(max_examples=100, deadline=None)
@given(
    WELL_FORMED,
    st.integers(1, 70),
    st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
)
def test_what_a_writer_writes_is_read_as_its_records(
    rows: list[list[str]], piece_bytes: int, written_with: tuple[str, int]
) -> None:
    line_end, quoting = written_with
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=line_end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    found = at_once(written.getvalue().encode(), RULES, piece_bytes)
    assert [code for _, code in found] == [FINE] * len(rows)
    assert [next(csv.reader([text.decode()], strict=True)) for text, _ in found] == rows


def codes(text: str, rules: Rules = RULES) -> Sequence[tuple[bytes, int]]:
    found = at_once(text.encode(), rules, 7)
    assert found == at_once(text.encode(), rules, 2**20)
    return found


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('a,"b', QUOTES), ('a,b"', QUOTES), ('a,5" pipe', QUOTES), ('"a"b,c', QUOTES), ('"a" ,b', QUOTES),
        ("a", WRONG), ("a,b,c", WRONG), ("", WRONG), ('"a,b"', WRONG), ("a\rb,c", RETURN), ('a,"b"\rc', QUOTES),
        ('"a ""b""",""', FINE), (",", FINE), ('"",""', FINE), ('"a\nb",c', FINE), ('"a\r\nb",c', FINE),
        ("=cmd|' /C calc'!A0,b", FINE),
    ],
)  # fmt: skip
def test_a_line_that_is_no_record_spoils_no_other(line: str, code: int) -> None:
    assert codes(f"x,y\n{line}\nz,z\nw,w\n") == [
        (b"x,y", FINE), (line.encode(), code), (b"z,z", FINE), (b"w,w", FINE),
    ]  # fmt: skip


def test_a_quote_that_is_never_closed_spoils_its_own_line_alone() -> None:
    lines = ["a,b", 'a,"b', *["c,d"] * 1000, 'e,"f"', *["g,h"] * 1000]
    assert [code for _, code in codes("\n".join(lines))] == [FINE, QUOTES] + [FINE] * 2001


def test_quotes_that_lead_over_lines_to_another_number_of_values_spoil_the_first_line_alone() -> None:
    assert codes('"a\nb,c\n"\nd,e\n') == [(b'"a', WRONG), (b"b,c", FINE), (b'"', QUOTES), (b"d,e", FINE)]


def test_a_value_that_is_too_large_is_one_row() -> None:
    rules = Rules(COMMA, QUOTE, 2, 10)
    large, text = "x" * 11, '"' + "x\n" * 6 + '"'
    assert codes(f"a,b\n{large},b\n{text},c\na,{'y' * 10}\n", rules) == [
        (b"a,b", FINE), (f"{large},b".encode(), LARGE), (f"{text},c".encode(), LARGE), (b"a,yyyyyyyyyy", FINE),
    ]  # fmt: skip


def test_a_line_without_an_end_in_sight_is_one_row_of_which_the_begin_is_kept() -> None:
    rules = Rules(COMMA, QUOTE, 2, 10)
    assert codes(f"a,b\n{'x' * 1000}\nc,d", rules) == [(b"a,b", FINE), (b"x" * 101, LARGE), (b"c,d", FINE)]


def test_more_content_is_asked_for_only_where_it_decides() -> None:
    assert one_record(b"a,b\nc", 0, RULES, is_all=False) == One(3, 4, FINE, 2)
    assert one_record(b"a,b", 0, RULES, is_all=False) is None
    assert one_record(b'a,"b"', 0, RULES, is_all=False) is None
    assert one_record(b'a,"b\n', 0, RULES, is_all=False) is None
    assert one_record(b"a,b\r", 0, RULES, is_all=False) is None


def test_every_code_is_a_problem_of_its_own() -> None:
    assert len(set(CODES)) == len(CODES)
