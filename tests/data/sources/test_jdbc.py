"""What a recipe may say of a database: no password in it, nothing that is not pinned, no way out of the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.data.sources import jdbc
from pipeline.data.sources.jdbc import Settings
from pipeline.data.wanted import Wanted, WantedFeature
from pipeline.errors import DataError, UsageError
from pipeline.recipe.recipe import IngestParams, Roles

SQLITE, POSTGRESQL = "jdbc:sqlite:flights.db", "jdbc:postgresql://warehouse:5432/flights"
PINNED = {"column": "at", "at_most": "2026-11-01"}


def settings(**changes: Any) -> Settings:
    complete = {"url": SQLITE, "target": "z", "known_at": {"before": ["x"]}, "watermark": PINNED, **changes}
    return Settings.model_validate(complete)


@pytest.mark.parametrize(
    "url",
    [SQLITE, "jdbc:sqlite:dumps/a b.db", POSTGRESQL, "jdbc:postgresql://[::1]/f", POSTGRESQL + "?sslmode=verify-full"],
)
def test_files_of_sqlite_and_servers_of_postgresql_are_known(url: str) -> None:
    assert settings(url=url).database == url.split(":")[1]


@pytest.mark.parametrize(
    "url",
    ["jdbc:mysql://warehouse/flights", "jdbc:sqlite::memory:", "jdbc:sqlite:", "jdbc:sqlite:file:a.db?mode=rwc",
     "flights.db", "jdbc:sqlite:a.db?enable_load_extension=true", "jdbc:postgresql:flights",
     POSTGRESQL + "?socketFactory=a.b.C",
     POSTGRESQL + "?sslmode=require&loggerFile=/etc/x", "jdbc:postgresql://a,b/flights", POSTGRESQL + "\n"],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match=r"must be jdbc:sqlite:<file> or jdbc:postgresql://<host>"):
        settings(url=url)


@pytest.mark.parametrize(
    "url",
    ["jdbc:postgresql://me:secret@warehouse/flights", POSTGRESQL + "?user=me&password=secret", POSTGRESQL + "?user=me"],
)
def test_user_and_password_are_no_part_of_a_recipe(url: str) -> None:
    with pytest.raises(ValidationError, match="no user and no password; name their variables in user_variable and"):
        settings(url=url)


@pytest.mark.parametrize("name", ["PASS WORD", "", "1A", "secret!"])
def test_a_variable_has_the_name_of_one(name: str) -> None:
    with pytest.raises(ValidationError):
        settings(url=POSTGRESQL, password_variable=name)


@pytest.mark.parametrize("query", ["/etc/passwd", "../query.sql", "a/../../query.sql"])
def test_the_query_lies_in_the_folder(query: str) -> None:
    with pytest.raises(ValidationError, match=r"leads out of data\.path"):
        settings(query=query)


@pytest.mark.parametrize("file", ["/srv/flights.db", "../flights.db", "a/../../flights.db"])
def test_the_file_of_sqlite_lies_in_the_folder(file: str) -> None:
    with pytest.raises(ValidationError, match=r"leads out of data\.path; name it relative to that folder"):
        settings(url=f"jdbc:sqlite:{file}")


def test_a_link_to_a_database_elsewhere_is_not_followed(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "secret.db"
    folder.mkdir()
    elsewhere.write_bytes(b"")
    (folder / "query.sql").write_text("SELECT x, z, at FROM flights")
    (folder / "flights.db").symlink_to(elsewhere)
    wanted = Wanted(("0", "1"), (WantedFeature("x", "number", "x"),))
    with pytest.raises(DataError, match=r"flights\.db: a link that leads out of .*; put the database itself there"):
        jdbc.open_source(settings(), folder, wanted)


class _Recipe:
    """What the check asks of a recipe."""

    def __init__(self, as_of: str | None) -> None:
        self.ingest = IngestParams(as_of=as_of)
        self.data = self
        self.classes = ("0", "1")
        self.roles = Roles()
        self.features = {"x": type("Feature", (), {"settings": {}})}


@pytest.mark.parametrize(
    ("watermark", "as_of", "said"),
    [
        (None, None, "watermark: is missing: a database changes while the recipe stays"),
        (None, "2026-11-01", "watermark: is missing: a database changes while the recipe stays"),
        ({"column": "at"}, None, "watermark.at_most: is missing, and so is ingest.as_of"),
        (PINNED, "2026-11-01", "watermark.at_most: and ingest.as_of both pin the rows"),
    ],
)
def test_rows_that_nothing_pins_are_refused_when_the_recipe_is_checked(
    watermark: Any, as_of: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=f"data.source.settings.{said}"):
        jdbc.check(settings(watermark=watermark), _Recipe(as_of))  # type: ignore[arg-type]


@pytest.mark.parametrize(("watermark", "as_of"), [(PINNED, None), ({"column": "at"}, "2026-11-01")])
def test_one_pin_is_enough(watermark: Any, as_of: str | None) -> None:
    jdbc.check(settings(watermark=watermark), _Recipe(as_of))  # type: ignore[arg-type]


def test_sqlite_has_no_users() -> None:
    with pytest.raises(UsageError, match="SQLite has no users"):
        jdbc.check(settings(user_variable="FLIGHTS_USER"), _Recipe(None))  # type: ignore[arg-type]


def test_the_query_is_looked_at_before_anything_is_connected_to(tmp_path: Path) -> None:
    wanted = Wanted(("0", "1"), (WantedFeature("x", "number", "x"),))
    with pytest.raises(DataError, match=r"query\.sql: there is no such file; data\.source\.settings\.query names"):
        jdbc.open_source(settings(), tmp_path, wanted)
    (tmp_path / "query.sql").write_text("DROP TABLE flights")
    with pytest.raises(UsageError, match=r"query\.sql:1: begins with 'DROP'"):
        jdbc.open_source(settings(), tmp_path, wanted)
    (tmp_path / "query.sql").write_bytes(b"SELECT '\xe9'")
    with pytest.raises(DataError, match=r"query\.sql: no UTF-8 at byte 8"):
        jdbc.open_source(settings(), tmp_path, wanted)


def test_a_link_to_a_query_elsewhere_is_not_followed(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "secret"
    folder.mkdir()
    elsewhere.write_text("root:x:0")
    (folder / "query.sql").symlink_to(elsewhere)
    with pytest.raises(DataError, match=r"query\.sql: a link that leads out of .*data; put the query itself there"):
        jdbc.open_source(settings(), folder, Wanted(("0", "1")))
    (folder / "mine.sql").write_text("SELECT 1")
    (folder / "query.sql").unlink()
    (folder / "query.sql").symlink_to("mine.sql")
    assert jdbc.open_source(settings(), folder, Wanted(("0", "1"))).rows is None
