"""A query of a database, by JDBC: SQLite and PostgreSQL.

    source:
      name: jdbc
      settings:
        url: jdbc:postgresql://warehouse:5432/flights     # or jdbc:sqlite:flights.db, relative to data.path
        query: flights.sql                                # a file in data.path with one SELECT
        user_variable: FLIGHTS_USER                       # names of environment variables, never the values;
        password_variable: FLIGHTS_PASSWORD               # execution.yaml passes them on: environment.pass_on
        watermark: {column: recorded_at, at_most: "2026-11-01"}
        target: delayed
        known_at: {before: [carrier, distance]}

A database changes while a recipe stays, so the query is pinned: rows whose `watermark.column` is at most `at_most` are
read, or, without it, those before the end (UTC) of the day `ingest.as_of`. A row without a watermark is an error. What
was recorded must not be changed afterwards: nobody can tell from here.

The query is read in one transaction that may only read, its rows sorted by their values. Values come as the database
writes them as text: times as ISO 8601 in UTC, true and false, numbers by their shortest text.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from pipeline.errors import DataError, UsageError
from pipeline.recipe.settings import Settings as Base
from pipeline.recipe.table_source import TableSettings, inside
from pipeline.recipe.table_source import check as check_table

if TYPE_CHECKING:
    from pipeline.data.source_rows import Source
    from pipeline.data.wanted import Wanted
    from pipeline.recipe.recipe import Recipe

KINDS = ("number", "category", "text", "image")
TAKES_AS_OF = True  # `ingest.as_of` is a date for the query, not of a snapshot in data.path

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_OF_SQLITE = "jdbc:sqlite:"
_SQLITE = re.compile(r"jdbc:sqlite:(?!file:|:)[^?\0]+")
_POSTGRESQL = re.compile(
    r"jdbc:postgresql://(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?/[\w.%~-]+(?:\?sslmode=[a-z-]+)?", re.ASCII
)
_LARGEST_QUERY_BYTES = 2**20
_LOOKED_AT = 1000  # entries of a folder, to tell what it holds
_SQLITE_BEGINS = b"SQLite format 3\0"  # sqlite.org/fileformat.html, 1.3.1

_Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
_Number = Annotated[float, Field(ge=-1e308, le=1e308)]


class Watermark(Base):
    """The column by which the rows are pinned."""

    column: str = Field(min_length=1, max_length=1000, description="column of the query: it grows, and never changes")
    at_most: _Whole | _Number | Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, description="rows up to this value are read; null: those before the end of ingest.as_of, UTC"
    )


class Settings(TableSettings):
    """Its settings in the recipe."""

    url: str = Field(max_length=4096, description="jdbc:sqlite:<file>, or jdbc:postgresql://<host>:<port>/<database>")
    query: str = Field(default="query.sql", min_length=1, max_length=4096, description="file in data.path: one SELECT")
    user_variable: str | None = Field(
        default=None, pattern=_VARIABLE, max_length=200, description="environment variable that holds the user's name"
    )
    password_variable: str | None = Field(
        default=None, pattern=_VARIABLE, max_length=200, description="environment variable that holds the password"
    )
    driver_jar: str | None = Field(
        default=None, min_length=1, max_length=4096, description="JDBC driver; null: the system's, in /usr/share/java"
    )
    watermark: Watermark | None = Field(default=None, description="what pins the rows: {column: …, at_most: …}")

    @field_validator("url")
    @classmethod
    def _is_of_a_known_database(cls, url: str) -> str:
        if "@" in url or "password=" in url or "user=" in url:
            raise ValueError("no user and no password; name their variables in user_variable and password_variable")
        if not (_SQLITE.fullmatch(url) or _POSTGRESQL.fullmatch(url)):
            raise ValueError(
                "must be jdbc:sqlite:<file> or jdbc:postgresql://<host>:<port>/<database>, with ?sslmode= at most"
            )
        if _SQLITE.fullmatch(url):
            inside(url.removeprefix(_OF_SQLITE))
        return url

    @field_validator("query")
    @classmethod
    def _stays_inside(cls, query: str) -> str:
        return inside(query)

    @property
    def database(self) -> str:
        """Which database it is: `sqlite` or `postgresql`."""
        return self.url.split(":")[1]

    @property
    def file(self) -> str | None:
        """The file of SQLite, relative to `data.path`; None of a server."""
        return self.url.removeprefix(_OF_SQLITE) if self.database == "sqlite" else None


def check(settings: Settings, recipe: Recipe) -> None:
    """Raise UsageError for what no table may be, and for rows that nothing pins."""
    check_table(settings, recipe)
    where, watermark = "data.source.settings.watermark", settings.watermark
    if watermark is None:
        raise UsageError(
            f"{where}: is missing: a database changes while the recipe stays; name a column that grows, as "
            "{column: recorded_at, at_most: '2026-11-01'}"
        )
    if watermark.at_most is None and recipe.ingest.as_of is None:
        raise UsageError(f"{where}.at_most: is missing, and so is ingest.as_of; one of them has to pin the rows")
    if watermark.at_most is not None and recipe.ingest.as_of is not None:
        raise UsageError(f"{where}.at_most: and ingest.as_of both pin the rows; set one of them to null")
    if settings.database == "sqlite" and (settings.user_variable or settings.password_variable):
        raise UsageError("data.source.settings.user_variable: SQLite has no users; leave it and the password out")


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Read and check the query; the database is asked when the tables are iterated."""
    import os

    from pipeline.data import sql_text
    from pipeline.data.file_reading import read_required
    from pipeline.data.jdbc_reading import Asked, blocks
    from pipeline.data.source_rows import Source
    from pipeline.data.table_rows import needed_columns, source_tables

    path = folder / settings.query
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; data.source.settings.query names the file of the query")
    root = os.path.realpath(folder)
    for what, name in (("query", settings.query), ("database", settings.file)):
        if name is not None and os.path.commonpath([root, os.path.realpath(folder / name)]) != root:
            raise DataError(f"{folder / name}: a link that leads out of {folder}; put the {what} itself there")
    try:
        text = read_required(str(path), "query", _LARGEST_QUERY_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no UTF-8 at byte {error.start}; save it as UTF-8") from error
    query = sql_text.require_one_select(text, settings.database, str(path))
    if settings.watermark is None:
        raise UsageError("data.source.settings.watermark: is missing; name the column that pins the rows")
    at_most = settings.watermark.at_most
    watermark = sql_text.Watermark(settings.watermark.column, at_most, wanted.as_of if at_most is None else None)
    if watermark.at_most is None and watermark.as_of is None:
        raise UsageError("data.source.settings.watermark.at_most: is missing; name the value up to which rows are read")
    asked = Asked(settings, folder, query, watermark, needed_columns(settings, wanted))
    return Source(rows=None, tables=source_tables(blocks(asked), settings, wanted, folder))


def by_hand(path: Path) -> str | None:
    """Return what is to be written where a path has queries, or databases of SQLite; None if it has neither.

    What pins the rows, and when a column is known, stands in no database: a draft could only guess.
    """
    if not path.is_dir():
        return None
    files = sorted(each for each in islice(path.iterdir(), _LOOKED_AT) if each.is_file())
    queries = [each.name for each in files if each.suffix.lower() == ".sql"]
    databases = [each.name for each in files if _begins(each) == _SQLITE_BEGINS]
    if not queries and not databases:
        return None
    url = f"{_OF_SQLITE}{databases[0]}" if databases else "jdbc:postgresql://HOST/DATABASE"
    query = queries[0] if queries else "query.sql"
    return (
        f"{(queries or databases)[0]} is for source jdbc, of which no draft can be made; write by hand data.source: "
        f"{{name: jdbc, settings: {{url: '{url}', query: {query}, watermark: …, target: …, known_at: …}}}} "
        "(docs/data.md, jdbc)"
    )


def _begins(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(len(_SQLITE_BEGINS))
