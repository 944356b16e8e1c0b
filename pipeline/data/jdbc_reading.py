"""Asks a database by JDBC, in a small JVM of its own, and reads the answer as blocks of texts.

The JVM has the driver, Py4J's gateway, and univocity's writer, which Spark brings along: that one writes a whole result
to a file in a single call, and holds no more than a few rows. It ends with this process, whatever ends that.
"""

from __future__ import annotations

import os
import subprocess
from binascii import unhexlify
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from pipeline.data import sql_text
from pipeline.data.problems import NO_TEXT
from pipeline.data.table_rows import Block
from pipeline.errors import (
    FULL_DISK,
    DataError,
    RatchetError,
    StorageError,
    TryAgain,
    UsageError,
    nearest,
    without_secrets,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.data.sources.jdbc import Settings

_ROWS = 4096
_BLOCK_BYTES = 32 * 2**20
_DRIVERS = {
    "sqlite": ("org.sqlite.JDBC", "sqlite-jdbc.jar", "libxerial-sqlite-jdbc-java"),
    "postgresql": ("org.postgresql.Driver", "postgresql.jar", "libpostgresql-jdbc-java"),
}
_JARS = Path("/usr/share/java")
_JVM_OPTIONS = [
    "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Duser.timezone=UTC", "-Dfile.encoding=UTF-8",
    "-Duser.language=en",
]  # fmt: skip
_SESSION = (
    "-c default_transaction_read_only=on -c TimeZone=UTC -c DateStyle=ISO,YMD -c extra_float_digits=1 "
    "-c standard_conforming_strings=on -c bytea_output=hex"
)
_PROPERTIES = {
    "sqlite": {"open_mode": "1", "busy_timeout": "30000"},  # SQLITE_OPEN_READONLY
    "postgresql": {
        "options": _SESSION, "readOnlyMode": "always", "loginTimeout": "30", "socketTimeout": "3600",
        "tcpKeepAlive": "true", "ApplicationName": "ratchet", "assumeMinServerVersion": "12", "escapeSyntaxCallMode":
        "call",
        # So many rows are fetched at once as fit, whatever their size.
        "defaultRowFetchSize": "100", "adaptiveFetch": "true", "adaptiveFetchMaximum": "5000",
        "maxResultBuffer": "128M",
    },
}  # fmt: skip
_NO_JAVA = "Java does not start, which a source `jdbc` needs; `ratchet doctor` says why"
_REPEATABLE_READ = 4  # java.sql.Connection.TRANSACTION_REPEATABLE_READ
# java.sql.Types whose text says all: char, varchar, numbers, boolean, date, time, timestamp, with a zone too.
_HAVE_TEXT = {1, 12, -1, -15, -9, -16, -6, 5, 4, -5, 6, 7, 8, 2, 3, 16, 91, 92, 93, 2013, 2014}
_OTHERS_WITH_TEXT = {"bool", "uuid", "citext"}
_WITHOUT_TEXT = {"money"}  # whose text depends on the server's language


# What an error means: the beginnings of SQLSTATEs (PostgreSQL's appendix A), SQLite's primary codes (rescode.html).
_ANSWERS: tuple[tuple[tuple[str, ...], tuple[int, ...], type[RatchetError], str], ...] = (
    (("08", "57P", "53", "40", "55P03"), (5, 6), TryAgain, "run again when the database is there"),
    (("25",), (8,), UsageError, "the query writes, and may only read"),
    (("28", "3D", "42", "26", "0A"), (1, 23), UsageError, "look at data.source.settings and the query"),
    (("21", "22", "23"), (11, 20, 26), DataError, "change the query, or mend the database, so that every row is read"),
)
_DEEPEST = 10  # causes of causes


class Asked(NamedTuple):
    """A query to be asked, and the columns that are needed of it, each with what needs it."""

    settings: Settings
    folder: Path
    query: str
    watermark: sql_text.Watermark
    needed: Mapping[str, str]


def blocks(asked: Asked) -> Iterator[Block]:
    """Ask the database and yield the rows, sorted by their values; nothing is yielded before all of them are here.

    Raises TryAgain if the database cannot be reached, or goes away; UsageError for a query, a user or a driver that it
    refuses; DataError for columns or values that cannot be read.
    """
    with TemporaryFile(prefix="ratchet-jdbc-") as answer:  # without a name: whatever ends this process, it is gone
        _ask(asked, Path(f"/proc/{os.getpid()}/fd/{answer.fileno()}"))
        yield from _blocks(answer, list(asked.needed), Path(asked.settings.query).name)


def _ask(asked: Asked, answer: Path) -> None:
    """Write all values of a query to a file, as `sql_text.values_of` says."""
    settings = asked.settings
    user, password = _secret(settings.user_variable), _secret(settings.password_variable)
    with _jvm(_driver_jar(settings)) as jvm, _told(settings.url, password):
        connection = _connection(jvm, settings, asked.folder, user, password)
        statement = connection.createStatement()
        statement.setEscapeProcessing(False)
        if settings.database == "sqlite":  # which would rename the second of two columns inside of another SELECT
            _require_columns(connection.prepareStatement(asked.query).getMetaData(), asked)
        else:
            _require_columns(statement.executeQuery(sql_text.columns_of(asked.query)).getMetaData(), asked)
        counted = statement.executeQuery(sql_text.unmarked_rows(asked.query, asked.watermark, settings.database))
        counted.next()
        if unmarked := counted.getLong(1):
            raise DataError(
                f"{settings.query}: {unmarked} rows have no {asked.watermark.column!r} that can be compared with "
                "data.source.settings.watermark; leave them out in the query"
            )
        found = statement.executeQuery(
            sql_text.values_of(asked.query, list(asked.needed), asked.watermark, settings.database)
        )
        form = jvm.com.univocity.parsers.csv.CsvWriterSettings()
        form.setHeaderWritingEnabled(False)
        form.getFormat().setLineSeparator("\n")
        form.setMaxCharsPerColumn(-1)
        jvm.com.univocity.parsers.csv.CsvRoutines(form).write(found, jvm.java.io.File(str(answer)), "UTF-8")
        connection.rollback()
        connection.close()


def _connection(jvm: Any, settings: Settings, folder: Path, user: str | None, password: str | None) -> Any:
    database, url = settings.database, settings.url
    if settings.file is not None:
        path = folder / settings.file
        if not path.is_file():
            raise StorageError(f"{path}: there is no such database; look at data.source.settings.url")
        url = f"jdbc:sqlite:{path}"
    properties = jvm.java.util.Properties()
    for name, value in {**_PROPERTIES[database], "user": user, "password": password}.items():
        if value is not None:
            properties.setProperty(name, value)
    driver = jvm.java.lang.Class.forName(_DRIVERS[database][0]).getDeclaredConstructor(None).newInstance(None)
    connection = driver.connect(url, properties)
    if database == "postgresql":
        connection.setReadOnly(True)
        connection.setTransactionIsolation(_REPEATABLE_READ)
    connection.setAutoCommit(False)
    return connection


def _require_columns(meta: Any, asked: Asked) -> None:
    """Raise DataError if a needed column is not there, is there twice, or has no text: of java.sql's metadata."""
    columns = range(1, meta.getColumnCount() + 1)
    names = [meta.getColumnLabel(number) for number in columns]
    query = asked.settings.query
    for name, key in {**asked.needed, asked.watermark.column: "data.source.settings.watermark"}.items():
        if name not in names:
            raise DataError(f"{query}: has no column {name!r}, which {key} names{nearest(name, names)}")
        if names.count(name) > 1:
            raise DataError(f"{query}: has {names.count(name)} columns {name!r}; give all but one another name (AS)")
        number = names.index(name) + 1
        kind = meta.getColumnTypeName(number)
        has_text = (meta.getColumnType(number) in _HAVE_TEXT or kind in _OTHERS_WITH_TEXT) and kind not in _WITHOUT_TEXT
        if asked.settings.database == "postgresql" and not has_text:  # SQLite's types are those of each value
            raise DataError(
                f"{query}: column {name!r} is {kind!r:.40}, which has no text of its own; cast it in the query"
            )


@contextmanager
def _jvm(jar: Path) -> Iterator[Any]:
    """Yield the view of a JVM with a driver; it ends with the block, and whenever nobody holds its input any more."""
    from py4j.java_gateway import GatewayParameters, JavaGateway

    home = os.environ.get("JAVA_HOME")
    jars = [*_jars_of_spark("py4j-*.jar"), *_jars_of_spark("univocity-parsers-*.jar"), jar]
    libraries = [f"-Dorg.sqlite.lib.path={path.parent}" for path in Path("/usr/lib").glob("*/jni/libsqlitejdbc.so")]
    command = [f"{home}/bin/java" if home else "java", "-classpath", os.pathsep.join(map(str, jars))]
    command += [*_JVM_OPTIONS, *libraries, "py4j.GatewayServer", "--die-on-broken-pipe", "--enable-auth", "0"]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise UsageError(_NO_JAVA) from error
    with process:
        try:
            said = process.stdout or ()
            port, token = (next(iter(said), b"").decode(errors="replace").strip() for _ in range(2))
            if not port.isdigit():
                raise UsageError(_NO_JAVA)
            # Without the memory management, which would ask a JVM that has ended to let go of what it held.
            parameters = GatewayParameters(port=int(port), auth_token=token, enable_memory_management=False)
            gateway = JavaGateway(gateway_parameters=parameters)
            try:
                yield gateway.jvm
            finally:
                gateway.close()
        finally:
            process.kill()


def _jars_of_spark(pattern: str) -> list[Path]:
    """Return the jars that PySpark brings, without importing it."""
    found = find_spec("pyspark")
    folders = (found and found.submodule_search_locations) or []
    return [jar for folder in folders for jar in Path(folder, "jars").glob(pattern)]


@contextmanager
def _told(url: str, password: str | None) -> Iterator[None]:
    """Say in one line, without the password, what the database or its driver refuses."""
    from py4j.protocol import Py4JError, Py4JJavaError

    try:
        yield
    except Py4JJavaError as error:
        kind, said = _of_java(error)
        raise kind(without_secrets(f"{url}: {said}", also=[password] if password else [])) from None
    except (Py4JError, OSError) as error:
        raise TryAgain(f"{url}: the JVM that asks the database was killed; run again") from error


def _of_java(error: Any) -> tuple[type[RatchetError], str]:
    """Return what kind of error one of Java's is, and what to say: by its SQLSTATE, or SQLite's own code."""
    chain: list[Any] = []
    thrown = error.java_exception
    while thrown is not None and len(chain) < _DEEPEST:
        chain.append(thrown)
        thrown = thrown.getCause()
    texts = [str(each.getMessage() or each.getClass().getName()) for each in chain]
    if any("No space left on device" in text for text in texts):
        return StorageError, FULL_DISK
    of_sql = [each for each in chain if _is_of_sql(each.getClass())]
    if not of_sql:
        return StorageError, texts[-1]
    state, code, text = of_sql[0].getSQLState() or "", of_sql[0].getErrorCode(), str(of_sql[0].getMessage())
    text = text.removeprefix("ERROR: ").removeprefix("FATAL: ")
    for states, codes, kind, advice in _ANSWERS:
        if state.startswith(states) or (not state and code & 0xFF in codes):
            return kind, f"{text}; {advice}"
    return StorageError, text


def _is_of_sql(kind: Any) -> bool:
    while kind is not None:
        if kind.getName() == "java.sql.SQLException":
            return True
        kind = kind.getSuperclass()
    return False


def _secret(variable: str | None) -> str | None:
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise UsageError(
            f"{variable}: is not set here; set this variable of the environment, and name it in execution.yaml's "
            "environment.pass_on"
        )
    return value


def _driver_jar(settings: Settings) -> Path:
    _, name, package = _DRIVERS[settings.database]
    jar = Path(settings.driver_jar) if settings.driver_jar else _JARS / name
    if not jar.is_file():
        raise UsageError(
            f"{jar}: no JDBC driver there; `apt-get install {package}`, or name one in data.source.settings.driver_jar"
        )
    return jar


def _blocks(answer: IO[bytes], names: Sequence[str], file: str) -> Iterator[Block]:
    rows: list[list[bytes]] = []
    first, size_bytes = 1, 0
    for line in answer:
        rows.append(line.rstrip(b"\n").split(b","))
        size_bytes += len(line)
        if len(rows) == _ROWS or size_bytes >= 2 * _BLOCK_BYTES:
            yield _block(rows, names, file, first)
            first, rows, size_bytes = first + len(rows), [], 0
    if not rows and first == 1:
        raise DataError(f"{file}: the query has no row; look at it, and at data.source.settings.watermark")
    if rows:
        yield _block(rows, names, file, first)


def _block(rows: Sequence[Sequence[bytes]], names: Sequence[str], file: str, first: int) -> Block:
    import pyarrow as pa

    problems: list[str | None] = [None] * len(rows)
    details: list[str | None] = [None] * len(rows)
    columns = []
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        columns.append(_texts(values))
        for row, value in enumerate(values):
            if value[:1] == b"b":
                problems[row], details[row] = NO_TEXT, f"column {name!r:.80}: bytes, which have no text"
    numbers = pa.array(range(first, first + len(rows)), pa.int64())
    return Block(
        file, pa.table(columns, list(names)), numbers, pa.array(problems, pa.string()), pa.array(details, pa.string())
    )


def _texts(values: Sequence[bytes]) -> pa.Array:
    """Return values as strings; nobody has looked whether they are UTF-8."""
    import pyarrow as pa

    found: list[bytes | None] = []
    reals: list[int] = []
    for row, value in enumerate(values):
        kind = value[:1]
        if kind in b"ti" and kind:
            found.append(unhexlify(value[1:]))
        elif kind in b"nb":
            found.append(None)
        else:
            reals.append(row)
            found.append(value)
    if reals:  # Java's text of a number is not the shortest one, and not the same in all of its releases
        texts = pa.array([float(values[row]) for row in reals]).cast(pa.string()).to_pylist()
        for row, text in zip(reals, texts, strict=True):
            found[row] = text.encode()
    held = pa.array(found, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(held), held.buffers())
