"""Queries of SQLite and of a real PostgreSQL: what is read, what pins it, what is refused, and what a loss leaves."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import IO, Any

import psutil
import pyarrow as pa
import pytest

from pipeline.data import jdbc_reading
from pipeline.data.sources import jdbc
from pipeline.data.wanted import Wanted, WantedFeature
from pipeline.errors import DataError, RatchetError, StorageError, TryAgain, UsageError
from pipeline.storage import artifacts
from tests.system.data.postgresql import PASSWORD, USER, Server, running
from tests.waiting import wait_for

FEATURES = (WantedFeature("x", "number", "x"), WantedFeature("y", "text", "y"))
WANTED = Wanted(("0", "1"), FEATURES)
NAMES = {"user_variable": "FLIGHTS_USER", "password_variable": "FLIGHTS_KEY"}
PINNED = {"column": "at", "at_most": "2024-06-30"}


class Answers(list[IO[bytes]]):
    """The files that answers are written to, which have no names."""

    def are_coming(self) -> bool | None:
        return any(os.fstat(file.fileno()).st_size for file in self if not file.closed) or None


_SPARK = "org.apache.spark.deploy"


@pytest.fixture(autouse=True)
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Whatever happens: no file of an answer stays, and no JVM."""
    spool, made = tmp_path / "spool", Answers()
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))

    def noted(**settings: Any) -> IO[bytes]:
        made.append(tempfile.TemporaryFile(**settings))  # noqa: SIM115 - who asked for it closes it
        return made[-1]

    monkeypatch.setattr(jdbc_reading, "TemporaryFile", noted)
    yield made
    assert list(spool.iterdir()) == []
    assert all(file.closed for file in made)
    assert not jvms()


def jvms() -> list[psutil.Process]:
    """Return the JVMs that this process has started, Spark's aside, which other tests share."""
    return [each for each in psutil.Process().children(recursive=True) if _is_a_jvm(each)]


def _is_a_jvm(process: psutil.Process) -> bool:
    try:
        lives = process.name() == "java" and process.status() != psutil.STATUS_ZOMBIE
        return lives and not any(_SPARK in word for word in process.cmdline())
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return False


def asked(folder: Path, query: str, wanted: Wanted = WANTED, **settings: Any) -> pa.Table:
    """Return all rows that a query gives, as the source delivers them."""
    (folder / "query.sql").write_text(query)
    complete = {"target": "z", "known_at": {"before": ["x", "y"]}, "watermark": PINNED, "missing": [], **settings}
    source = jdbc.open_source(jdbc.Settings.model_validate(complete), folder, wanted)
    return pa.concat_tables(list(source.tables))


# -- SQLite


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    if not Path("/usr/share/java/sqlite-jdbc.jar").is_file():
        pytest.skip("no JDBC driver of SQLite here; scripts/setup_databases.sh installs it")
    connection = sqlite3.connect(tmp_path / "flights.db")
    connection.execute("CREATE TABLE flights (x, y, z, at TEXT)")
    yield connection
    connection.close()


def of_sqlite(folder: Path, query: str = "SELECT * FROM flights", **settings: Any) -> pa.Table:
    return asked(folder, query, url="jdbc:sqlite:flights.db", **settings)


def insert(connection: sqlite3.Connection, *rows: tuple[Any, ...]) -> None:
    connection.executemany("INSERT INTO flights VALUES (?, ?, ?, ?)", rows)
    connection.commit()


def test_values_of_sqlite_are_the_texts_of_what_they_are(tmp_path: Path, database: sqlite3.Connection) -> None:
    texts = ["", ' a,"b"\n\r\t\'', "NULL", "né\u200f\u05d0😀", "x" * 10_000_000, "=cmd|'/c calc'!A0"]
    numbers = [0.1, 0.1 + 0.2, 1e300, 5e-324, 2**63 - 1, -7]
    insert(database, *((x, y, 1, "2024-01-01") for x, y in zip(numbers, texts, strict=True)))
    insert(database, (None, None, 0, "2024-01-01"), (float("inf"), 7, 0, "2024-06-30"))
    found = {(row["x"], row["y"], row["label"]) for row in of_sqlite(tmp_path).to_pylist()}
    shown = ["0.1", "0.30000000000000004", "1e+300", "5e-324", "9223372036854775807", "-7"]
    assert found == {*((x, y, 1) for x, y in zip(shown, texts, strict=True)), (None, None, 0), ("inf", "7", 0)}


def test_what_has_no_text_is_a_row_s_problem(tmp_path: Path, database: sqlite3.Connection) -> None:
    insert(database, (1, b"\x01", 1, "2024-01-01"), (2, "a\0b", 1, "2024-01-01"), (4, "good", 1, "2024-01-01"))
    database.execute("INSERT INTO flights VALUES (3, CAST(x'61ff' AS TEXT), 1, '2024-01-01')")
    database.commit()
    rows = of_sqlite(tmp_path).to_pylist()
    assert {(row["problem"], row["detail"], row["y"]) for row in rows} == {
        ("value that has no text", "column 'y': bytes, which have no text", None),
        ("holds a NUL character", "in column 'y'", None),
        ("bytes that are no text", "in column 'y'", None),
        (None, None, "good"),
    }


def test_the_order_in_which_a_database_has_its_rows_says_nothing(tmp_path: Path, database: sqlite3.Connection) -> None:
    rows = [(n % 7, f"text {n % 11}", n % 2, "2024-01-01") for n in range(100)]
    insert(database, *rows)
    first = of_sqlite(tmp_path)
    database.execute("DELETE FROM flights")
    insert(database, *reversed(rows))
    assert of_sqlite(tmp_path).equals(first)
    assert first["row"].to_pylist() == list(range(1, 101))


def test_rows_that_come_later_are_not_read(tmp_path: Path, database: sqlite3.Connection) -> None:
    insert(database, (1, "a", 1, "2024-06-29T23:00:00"), (2, "b", 1, "2024-06-30"))
    first = of_sqlite(tmp_path)
    assert first.num_rows == 2
    insert(database, (3, "c", 1, "2024-07-01"), (4, "d", 0, "2030-01-01"))
    assert of_sqlite(tmp_path).equals(first)
    assert of_sqlite(tmp_path, watermark={"column": "at", "at_most": "2024-07-01"}).num_rows == 3
    by_day = of_sqlite(tmp_path, wanted=WANTED._replace(as_of=date(2024, 6, 29)), watermark={"column": "at"})
    assert by_day["y"].to_pylist() == ["a"]
    assert of_sqlite(tmp_path, watermark={"column": "x", "at_most": 2.5}).num_rows == 2


@pytest.mark.parametrize("at", [None, 20240101])
def test_a_row_that_the_watermark_says_nothing_of_is_an_error(
    tmp_path: Path, database: sqlite3.Connection, at: Any
) -> None:
    database.execute("CREATE TABLE untyped (x, y, z, at)")
    database.executemany("INSERT INTO untyped VALUES (1, 'a', 1, ?)", [("2024-01-01",), (at,)])
    database.commit()
    with pytest.raises(DataError, match=r"query\.sql: 1 rows have no 'at' that can be compared with"):
        of_sqlite(tmp_path, "SELECT * FROM untyped")


def test_a_query_of_sqlite_cannot_write(tmp_path: Path, database: sqlite3.Connection) -> None:
    insert(database, (1, "a", 1, "2024-01-01"))
    before = (tmp_path / "flights.db").read_bytes()
    with pytest.raises(UsageError, match=r"query\.sql:1: 'DELETE': a query may only read"):
        of_sqlite(tmp_path, "WITH a AS (DELETE FROM flights RETURNING *) SELECT * FROM a")
    with pytest.raises(UsageError, match=r"query\.sql:1: a second statement"):
        of_sqlite(tmp_path, "SELECT 1;\nSELECT 2")
    of_sqlite(tmp_path)
    assert (tmp_path / "flights.db").read_bytes() == before


@pytest.mark.parametrize(
    ("query", "kind", "said"),
    [
        ("SELECT x, y, at FROM flights", DataError,
         r"query\.sql: has no column 'z', which data\.source\.settings\.target names"),
        ("SELECT *, x FROM flights", DataError, r"has 2 columns 'x'; give all but one another name \(AS\)"),
        ("SELECT * FROM nowhere", UsageError, r"jdbc:sqlite:flights\.db: .*no such table: nowhere"),
        ("SELECT * FROM flights WHERE", UsageError, "syntax error|incomplete input"),
        ("SELECT * FROM flights", DataError, r"query\.sql: the query has no row; look at it"),
    ],
)  # fmt: skip
def test_a_query_that_does_not_fit_is_told(
    tmp_path: Path, database: sqlite3.Connection, query: str, kind: type[RatchetError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        of_sqlite(tmp_path, query)


def test_a_database_that_is_none(tmp_path: Path, database: sqlite3.Connection) -> None:
    with pytest.raises(StorageError, match=r"other\.db: there is no such database"):
        asked(tmp_path, "SELECT 1", url="jdbc:sqlite:other.db")
    (tmp_path / "other.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DataError, match=r"\[SQLITE_NOTADB\].*; change the query, or mend the database"):
        asked(tmp_path, "SELECT * FROM flights", url="jdbc:sqlite:other.db")
    assert not (tmp_path / "third.db").exists()


def test_a_database_that_somebody_writes_to_is_tried_again(
    tmp_path: Path, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(database, (1, "a", 1, "2024-01-01"))
    database.execute("BEGIN EXCLUSIVE")
    monkeypatch.setitem(jdbc_reading._PROPERTIES["sqlite"], "busy_timeout", "1")
    with pytest.raises(TryAgain, match=r"database is locked.*run again when the database is there"):
        of_sqlite(tmp_path)
    database.rollback()


def test_a_driver_that_is_not_there_is_named(tmp_path: Path, database: sqlite3.Connection) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.jar: no JDBC driver there; `apt-get install libxerial-"):
        of_sqlite(tmp_path, driver_jar="/nowhere.jar")


def test_without_java_it_is_said_where_to_look(
    tmp_path: Path, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(UsageError, match="Java does not start, which a source `jdbc` needs; `ratchet doctor` says why"):
        of_sqlite(tmp_path)
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho this is no Java\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="Java does not start"):
        of_sqlite(tmp_path)


def test_a_killed_jvm_is_tried_again(tmp_path: Path, database: sqlite3.Connection, answers: Answers) -> None:
    database.executemany("INSERT INTO flights VALUES (?, ?, 1, '2024-01-01')", [(n, "x" * 50) for n in range(300_000)])
    database.commit()

    def kill() -> None:
        wait_for(answers.are_coming, "an answer")
        [jvm] = jvms()
        os.kill(jvm.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(TryAgain, match="the JVM that asks the database was killed; run again"):
        of_sqlite(tmp_path)
    killer.join()


def test_a_jvm_ends_with_a_killed_process_whatever_it_is_doing(tmp_path: Path, database: sqlite3.Connection) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, x AS y, 1 AS z, x AS at FROM n"
    script = (
        "import pathlib; from tests.system.data.test_jdbc import of_sqlite; "
        f"of_sqlite(pathlib.Path({str(tmp_path)!r}), {endless!r}, watermark={{'column': 'at', 'at_most': 5}})"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as reader:
        [jvm] = wait_for(lambda: [each for each in jvms() if each.cpu_times().user > 0.5], "a JVM at work")
        reader.kill()
    wait_for(lambda: not psutil.pid_exists(jvm.pid) or jvm.status() == psutil.STATUS_ZOMBIE or None, "its end")


# -- PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as started:
        started.sql("CREATE TABLE flights (x float8, y text, z int, at timestamptz)")
        yield started


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHTS_USER", USER)
    monkeypatch.setenv("FLIGHTS_KEY", PASSWORD)


def of_postgresql(folder: Path, server: Server, query: str = "SELECT * FROM flights", **settings: Any) -> pa.Table:
    return asked(folder, query, url=server.url, **NAMES, **settings)


# A value of PostgreSQL, and its text.
VALUES = [
    ("0.1::float8 + 0.2::float8", "0.30000000000000004"), ("0.1::float4", "0.1"), ("1e300::float8", "1e+300"),
    ("'NaN'::float8", "NaN"), ("'-Infinity'::float8", "-Infinity"), ("1.50::numeric(9,2)", "1.50"),
    ("12345678901234567890.5::numeric", "12345678901234567890.5"), ("7::int2", "7"), ("true", "true"),
    ("NULL::text", None), ("''::text", ""), ("'NULL'::text", "NULL"), ("U&'n\\00E9 \\+01F600'", "né 😀"),
    ("E'a,\"b\"\\n\\r\\t'", 'a,"b"\n\r\t'), ("'ab '::char(5)", "ab"), ("repeat('x', 10000000)", "x" * 10_000_000),
    ("DATE '2024-02-29'", "2024-02-29"), ("TIME '03:04:05.5'", "03:04:05.5"),
    ("TIMESTAMP '2024-02-29 03:04:05'", "2024-02-29 03:04:05"),
    ("TIMESTAMPTZ '2024-02-29 03:04:05+02'", "2024-02-29 01:04:05+00"),
    ("'6f1e28ea-6a0d-4c4e-9d7c-8a0f0ab1c2d3'::uuid", "6f1e28ea-6a0d-4c4e-9d7c-8a0f0ab1c2d3"),
]  # fmt: skip


@pytest.mark.usefixtures("variables")
def test_values_of_postgresql_are_the_texts_of_what_they_are(tmp_path: Path, server: Server) -> None:
    columns = [f"y{number}" for number in range(len(VALUES))]
    values = ", ".join(f"{value} AS {column}" for column, (value, _) in zip(columns, VALUES, strict=True))
    wanted = Wanted(("0", "1"), tuple(WantedFeature(column, "text", column) for column in columns))
    query = f"SELECT {values}, 1 AS z, DATE '2024-01-01' AS at"
    [row] = of_postgresql(tmp_path, server, query, wanted=wanted, known_at={"before": columns}).to_pylist()
    assert [row[column] for column in columns] == [text for _, text in VALUES]


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize(
    ("value", "kind"),
    [("ARRAY[1, 2]", "_int4"), ("'{}'::jsonb", "jsonb"), ("'\\x00'::bytea", "bytea"), ("1::money", "money")],
)  # fmt: skip
def test_a_column_of_postgresql_without_a_text_is_refused_by_name(
    tmp_path: Path, server: Server, value: str, kind: str
) -> None:
    with pytest.raises(DataError, match=rf"query\.sql: column 'y' is '{kind}', which has no text of its own; cast it"):
        of_postgresql(tmp_path, server, f"SELECT 1 AS x, {value} AS y, 1 AS z, DATE '2024-01-01' AS at")


@pytest.mark.usefixtures("variables")
def test_a_time_of_postgresql_is_one_that_a_role_may_have(tmp_path: Path, server: Server) -> None:
    from pipeline.recipe.recipe import Roles

    query = "SELECT 1 AS x, 'a' AS y, 1 AS z, TIMESTAMPTZ '2024-02-29 03:04:05.25+02' AS at"
    found = of_postgresql(tmp_path, server, query, wanted=WANTED._replace(roles=Roles(time="at")))
    [row] = found.to_pylist()
    assert (row["problem"], row["time"].isoformat()) == (None, "2024-02-29T01:04:05.250000+00:00")


@pytest.fixture
def rows(server: Server) -> Iterator[None]:
    server.sql("""
        INSERT INTO flights SELECT n % 7, 'text ' || n % 11, n % 2, '2024-06-29 22:30+00' FROM generate_series(1, 50) n;
        INSERT INTO flights SELECT n % 7, 'later ' || n % 11, n % 2, '2024-06-30 00:30+00' FROM generate_series(1, 50) n
    """)
    yield
    server.sql("TRUNCATE flights")


@pytest.mark.usefixtures("variables", "rows")
def test_rows_that_come_later_or_lie_elsewhere_change_nothing(tmp_path: Path, server: Server) -> None:
    pinned = {"watermark": {"column": "at", "at_most": "2024-06-29 23:00+00"}}
    first = of_postgresql(tmp_path, server, **pinned)
    assert first.num_rows == 50
    server.sql("INSERT INTO flights VALUES (1, 'new', 1, '2025-01-01')")
    server.sql("UPDATE flights SET z = z WHERE x > 3")
    server.sql("VACUUM FULL flights")
    assert of_postgresql(tmp_path, server, **pinned).equals(first)
    by_day = {"wanted": WANTED._replace(as_of=date(2024, 6, 29)), "watermark": {"column": "at"}}
    assert of_postgresql(tmp_path, server, **by_day).equals(first)


@pytest.mark.usefixtures("variables", "rows")
def test_a_row_without_a_watermark_is_an_error_of_postgresql_s_too(tmp_path: Path, server: Server) -> None:
    server.sql("INSERT INTO flights VALUES (1, 'when?', 1, NULL)")
    with pytest.raises(DataError, match=r"1 rows have no 'at' that can be compared"):
        of_postgresql(tmp_path, server)


@pytest.mark.usefixtures("variables", "rows")
def test_a_function_that_writes_is_refused_by_the_database(tmp_path: Path, server: Server) -> None:
    server.sql("""
        CREATE OR REPLACE FUNCTION sneak() RETURNS int LANGUAGE sql SECURITY DEFINER AS
        $$ INSERT INTO flights VALUES (9, 'sneaked', 1, now()) RETURNING 1 $$;
        CREATE SEQUENCE IF NOT EXISTS counter; GRANT ALL ON SEQUENCE counter TO PUBLIC
    """)
    for value in ("sneak()", "nextval('counter')", "set_config('transaction_read_only', 'off', false)::text, sneak()"):
        with pytest.raises(UsageError, match=r"read-only|read-write"):
            of_postgresql(tmp_path, server, f"SELECT *, {value} AS w FROM flights")
    assert server.sql("SELECT count(*) FROM flights WHERE y = 'sneaked'") == "0"
    assert server.sql("SELECT is_called FROM counter") == "f"


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize(
    ("query", "kind", "said"),
    [
        ("SELECT * FROM nowhere", UsageError, 'relation "nowhere" does not exist'),
        ("SELECT 1 AS x, 2 AS y, 1 / 0 AS z, DATE '2024-01-01' AS at", DataError, "division by zero"),
        ("SELECT x, y, at FROM flights", DataError, "has no column 'z'"),
        ("SELECT 1 AS x, 2 AS y, 1 AS z, 'today?' AS w, 5 AS at", DataError, "invalid input syntax for type integer"),
    ],
)
def test_a_query_that_postgresql_refuses_is_told(
    tmp_path: Path, server: Server, query: str, kind: type[RatchetError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        of_postgresql(tmp_path, server, query)


def test_a_wrong_password_is_told_and_never_shown(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLIGHTS_USER", USER)
    with pytest.raises(UsageError, match=r"FLIGHTS_KEY: is not set here; .*environment\.pass_on"):
        of_postgresql(tmp_path, server)
    monkeypatch.setenv("FLIGHTS_KEY", "not-the-password")
    with pytest.raises(UsageError, match='password authentication failed for user "reader"') as caught:
        of_postgresql(tmp_path, server)
    assert "not-the-password" not in f"{caught.value}{capfd.readouterr()}"
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("variables")
def test_no_process_shows_the_password(tmp_path: Path, server: Server) -> None:
    shown: list[str] = []

    def look() -> None:
        found = wait_for(lambda: jvms() or None, "a JVM")
        shown.append(" ".join(found[0].cmdline()))

    looker = threading.Thread(target=look)
    looker.start()
    of_postgresql(tmp_path, server, "SELECT 1 AS x, 'a' AS y, 1 AS z, DATE '2024-01-01' AS at, pg_sleep(1)")
    looker.join()
    assert "py4j" in shown[0]
    assert PASSWORD not in shown[0]


@pytest.mark.usefixtures("variables")
def test_a_database_that_goes_away_midway_is_tried_again_and_nothing_is_published(
    tmp_path: Path, server: Server, answers: Answers
) -> None:
    query = "SELECT n AS x, repeat('x', 200) AS y, 1 AS z, DATE '2024-01-01' AS at FROM generate_series(1, 500000) n"

    def cut() -> None:
        wait_for(answers.are_coming, "an answer")
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ratchet'")

    cutter = threading.Thread(target=cut)
    cutter.start()
    with pytest.raises(TryAgain) as caught, artifacts.published_folder(tmp_path / "raw") as folder:
        (folder / "started").write_text("")
        of_postgresql(tmp_path, server, query)
    cutter.join()
    assert caught.value.exit_code == 75
    assert not (tmp_path / "raw").exists()


@pytest.mark.usefixtures("variables")
def test_a_database_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"jdbc:postgresql://127.0.0.1:{closed.getsockname()[1]}/flights"
        with pytest.raises(TryAgain, match=r"Connection to 127\.0\.0\.1:\d+ refused.*run again when the database is"):
            asked(tmp_path, "SELECT 1", url=url, **NAMES)
