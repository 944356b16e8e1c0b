"""Settings of tables: what does not fit each other or the recipe is refused before any work, with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.sources.csv import Settings
from pipeline.errors import UsageError
from pipeline.recipe.recipe import PARAMS_FILE, Recipe
from pipeline.recipe.settings import validate
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.recipe.table_source import TimeFormat, check

JOIN = {"name": "weather", "path": "weather.csv", "key": ["origin"], "time": {"columns": ["time_hour"]},
        "tolerance_minutes": 60, "columns": {"temp": "weather_temp"}}  # fmt: skip
KNOWN = {"before": ["carrier", "dest"], "after": ["dep_time", "air_time"], "seen_at": ["gate"]}
TIME = {"time": "time_hour"}


def by_key(*columns: str) -> dict[str, Any]:
    """Return settings with a join that finds temp by columns of the rows."""
    keys = [f"k{number}" for number in range(len(columns))]
    return {"joins": [{**JOIN, "name": "found", "key": keys, "left_key": columns, "columns": {"t": "temp"}}]}


def brings(column: str, lag: int) -> dict[str, Any]:
    """Return settings with a join that brings in a column of the second table, called `before`."""
    changed = {"lag_minutes": lag, "tolerance_minutes": 90, "columns": {column: "before"}}
    return {"joins": [{**JOIN, "name": "found", **changed}]}


def settings(**changed: Any) -> Settings:
    return validate(Settings, {"target": "late", "known_at": KNOWN, **changed}, "params.yaml", "data.source.settings")


def recipe(
    features: dict[str, str | None], roles: dict[str, Any] | None = None, classes: tuple[str, ...] = ("no", "yes")
) -> Recipe:
    """Return the project's recipe with categories by the columns that they are made of."""
    values = parse_yaml(Path(PARAMS_FILE))
    values["data"]["features"] = {
        name: {"kind": "category", "settings": {"column": column}} for name, column in features.items()
    }
    values["data"]["classes"], values["data"]["roles"] = list(classes), roles or {}
    return validate(Recipe, values, PARAMS_FILE)


def test_features_of_what_is_known_before_fit() -> None:
    check(settings(), recipe({"carrier": None, "to": "dest"}))
    check(settings(joins=[JOIN]), recipe({"gate": None, "weather_temp": None}, {"time": "time_hour"}))
    check(settings(target={"column": "delay", "edges": [29.5]}), recipe({"carrier": None}))
    check(settings(), recipe({"carrier": None}, {"weight": "passengers"}))
    check(settings(**by_key("late")), recipe({"carrier": None}, TIME))  # no feature comes of it
    check(settings(**by_key("dest", "unlisted")), recipe({"temp": None}, TIME))
    known = {**KNOWN, "seen_at": ["gate", "temp"]}
    check(settings(**by_key("gate"), known_at=known), recipe({"temp": None}, TIME))
    check(settings(), recipe({"carrier": None}, {"time": "dep_time"}))  # the order of rows alone
    for column in ("late", "air_time"):
        check(settings(**brings(column, lag=60)), recipe({"before": None}, TIME))  # what the last hour's row had
        check(settings(**brings(column, lag=0)), recipe({"carrier": None}, TIME))  # no feature comes of it
    [by_when_it_is_known] = brings("gate", lag=0)["joins"]
    by_when_it_is_known["time"] = {"columns": ["seen_at"]}
    check(settings(joins=[by_when_it_is_known]), recipe({"before": None}, TIME))


@pytest.mark.parametrize(
    ("changed", "features", "roles", "said"),
    [
        ({"target": None}, {"carrier": None}, {}, "data.source.settings.target: is missing"),
        ({}, {"late": None}, {}, "data.features.late: feature 'late' is the target: a model would be told the answer"),
        ({}, {"x": "late"}, {}, "feature 'x', column 'late', is the target"),
        ({}, {"dep_time": None}, {}, "'dep_time' is known only afterwards .data.source.settings.known_at.after."),
        ({}, {"x": "air_time"}, {}, "data.features.x: feature 'x', column 'air_time', is known only afterwards"),
        ({}, {"carier": None}, {}, "'carier' is not in data.source.settings.known_at .did you mean 'carrier'"),
        ({"known_at": {}}, {"carrier": None}, {}, "'carrier' is not in data.source.settings.known_at; list it"),
        ({}, {"gate": None}, {}, "data.roles.time: is needed: feature 'gate' is known at the time in column 'seen_at'"),
        ({"joins": [JOIN]}, {"carrier": None}, {}, "data.roles.time: is needed: data.source.settings.joins"),
        ({"time": {"zone": "UTC", "columns": ["a"]}}, {"carrier": None}, {}, "data.roles.time: is needed: a name"),
        ({"target": {"column": "late", "edges": [1, 2]}}, {"carrier": None}, {}, "2 of them make 3 classes, and .* 2"),
        ({}, {"carrier": None}, {"weight": "late"}, "data.roles.weight: 'late' is the target"),
        ({}, {"x": "dest"}, {"weight": "dest"}, "data.roles.weight: 'dest' is feature 'x', too, and who asks"),
        (by_key("late"), {"x": "temp"}, TIME, "joins, found: its key 'late' is the target: .* by feature 'x'"),
        (by_key("air_time"), {"x": "temp"}, TIME, "key 'air_time' is known only afterwards .* so is feature 'x'"),
        (by_key("dest", "gate"), {"temp": None}, TIME, "key 'gate' is known at 'seen_at'.*; list 'temp' under"),
        ({"joins": [JOIN]}, {"weather_temp": None}, {"time": "dep_time"}, "data.roles.time: 'dep_time' is known only"),
        ({"joins": [JOIN]}, {"weather_temp": None}, {"time": "late"}, "data.roles.time: 'late' is the target .*; name"),
        ({}, {"carrier": None}, {"time": "late"}, "data.roles.time: 'late' is the target"),
        ({"time": {"format": "%Y-%m-%d %H:%M", "zone": "UTC", "columns": ["day", "late"]}}, {"carrier": None},
         {"time": "departs"}, "data.source.settings.time.columns: 'late' is the target"),
        ({}, {"carrier": None}, {"id": "late"}, "data.roles.id: 'late' is the target"),
        ({}, {"carrier": None}, {"group": "late"}, "data.roles.group: 'late' is the target"),
        ({}, {"carrier": None}, {"slices": ["dest", "late"]}, "data.roles.slices: 'late' is the target"),
        (brings("late", lag=0), {"x": "before"}, TIME, "joins, found: its column 'late' is called like what is the"),
        (brings("air_time", lag=0), {"before": None}, TIME, "'air_time' is called like what is known only afterwards"),
        (brings("gate", lag=0), {"before": None}, TIME, "its column 'gate' is called like what is known at 'seen_at'"),
        ({}, {"gate": None}, {"time": "dep_time"}, "data.roles.time: 'dep_time' is known only afterwards"),
        ({"time": {"format": "%Y-%m-%d %H:%M", "zone": "UTC", "columns": ["day", "dep_time"]}}, {"gate": None},
         {"time": "departs"}, "data.roles.time: 'dep_time' is known only afterwards"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_recipe_is_refused_with_its_reason(
    changed: dict[str, Any], features: dict[str, str | None], roles: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        check(settings(**changed), recipe(features, roles))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"target": {"column": "late", "edges": [2, 1]}}, "each edge must be above the one before it"),
        ({"target": {"column": "late", "edges": [1, 1]}}, "each edge must be above the one before it"),
        ({"target": {"column": "late", "edges": [float("inf")]}}, "a finite number is needed"),
        ({"known_at": {"before": ["a"], "after": ["a"]}}, "'a' stands in before and in after"),
        ({"known_at": {"before": ["a", "a"]}}, "'a' stands in before and in before"),
        ({"time": {"zone": "Europe/Berlni"}}, "there is no such zone .did you mean 'Europe/Berlin'"),
        ({"time": {"zone": "../etc/passwd"}}, "there is no such zone"),
        ({"time": {"zone": "Europe"}}, "there is no such zone"),
        ({"time": {"format": "%Y-%m-%d"}}, "zone: is needed, as the format has no offset"),
        ({"time": {"format": "%Y-%m", "zone": "UTC"}}, "a year .%Y., one month .* and a day .%d. are needed"),
        ({"time": {"format": "%Y-%m-%d %b", "zone": "UTC"}}, "one month"),
        ({"time": {"format": "%Y-%m-%d %Q", "zone": "UTC"}}, "%Q is none of %Y, %m"),
        ({"time": {"format": "%Y-%m-%d%", "zone": "UTC"}}, "% is none of"),
        ({"time": {"format": "%Y-%m-%d %d", "zone": "UTC"}}, "%d stands there twice"),
        ({"time": {"format": "%Y-%m-%d %I", "zone": "UTC"}}, "%I goes with %p"),
        ({"time": {"format": "%Y-%m-%d %H", "zone": "UTC", "columns": ["a", "b", "c"]}}, "3 columns, and .* 2 words"),
        ({"time": {"columns": ["a", "b"]}}, "2 columns, and format has 1 words"),
        ({"joins": [{**JOIN, "time": {}}]}, "time.columns: is needed"),
        ({"joins": [{**JOIN, "lag_minutes": 61}]}, "tolerance_minutes: is below lag_minutes"),
        ({"joins": [{**JOIN, "left_key": ["a", "b"]}]}, "left_key: 2 columns, and key has 1"),
        ({"joins": [{**JOIN, "path": "/etc/passwd"}]}, "path: leads out of data.path; name it relative to that folder"),
        ({"joins": [{**JOIN, "path": "a/../../b.csv"}]}, "path: leads out of data.path; name it relative"),
        ({"joins": [JOIN, JOIN]}, "joins: 'weather' stands there twice"),
        ({"joins": [JOIN, {**JOIN, "name": "other"}]}, "joins, columns: 'weather_temp' stands there twice"),
        ({"delimiter": '"'}, "delimiter and quote must differ"),
        ({"delimiter": "\n"}, "an ASCII character is needed"),
        ({"delimiter": ";;"}, "at most 1 characters are allowed"),
        ({"header": []}, "names are needed, or true"),
        ({"header": ["a", "a"]}, "'a' stands there twice"),
        ({"encoding": "utf-16"}, "must be 'utf-8', 'latin-1' or 'cp1252'"),
        ({"files": []}, "must not be empty"),
    ],
)  # fmt: skip
def test_settings_that_contradict_themselves_are_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings(**changed)


def test_settings_are_the_same_written_out_and_read_back() -> None:
    made = settings(
        joins=[JOIN], target={"column": "late", "edges": [1, 2.5]}, header=["a", "b"],
        time={"format": "%Y-%m-%d %H", "zone": "UTC", "columns": ["a", "b"]},
    )  # fmt: skip
    for each in (made, settings()):
        assert Settings.model_validate(json.loads(json.dumps(each.model_dump(mode="json")))) == each


def test_a_bare_name_is_a_target() -> None:
    assert settings().target == settings(target={"column": "late"}).target


def test_a_format_has_a_word_for_each_column() -> None:
    assert TimeFormat(format="%Y %m %d", zone="UTC", columns=("a", "b", "c")).words == ("%Y", "%m", "%d")
    assert TimeFormat(format="%Y %m %d", zone="UTC").words == ("%Y %m %d",)


def test_what_a_join_brings_is_known_before() -> None:
    made = settings(joins=[JOIN])
    assert [made.group_of(column) for column in ("weather_temp", "carrier", "dep_time", "gate", "huh")] == [
        "before", "before", "after", "seen_at", None,
    ]  # fmt: skip
