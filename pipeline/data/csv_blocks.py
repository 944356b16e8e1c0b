"""Delimited text as blocks of texts: every record of a file is a row, in its order, whatever it holds.

Which rows are bad is decided by `csv_records`, and by whether their bytes are text, from all of a line: it does not
depend on the columns that are asked for. Only what is left is parsed, by Arrow, as text. A file is never in memory as a
whole.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as arrow_csv

from pipeline.data.csv_pieces import Piece, pieces
from pipeline.data.csv_records import BYTES, CODES, FINE, LARGE, NUL, WRONG, Rules, one_record
from pipeline.data.delimited_files import Bounds, FileState, Stream, opened
from pipeline.data.table_rows import Block
from pipeline.errors import Bug, DataError, printable
from pipeline.recipe.table_source import Dialect

PIECE_BYTES = 4 * 2**20  # that are read at once
_BOM = b"\xef\xbb\xbf"
_OTHER_UNICODE = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_SHOWN_BYTES = 100
_LIKE_A_NUMBER = re.compile(r"\s*[+-]?[0-9]+([.,][0-9]+)?\s*")
_LIKE_DELIMITERS = ",;\t|"


class OpenedCsv:
    """A file whose header has been read: `names` are its columns, `shown` is what it is called."""

    def __init__(self, path: Path, shown: str, dialect: Dialect, bounds: Bounds) -> None:
        """Read a file's header; raise DataError if it has none, or no rows, or if it cannot be understood.

        `shown` is what the rows and messages call it.
        """
        self._path, self.shown, self._dialect, self._bounds = path, shown, dialect, bounds
        self._state: FileState
        with opened(path, shown, bounds) as stream:
            self._state = stream.state
            rules = _rules(dialect, None)
            content, is_all = self._head(stream, rules)
            if not content:
                raise DataError(f"{shown}: is empty")
            begin = len(_BOM) if dialect.encoding == "utf-8" and content.startswith(_BOM) else 0
            first, self._data_begin = self._first_record(content, begin, rules, is_all)
            if dialect.header is True:
                self.names = self._header(first)
                if len(content) <= self._data_begin:
                    raise DataError(f"{shown}: has a header and no rows")
            else:
                self._data_begin, self.names = begin, list(dialect.header)
                if first == self.names:
                    raise DataError(f"{shown}: its first line has the names of data.source's header; set header: true")

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Yield the file's rows with some of its columns; raise DataError if the file has changed."""
        rules = _rules(self._dialect, len(self.names))
        first = 1
        with opened(self._path, self.shown, self._bounds) as stream:
            stream.require_unchanged(self._state)
            stream.read(self._data_begin)
            for piece in pieces(stream, rules, PIECE_BYTES):
                yield self._block(piece, first, columns)
                first += len(piece.codes)
            stream.require_unchanged(self._state)

    @property
    def doubt(self) -> str:
        """What may be wrong if a column is missing, as a clause; empty if nothing seems to be."""
        if self._dialect.header is True and any(_LIKE_A_NUMBER.fullmatch(name) for name in self.names):
            return "; its first line looks like a row: if it has no header, name its columns in header: [...]"
        delimiters = [sign for sign in _LIKE_DELIMITERS if sign in self.names[0]]
        if len(self.names) == 1 and delimiters:
            return f"; is its delimiter {delimiters[0]!r}?"
        return ""

    def _head(self, stream: Stream, rules: Rules) -> tuple[bytes, bool]:
        content = stream.read(rules.longest + PIECE_BYTES)
        if content.startswith(_OTHER_UNICODE):
            raise DataError(f"{self.shown}: is UTF-16 or UTF-32; save it as UTF-8")
        is_all = len(content) < rules.longest + PIECE_BYTES
        bare = content.removeprefix(_BOM) if self._dialect.encoding == "utf-8" else content
        if not bare:
            return b"", True
        return (content if content.endswith(b"\n") or not is_all else content + b"\n"), is_all

    def _first_record(self, content: bytes, begin: int, rules: Rules, is_all: bool) -> tuple[list[str], int]:
        """Return the values of the first record, and where the next begins."""
        found = one_record(content, begin, rules, is_all)
        if found is None or found.code != FINE:
            if self._dialect.header is not True:
                return [], begin
            problem = CODES[found.code] if found else CODES[LARGE]
            raise DataError(f"{self.shown}: its header cannot be read: {problem}; the first line names the columns")
        raw = content[begin : found.end]
        try:
            text = raw.decode(self._dialect.encoding)
            [values] = list(csv.reader([text], _dialect_of(self._dialect))) or [[]]
        except (UnicodeDecodeError, csv.Error, ValueError) as error:
            if self._dialect.header is not True:
                return [], begin
            raise DataError(f"{self.shown}: its header cannot be read: {error}; is it right encoded?") from error
        return values, found.next

    def _header(self, names: list[str]) -> list[str]:
        if not names or names == [""]:
            raise DataError(f"{self.shown}: its first line, which names the columns, is empty")
        if any("\0" in name for name in names):
            raise DataError(f"{self.shown}: no CSV: its header holds a zero byte; is it the right file?")
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            doubt = ", or name all in header: [...]" if any(map(_LIKE_A_NUMBER.fullmatch, names)) else ""
            raise DataError(f"{self.shown}: two columns are called {twice!r}; rename one{doubt}")
        return names

    def _block(self, piece: Piece, first: int, columns: Sequence[str]) -> Block:
        codes = _with_content(piece, self._dialect.encoding)
        rows = pa.array(np.arange(first, first + len(codes), dtype=np.int64))
        good = codes == FINE
        names = list(columns) or self.names[:1]
        if good.all():
            return Block(self.shown, self._parsed(piece.content[_begin(piece) : piece.end], len(codes), names), rows)
        table = self._parsed(_joined(piece, good), int(good.sum()), names)
        places = pa.array(np.maximum(np.cumsum(good) - 1, 0), mask=~good)
        problems = pa.array([CODES[code] for code in codes.tolist()], pa.string())
        details = [None if code == FINE else self._detail(piece, row) for row, code in enumerate(codes.tolist())]
        return Block(self.shown, table.take(places), rows, problems, pa.array(details, pa.string()))

    def _detail(self, piece: Piece, row: int) -> str:
        raw = piece.content[piece.begins[row] : piece.ends[row]]
        text = raw[:_SHOWN_BYTES].decode(self._dialect.encoding, "backslashreplace")
        shown = printable(text) + ("…" if len(raw) > _SHOWN_BYTES else "")
        quote = self._dialect.quote
        if piece.codes[row] == WRONG and (quote is None or quote.encode() not in raw):
            values = raw.count(self._dialect.delimiter.encode()) + 1
            return f"{values if raw else 0} in place of {len(self.names)}: {shown}"
        return shown

    def _parsed(self, content: bytes, rows: int, columns: Sequence[str]) -> pa.Table:
        """Return the texts of records that are all fine."""
        if not rows:
            return pa.table({name: pa.array([], pa.string()) for name in columns})
        dialect = self._dialect
        if dialect.encoding != "utf-8":
            content = content.decode(dialect.encoding).encode()
        guard = dialect.delimiter.encode() * (len(self.names) - 1) + b"\n"  # else Arrow takes U+FEFF off a first value
        if content.startswith(_BOM):
            content, rows = guard + content, rows + 1
        else:
            guard = b""
        read = arrow_csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=self.names)
        parse = arrow_csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=dialect.quote if dialect.quote is not None else False,
            double_quote=dialect.quote is not None,
            escape_char=False,
            newlines_in_values=dialect.quote is not None and dialect.quote.encode() in content,
            ignore_empty_lines=False,
        )
        convert = arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            include_columns=list(columns),
            null_values=[],
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        )
        table = arrow_csv.read_csv(pa.BufferReader(content), read, parse, convert)
        if table.num_rows != rows:
            raise Bug(f"{self.shown}: {rows} records were found, and {table.num_rows} parsed")
        return table.slice(1) if guard else table


def _rules(dialect: Dialect, columns: int | None) -> Rules:
    quote = None if dialect.quote is None else ord(dialect.quote)
    return Rules(ord(dialect.delimiter), quote, columns, dialect.largest_cell_bytes)


def _dialect_of(dialect: Dialect) -> type[csv.Dialect]:
    class Its(csv.Dialect):
        delimiter = dialect.delimiter
        quotechar = dialect.quote
        quoting = csv.QUOTE_NONE if dialect.quote is None else csv.QUOTE_MINIMAL
        lineterminator = "\n"
        strict = True

    return Its


def _begin(piece: Piece) -> int:
    return int(piece.begins[0])


def _joined(piece: Piece, good: npt.NDArray[np.bool_]) -> bytes:
    """Return the bytes of the records that are good, one after the other."""
    edges = np.flatnonzero(np.diff(good, prepend=False, append=False))
    bounds = np.append(piece.begins, piece.end)[edges].tolist()
    return b"".join(piece.content[begin:end] for begin, end in zip(bounds[::2], bounds[1::2], strict=True))


def _with_content(piece: Piece, encoding: str) -> npt.NDArray[np.int8]:
    """Return the records' codes, and of those that are fine so far, whether their bytes are text without NUL."""
    codes, content, begin = piece.codes, piece.content, _begin(piece)
    has_nul, is_text = content.find(b"\0", begin, piece.end) >= 0, _is_text(content[begin : piece.end], encoding)
    if is_text and not has_nul:
        return codes
    codes = codes.copy()
    array = np.frombuffer(content, np.uint8, piece.end)
    if has_nul:
        at = np.searchsorted(piece.begins, np.flatnonzero(array == 0), side="right") - 1
        at = at[at >= 0]
        codes[at[codes[at] == FINE]] = NUL
    if not is_text:
        at = np.unique(np.searchsorted(piece.begins, np.flatnonzero(array >= 0x80), side="right") - 1)
        for row in at[at >= 0].tolist():
            if codes[row] == FINE and not _is_text(content[piece.begins[row] : piece.ends[row]], encoding):
                codes[row] = BYTES
    return codes


def _is_text(content: bytes, encoding: str) -> bool:
    if content.isascii():
        return True
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
