"""SQL of a source's query: that it is one SELECT, and the statements that are made of it.

The text alone cannot prove that a query writes nothing: the database does that, in a transaction that may only read.
It is looked at first, so that what is wrong is told with its line, before anything is connected to.

Every value comes as text of digits alone, so that nothing in it can be taken for a delimiter: `n`, missing; `t`, `i`
or `b` and the bytes of the value's text, in hexadecimal; a number with a point, as Java writes it, of SQLite's reals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from pipeline.errors import UsageError

_WRITES = frozenset((
    "alter", "analyze", "attach", "call", "copy", "create", "delete", "detach", "drop", "grant", "insert", "into",
    "lock", "merge", "pragma", "reindex", "revoke", "set", "truncate", "update", "vacuum",
))  # fmt: skip
_CHANGES = frozenset((
    "clock_timestamp", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "now",
    "random", "randomblob", "gen_random_uuid", "statement_timestamp", "timeofday", "transaction_timestamp",
))  # fmt: skip
# Where a comment, a name and a dollar quote end, as the database itself reads them: for PostgreSQL a carriage return
# ends a line, and every character beyond ASCII is a letter (its scan.l: comment, ident_start, dolqdelim).
_LETTER = r"A-Za-z_\u0080-\U0010ffff"
_TOKENS = {
    "sqlite": re.compile(
        r"(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<text>'(?:[^']|'')*')"
        r"|(?P<name>\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\])|(?P<word>[^\W\d][\w$]*)|(?P<sign>\S)",
        re.S,
    ),
    "postgresql": re.compile(
        r"(?P<comment>--[^\n\r]*|/\*.*?\*/)"
        rf"|(?P<text>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*)?)\$.*?\$(?P=tag)\$)"
        rf"|(?P<name>\"(?:[^\"]|\"\")*\")|(?P<word>[{_LETTER}][{_LETTER}0-9$]*)|(?P<sign>\S)",
        re.S,
    ),
}


class Watermark(NamedTuple):
    """The column that pins a query: rows up to a value, or before a day's end, are read."""

    column: str
    at_most: float | int | str | None
    as_of: date | None


def require_one_select(query: str, database: str, where: str) -> str:
    """Return a query without a semicolon at its end; raise UsageError, naming the line, unless it is one SELECT."""
    text = query.strip().removeprefix("\ufeff").rstrip()
    tokens = list(_tokens(text, database))
    while tokens and tokens[-1][1] == ";":
        text = text[: tokens.pop()[2]]

    def refuse(at: int, what: str) -> UsageError:
        return UsageError(f"{where}:{text.count(chr(10), 0, at) + 1}: {what}")

    if not tokens or tokens[0][1].lower() not in ("select", "with"):
        raise refuse(0, f"begins with {tokens[0][1][:40]!r}" if tokens else "is empty; one SELECT is needed")
    depth = 0
    for at in _nested_comments(text, database):
        raise refuse(at, "a comment in a comment, whose end is not where it seems to be; take one out")
    for kind, symbol, at in tokens:
        if (kind == "sign" and symbol in "'\"`") or (symbol == "/" and text.startswith("/*", at)):
            raise refuse(at, f"{text[at : at + 20]!r} is never closed")
        if symbol == ";":
            raise refuse(at, "a second statement; one SELECT is needed")
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            raise refuse(at, "a ) without its (")
        if kind == "word" and symbol.lower() in _WRITES:
            raise refuse(at, f"{symbol!r:.40}: a query may only read; quote it if it is the name of a column")
        if (kind == "word" and symbol.lower() in _CHANGES) or symbol.lower() == "'now'":
            raise refuse(at, f"{symbol!r:.40}: would give another result tomorrow; write the value there")
    if depth:
        raise refuse(len(text), "a ( without its )")
    return text


def _tokens(text: str, database: str) -> Iterator[tuple[str, str, int]]:
    for match in _TOKENS[database].finditer(text):
        kind = "text" if match.lastgroup == "tag" else str(match.lastgroup)
        if kind != "comment":
            yield kind, match[0], match.start()


def _nested_comments(text: str, database: str) -> Iterator[int]:
    """Yield where comments begin that PostgreSQL ends later: there, they stand in each other."""
    for match in _TOKENS[database].finditer(text):
        if database == "postgresql" and (match["comment"] or "").startswith("/*") and "/*" in match[0][2:]:
            yield match.start()


def columns_of(query: str) -> str:
    """Return a statement that gives no row, to know the query's columns."""
    return f"SELECT * FROM (\n{query}\n) AS ratchet_query WHERE 1 = 0"  # noqa: S608 - the user's own query


def unmarked_rows(query: str, watermark: Watermark, database: str) -> str:
    """Return a statement that counts the rows of which it cannot be said whether they are below the watermark."""
    column = f"ratchet_query.{_name(watermark.column)}"
    test = f"{column} IS NULL"
    if database == "sqlite":  # values of any type, and every number is below every text
        is_number = isinstance(watermark.at_most, int | float)
        kinds = "'integer', 'real'" if is_number else "'text'"
        test = f"typeof({column}) NOT IN ({kinds})"
    return f"SELECT count(*) FROM (\n{query}\n) AS ratchet_query WHERE {test}"  # noqa: S608 - the user's own query


def values_of(query: str, columns: Sequence[str], watermark: Watermark, database: str) -> str:
    """Return a statement that gives the columns of all rows below the watermark, in an order of their own."""
    column = f"ratchet_query.{_name(watermark.column)}"
    if watermark.as_of is not None:
        below = f"{column} < '{watermark.as_of + timedelta(days=1)}'"
    else:
        below = f"{column} <= {_literal(watermark.at_most)}"
    collation = ' COLLATE "C"' if database == "postgresql" else ""
    values = ", ".join(f"{_VALUES[database](f'ratchet_query.{_name(each)}')} AS c{n}" for n, each in enumerate(columns))
    order = ", ".join(f"c{number}{collation}" for number in range(len(columns)))
    return (
        f"SELECT * FROM (SELECT {values} FROM (\n{query}\n) AS ratchet_query WHERE {below}) AS ratchet_values "  # noqa: S608 - the same
        f"ORDER BY {order}"
    )


def _sqlite_value(column: str) -> str:
    kind = f"typeof({column})"
    return (
        f"CASE {kind} WHEN 'null' THEN 'n' WHEN 'real' THEN {column} "
        f"ELSE substr({kind}, 1, 1) || hex(CAST({column} AS BLOB)) END"
    )


def _postgresql_value(column: str) -> str:
    return f"coalesce('t' || encode(convert_to(CAST({column} AS text), 'UTF8'), 'hex'), 'n')"


_VALUES = {"sqlite": _sqlite_value, "postgresql": _postgresql_value}


def _name(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _literal(value: float | str | None) -> str:
    return "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else repr(value)
