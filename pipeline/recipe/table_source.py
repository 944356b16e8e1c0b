"""What every source of tables has in its settings, and what can be refused of it before any work.

    source:
      name: csv
      settings:
        target: {column: arr_delay, edges: [29.5]}     # classes 0 and 1: at most 29.5, and above
        known_at: {before: [carrier, dest, hour], after: [dep_time, air_time]}
        time: {format: "%Y %m %d %H %M", zone: America/New_York, columns: [year, month, day, hour, minute]}

`known_at` says of each column when its value is known: `before` the prediction, `after` it, or at the time that stands
in a column of the same row. A feature of what is known only afterwards makes a model that is right on paper alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.errors import UsageError, nearest
from pipeline.recipe.settings import Settings

if TYPE_CHECKING:
    from pipeline.recipe.recipe import Recipe, Roles

BEFORE, AFTER = "before", "after"
ISO = "iso"
DIRECTIVES = "YmdHIMSfpbBz%"  # of a time's format, as strptime has them
_KEY = "data.source"
_LONGEST_NAME = 1000

Edge = Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False)]
Column = Annotated[str, Field(max_length=_LONGEST_NAME)]
Columns = Annotated[tuple[Column, ...], Field(strict=False, max_length=10_000)]


def inside(path: str) -> str:
    """Return the path of a file in `data.path`, relative to it; raise ValueError for one that leads out of it.

    What lies elsewhere is no dependency of a stage: a change of it would not be seen.
    """
    if path.startswith("/") or ".." in PurePosixPath(path).parts or "\0" in path:
        raise ValueError("leads out of data.path; name it relative to that folder")
    return path


class Target(Settings):
    """The column of the target. `edges` cut a number into classes: of n edges, n + 1."""

    column: Column
    decimal: Literal[".", ","] = Field(default=".", description="what stands before a number's fraction")
    edges: tuple[Edge, ...] = Field(
        default=(), strict=False, max_length=1000, description="a value above an edge is of the next class"
    )

    @model_validator(mode="before")
    @classmethod
    def _bare_column(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @field_validator("edges")
    @classmethod
    def _edges_rise(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(left >= right for left, right in pairwise(edges)):
            raise ValueError("each edge must be above the one before it")
        return edges


class TimeFormat(Settings):
    """How a time is written: `iso` (ISO 8601: 2013-11-03T01:30:00-05:00), or a format of strptime's directives."""

    format: str = Field(default=ISO, min_length=1, max_length=200, description="iso, or like %Y-%m-%d %H:%M")
    zone: str | None = Field(
        default=None,
        max_length=100,
        description="zone of the times that have no offset of their own, like Europe/Berlin or UTC; null: all have one",
    )
    columns: Columns = Field(
        default=(),
        description="columns that together are the time that roles.time names, each a word of the format "
        "(%Y-%m-%d %H:%M: a day's, and an hour's); none: roles.time names a column",
    )

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, zone: str | None) -> str | None:
        from zoneinfo import ZoneInfo, available_timezones

        if zone is not None:
            try:
                ZoneInfo(zone)
            except (KeyError, ValueError, OSError) as error:
                known = available_timezones()
                meant = nearest(zone, known)
                advice = meant if "did you mean" in meant else " (like Europe/Berlin)"
                raise ValueError(f"there is no such zone{advice}") from error
        return zone

    @property
    def words(self) -> tuple[str, ...]:
        """The formats of its columns, or of the one column that it is in."""
        return tuple(self.format.split(" ")) if len(self.columns) > 1 else (self.format,)

    @model_validator(mode="after")
    def _tells_a_moment(self) -> Self:
        if len(self.words) != len(self.columns or self.words):
            has = f"{len(self.columns)} columns, and format has {len(self.words)} words"
            raise ValueError(f"columns: {has}; give each column its word, like %Y-%m-%d %H:%M to two")
        if self.format == ISO:
            return self
        found = re.findall(r"%(.?)", self.format, re.DOTALL)
        for each in found:
            if not each or each not in DIRECTIVES:
                raise ValueError(f"format: %{each} is none of {', '.join(f'%{one}' for one in DIRECTIVES)}")
            if each != "%" and found.count(each) > 1:
                raise ValueError(f"format: %{each} stands there twice")
        months = sum(each in found for each in "mbB")
        if "Y" not in found or "d" not in found or months != 1:
            raise ValueError("format: a year (%Y), one month (%m, %b or %B) and a day (%d) are needed")
        if ("I" in found) != ("p" in found) or {"I", "H"} <= set(found):
            raise ValueError("format: %I goes with %p, and not with %H")
        if "z" not in found and self.zone is None:
            raise ValueError("zone: is needed, as the format has no offset (%z); say where the times are of, like UTC")
        return self


class Dialect(Settings):
    """The one way in which a file of delimited text is written."""

    delimiter: str = Field(default=",", min_length=1, max_length=1, description="between two values: , ; | or a tab")
    quote: str | None = Field(
        default='"',
        min_length=1,
        max_length=1,
        description="around a value with delimiters or line breaks in it; inside, it is doubled; null: none, ever",
    )
    header: Literal[True] | Columns = Field(
        default=True, description="true: the first line names the columns; else their names, and all lines are rows"
    )
    encoding: Literal["utf-8", "latin-1", "cp1252"] = Field(
        default="utf-8", description="how its text is encoded; of UTF-8 a byte order mark is passed over"
    )
    largest_cell_bytes: int = Field(
        default=2**20, ge=1, le=2**24, description="largest value; a row with a larger one cannot be used"
    )

    @field_validator("delimiter", "quote")
    @classmethod
    def _is_ascii(cls, sign: str | None) -> str | None:
        if sign is not None and (not sign.isascii() or sign in "\0\r\n"):
            raise ValueError("an ASCII character is needed, and no line break")
        return sign

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote must differ")
        if self.header is not True:
            _require_different(self.header, "header")
            if not self.header:
                raise ValueError("header: names are needed, or true")
        return self


class Join(Dialect):
    """A second table, of delimited text: of each key, the last row that was there at a time."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="what it is called in messages")
    path: str = Field(min_length=1, max_length=4096, description="its file, relative to data.path")
    key: Columns = Field(min_length=1, description="its columns that must be equal …")
    left_key: Columns = Field(default=(), description="… to these of the rows; none: they are called the same")
    time: TimeFormat = Field(description="its times: format, zone, and `columns`, which it must name")
    lag_minutes: int = Field(
        default=0, ge=0, le=100_000_000, description="its row must be at least so old when the row is asked about …"
    )
    tolerance_minutes: int = Field(
        ge=0, le=100_000_000, description="… and at most so old; where there is none, its values are missing"
    )
    columns: dict[Column, Column] = Field(
        min_length=1, max_length=1000, description="its columns that are taken, and what they are called here"
    )
    largest_mib: int = Field(default=256, ge=1, le=4096, description="largest size, unpacked: it is held in memory")
    largest_ratio: int = Field(default=200, ge=1, le=1_000_000, description="how many times its size it may unpack to")

    @field_validator("path")
    @classmethod
    def _path_stays_inside(cls, path: str) -> str:
        return inside(path)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.left_key and len(self.left_key) != len(self.key):
            raise ValueError(f"left_key: {len(self.left_key)} columns, and key has {len(self.key)}")
        if not self.time.columns:
            raise ValueError("time.columns: is needed: the column, or columns, of its times")
        if self.tolerance_minutes < self.lag_minutes:
            raise ValueError("tolerance_minutes: is below lag_minutes, so no row could ever fit")
        return self


class TableSettings(Settings):
    """Settings that every source of tables has."""

    target: Target | None = Field(default=None, description="column of the target, or {column: …, edges: […]}")
    missing: Annotated[tuple[str, ...], Field(strict=False, max_length=1000)] = Field(
        default=("",), description="texts that say that a value is missing; all others are values, NA and None, too"
    )
    known_at: dict[Column, Columns] = Field(
        default_factory=dict,
        max_length=1000,
        description="columns by when they are known: before the prediction, after it, or by the column of the time",
    )
    time: TimeFormat = Field(default_factory=TimeFormat, description="how times are written")
    part: Column | None = Field(
        default=None, description="column that says train, validation or test (split.method: source); null: none"
    )
    joins: tuple[Join, ...] = Field(
        default=(), strict=False, max_length=100, description="second tables, as of a time before each row's"
    )
    largest_file_mib: int = Field(
        default=64, ge=1, le=1024, description="largest picture that is read for a column of paths, MiB"
    )

    @field_validator("known_at")
    @classmethod
    def _once_each(cls, known_at: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        groups: dict[str, str] = {}
        for group, columns in known_at.items():
            for column in columns:
                if column in groups:
                    raise ValueError(f"{column!r} stands in {groups[column]} and in {group}; it is known at one time")
                groups[column] = group
        return known_at

    @model_validator(mode="after")
    def _joins_differ(self) -> Self:
        _require_different([join.name for join in self.joins], "joins")
        _require_different([name for join in self.joins for name in join.columns.values()], "joins, columns")
        return self

    @property
    def predicted(self) -> dict[str, Any] | None:
        """What is predicted, as manifests have it: the target's column, and the edges that cut it into classes."""
        return None if self.target is None else self.target.model_dump(mode="json", include={"column", "edges"})

    @property
    def joined(self) -> frozenset[str]:
        """The columns that joins bring."""
        return frozenset(name for join in self.joins for name in join.columns.values())

    def group_of(self, column: str) -> str | None:
        """Return when a column is known: `before`, `after`, the column of its time; None if nothing says it.

        What a join brings was there before the row's time, whatever it is.
        """
        found = next((group for group, columns in self.known_at.items() if column in columns), None)
        return BEFORE if found is None and column in self.joined else found


def check(settings: TableSettings, recipe: Recipe) -> None:
    """Raise UsageError for a target, features, roles or joins that settings of a table and a recipe do not fit."""
    _check_target(settings, recipe)
    features = {name: feature.settings.get("column") or name for name, feature in recipe.data.features.items()}
    _check_roles(settings, recipe.data.roles)
    _check_weight(features, recipe.data.roles.weight)
    _check_features(settings, features)
    _check_joins(settings, features)
    if recipe.data.roles.time is None:
        _check_without_time(settings, features)
    else:
        _check_time(settings, features, recipe.data.roles.time)


def _check_target(settings: TableSettings, recipe: Recipe) -> None:
    target, classes = settings.target, recipe.data.classes
    if target is None:
        raise UsageError(f"{_KEY}.settings.target: is missing; name the column of what is to be predicted")
    if target.edges and len(classes) != len(target.edges) + 1:
        needed = f"{len(target.edges) + 1} classes, and data.classes has {len(classes)}"
        raise UsageError(f"{_KEY}.settings.target.edges: {len(target.edges)} of them make {needed}")


def _check_roles(settings: TableSettings, roles: Roles) -> None:
    """Refuse a target that has a role, too: what a row is must be known without what is to be predicted of it."""
    times = settings.time.columns
    named = [("data.roles.id", roles.id), ("data.roles.group", roles.group), ("data.roles.weight", roles.weight)]
    named += [(f"{_KEY}.settings.time.columns", each) for each in times] or [("data.roles.time", roles.time)]
    named += [("data.roles.slices", each) for each in roles.slices]
    for key, column in named:
        if settings.target is not None and column == settings.target.column:
            raise UsageError(f"{key}: '{column}' is the target ({_KEY}.settings.target); name another column")


def _check_weight(features: Mapping[str, str], weight: str | None) -> None:
    """Refuse a weight that is a feature, too: it says how much is learned from a row, and is not learned from."""
    if weight is None:
        return
    for name, column in features.items():
        if column == weight:
            raise UsageError(
                f"data.roles.weight: '{weight}' is feature '{name}', too, and who asks the model has no weights; take "
                "one of them out"
            )


def _check_features(settings: TableSettings, features: Mapping[str, str]) -> None:
    where = f"{_KEY}.settings.known_at"
    for name, column in features.items():
        group = settings.group_of(column)
        what = f"feature '{name}'" if name == column else f"feature '{name}', column '{column}',"
        if settings.target is not None and column == settings.target.column:
            raise UsageError(
                f"data.features.{name}: {what} is the target: a model would be told the answer; take it out"
            )
        if group == AFTER:
            raise UsageError(
                f"data.features.{name}: {what} is known only afterwards ({where}.after), so that nobody has it when "
                "the model is asked; take it out"
            )
        if group is None:
            listed = sorted({each for columns in settings.known_at.values() for each in columns})
            meant = nearest(column, listed)
            advice = meant if "did you mean" in meant else ""
            raise UsageError(
                f"data.features.{name}: {what} is not in {where}{advice}; list it under before, if it is known before "
                "the prediction, else under after: then it can be no feature"
            )


def _check_joins(settings: TableSettings, features: Mapping[str, str]) -> None:
    """Refuse features that a join finds by what is known only later: who knows them, knows that, too.

    So are features of a column that is called like the target, or like what is known only afterwards, without a lag:
    of a second table with the same rows, a row would find its own.
    """
    for join in settings.joins:
        where = f"{_KEY}.settings.joins, {join.name}"
        called = {column: theirs for theirs, column in join.columns.items()}
        for name, column in sorted(features.items()):
            what = _known_later(settings, join, called[column]) if column in called else None
            if join.lag_minutes == 0 and what is not None:
                raise UsageError(
                    f"{where}: its column '{called[column]}' is called like what is {what}, and with lag_minutes: 0 "
                    f"feature '{name}' may be a row's own; set lag_minutes to how long it takes to be known, or take "
                    "it out"
                )
        for name in sorted(name for name, column in features.items() if column in join.columns.values()):
            for key in join.left_key or join.key:
                if settings.target is not None and key == settings.target.column:
                    raise UsageError(
                        f"{where}: its key '{key}' is the target: a model would be told the answer by feature "
                        f"'{name}'; take another key, or the feature out"
                    )
                group = settings.group_of(key)
                if group in (BEFORE, None) or group == settings.group_of(features[name]):
                    continue
                if group == AFTER:
                    raise UsageError(
                        f"{where}: its key '{key}' is known only afterwards ({_KEY}.settings.known_at.after), and so "
                        f"is feature '{name}', which is found by it; take another key, or the feature out"
                    )
                raise UsageError(
                    f"{where}: its key '{key}' is known at '{group}', and so is feature '{name}', which is found by "
                    f"it; list '{features[name]}' under {_KEY}.settings.known_at.{group}, too"
                )


def _known_later(settings: TableSettings, join: Join, column: str) -> str | None:
    """Return what a column of a second table is if a row of its name is known later than the row; None if it is not.

    Where the second table is joined by the time at which it is known, nothing is seen before that.
    """
    if settings.target is not None and column == settings.target.column:
        return "the target"
    group = next((group for group, columns in settings.known_at.items() if column in columns), BEFORE)
    if group == BEFORE or join.time.columns == (group,):
        return None
    return f"known only afterwards ({_KEY}.settings.known_at.after)" if group == AFTER else f"known at '{group}'"


def _check_time(settings: TableSettings, features: Mapping[str, str], role: str) -> None:
    """Refuse a time of rows that is known only afterwards where it says what was known before."""
    if not any(
        settings.group_of(column) not in (BEFORE, AFTER) or column in settings.joined for column in features.values()
    ):
        return
    for column in settings.time.columns or (role,):
        if settings.group_of(column) == AFTER:
            raise UsageError(
                f"data.roles.time: '{column}' is known only afterwards ({_KEY}.settings.known_at.after), and what "
                "joins bring, or is known at a time, is held against it; name a time that is known before the "
                "prediction"
            )


def _check_without_time(settings: TableSettings, features: Mapping[str, str]) -> None:
    """Refuse what needs the time of a row, which no role names."""
    for name, column in features.items():
        group = settings.group_of(column)
        if group not in (BEFORE, AFTER):
            raise UsageError(
                f"data.roles.time: is needed: feature '{name}' is known at the time in column '{group}', and that is "
                "held against the row's time"
            )
    if settings.joins:
        raise UsageError(f"data.roles.time: is needed: {_KEY}.settings.joins looks for what was there before it")
    if settings.time.columns:
        raise UsageError(f"data.roles.time: is needed: a name for the time of {_KEY}.settings.time.columns")


def _require_different(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what}: {name!r} stands there twice")
        seen.add(name)
