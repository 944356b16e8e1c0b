"""A query's text: one SELECT passes, whatever stands in its strings; all else is told with its line."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.sql_text import Watermark, require_one_select, unmarked_rows, values_of
from pipeline.errors import UsageError

DATABASES = ("sqlite", "postgresql")


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "  select a, b from t where c = 'x; DELETE FROM t'  ",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "-- INSERT the rows here;\nSELECT /* DROP; */ 1 -- the end",
        'SELECT "update", "se;t" FROM t',
        "SELECT 'it''s; now', replace(a, 'b', 'c'), updated, inserted_at FROM t",
        "SELECT (1 + (2)) * 3",
        "\ufeffSELECT 1;\n",
    ],
)
def test_one_select_is_returned_without_its_semicolon(query: str, database: str) -> None:
    assert require_one_select(query, database, "q.sql") == query.strip().removeprefix("\ufeff").rstrip(";\n")


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "q.sql:1: is empty"),
        ("-- nothing", "q.sql:1: is empty"),
        ("DELETE FROM t", "q.sql:1: begins with 'DELETE'"),
        ("EXPLAIN SELECT 1", "q.sql:1: begins with 'EXPLAIN'"),
        ("(SELECT 1)", "q.sql:1: begins with '('"),
        ("SELECT 1;\nSELECT 2", "q.sql:1: a second statement"),
        ("SELECT 1;\nDROP TABLE t", "q.sql:1: a second statement"),
        ("SELECT 1 AS a\n) AS b; DROP TABLE t --", "q.sql:2: a ) without its ("),
        ("SELECT (1", "q.sql:1: a ( without its )"),
        ("SELECT 1 INTO t", "'INTO': a query may only read"),
        ("WITH a AS (\nINSERT INTO t VALUES (1) RETURNING *) SELECT 1", "q.sql:2: 'INSERT': a query may only read"),
        ("SELECT * FROM t FOR UPDATE", "'UPDATE': a query may only read"),
        ("SELECT 'a", "\"'a\" is never closed"),
        ('SELECT "a', "'\"a' is never closed"),
        ("SELECT 1 /* to be", "is never closed"),
        ("SELECT random()", "'random': would give another result tomorrow"),
        ("SELECT *\nFROM t\nWHERE at < CURRENT_DATE", "q.sql:3: 'CURRENT_DATE': would give another result tomorrow"),
        ("SELECT date('NOW')", "\"'NOW'\": would give another result tomorrow"),
    ],
)  # fmt: skip
def test_all_else_is_told_with_its_line(query: str, said: str, database: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        require_one_select(query, database, "q.sql")


def test_each_database_has_quotes_of_its_own() -> None:
    assert require_one_select("SELECT [a;b], `c;d` FROM t", "sqlite", "q")
    with pytest.raises(UsageError, match="a second statement"):
        require_one_select("SELECT a[1;2]", "postgresql", "q")
    assert require_one_select(r"SELECT E'a\'; DROP', $$; DROP $$, $x$ $$;' $x$", "postgresql", "q")
    with pytest.raises(UsageError, match="a second statement"):
        require_one_select(r"SELECT 'a\'; DROP", "sqlite", "q")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS a -- b\r) AS q; COMMIT; DROP TABLE t; --",
        "SELECT 1 AS a /* /* */ -- */) AS q; COMMIT; DROP TABLE t; --",
        "SELECT 1 AS a /*/* */ -- */) AS q; COMMIT; DROP TABLE t; --",
        "SELECT 1 AS €$a$) AS q; COMMIT; DROP TABLE t; -- $a$",
        "SELECT $€$ ' $€$ AS a) AS q; COMMIT; DROP TABLE t; -- '",
    ],
)
def test_what_postgresql_reads_as_a_second_statement_hides_in_no_comment_or_quote(query: str) -> None:
    """A second statement could end the transaction that may only read."""
    with pytest.raises(UsageError, match=r"a \) without its \(|a comment in a comment"):
        require_one_select(query, "postgresql", "q.sql")


def test_comments_stand_beside_each_other() -> None:
    query = "SELECT 1 /* a */ /* b */ -- /* c\n AS größe, '/* /* */' AS b"
    assert require_one_select(query, "postgresql", "q.sql") == query


@given(st.text(alphabet="ab;'\"()[]`$-/*\\ \n", max_size=40), st.sampled_from(DATABASES))
def test_no_text_behind_a_select_ends_the_statement(text: str, database: str) -> None:
    """What passes has no semicolon outside of quotes: seen by a reader that knows nothing but quotes and comments."""
    try:
        passed = require_one_select("SELECT " + text, database, "q")
    except UsageError:
        return
    quotes = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"" + (
        r"|`[^`]*`|\[[^\]]*\]" if database == "sqlite" else r"|\$\$.*?\$\$|\$\w+\$.*?\$"
    )
    rest = re.sub(rf"--[^\n]*|/\*.*?\*/|{quotes}", "", passed, flags=re.S)
    assert ";" not in rest
    assert rest.count("(") == rest.count(")")


def test_statements_quote_what_they_are_given() -> None:
    watermark = Watermark('a"b', "it's", None)
    text = values_of("SELECT 1", ['x"; DROP'], watermark, "sqlite")
    assert 'ratchet_query."x""; DROP"' in text
    assert "ratchet_query.\"a\"\"b\" <= 'it''s'" in text
    assert "< '2024-03-01'" in values_of("SELECT 1", ["x"], Watermark("a", None, date(2024, 2, 29)), "postgresql")
    assert "NOT IN ('integer', 'real')" in unmarked_rows("SELECT 1", Watermark("a", 5, None), "sqlite")
    assert "IS NULL" in unmarked_rows("SELECT 1", Watermark("a", 5, None), "postgresql")
