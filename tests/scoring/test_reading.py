"""What is read of a source to be scored: no target, no part, and no role that a model has no use for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.data.source_rows import raw_shards
from pipeline.errors import UsageError
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.resolving import checked
from pipeline.scoring.reading import asked_of, open_input, require_apart, without_labels
from pipeline.storage.row_columns import RowColumns
from tests.scoring.given import features

ROOT = Path(__file__).parents[2]
TABLE = {
    "name": "csv",
    "settings": {"target": "late", "part": "which", "known_at": {"before": ["age", "place"], "after": ["late"]}},
}


def recipe(**data: Any) -> Recipe:
    layers = recipe_layers(ROOT)
    values = {
        "source": TABLE,
        "path": "nowhere",
        "contracts": "data_contracts/none",
        "classes": ["no", "yes"],
        "features": {"image": None, "age": {"kind": "number"}, "place": {"kind": "category"}},
        **data,
    }
    rest = {
        "augment": {"copies": 0, "steps": []},
        "model": {"name": "mlp", "settings": {}},
        "split": {
            "method": "grouped" if "group" in data.get("roles", {}) else "stratified",
            "train": 0.8,
            "validation": 0.1,
            "test": 0.1,
        },
    }
    layers = layers.overlaid({"data": values, **rest}, "here")
    return checked(layers.values, layers.where)


def read(given: Recipe, path: Path) -> pa.Table:
    asked = asked_of(given)
    source = open_input(given, asked, path, features())
    return pa.concat_tables(raw_shards(source.tables, features(), asked.own))


def test_a_table_needs_no_column_of_targets_or_parts(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("age,place\n1,a\nx,b\n")
    table = read(recipe(), tmp_path / "new.csv")
    assert table["age"].to_pylist() == ["1", "x"]
    assert table["label"].null_count == 2
    assert table["row"].to_pylist() == [1, 2]


def test_a_row_whose_target_nobody_knows_is_read_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("age,place,late,which\n1,a,maybe,\n2,a,yes,nowhere\n3,a,,test\n")
    table = read(recipe(), tmp_path / "new.csv")
    assert table["problem"].null_count == table["label"].null_count == table["detail"].null_count == 3


def test_an_id_does_not_depend_on_the_target(tmp_path: Path) -> None:
    ids = []
    for number, late in enumerate(("yes", "no", "")):
        (tmp_path / f"{number}.csv").write_text(f"age,place,late\n1,a,{late}\n")
        ids += read(recipe(), tmp_path / f"{number}.csv")["id"].to_pylist()
    assert len(set(ids)) == 1


def test_of_the_roles_the_id_stays() -> None:
    asked = asked_of(recipe(roles={"id": "case", "group": "town", "weight": "w", "slices": ["place"], "time": "at"}))
    assert asked.roles.model_dump(exclude_none=True, exclude_defaults=True) == {"id": "case"}
    assert asked.own == RowColumns(is_number=False, roles=("key",))


def test_the_time_stays_where_a_join_is_held_against_it() -> None:
    layers = recipe_layers(ROOT, "configs/flights_late.yaml")
    asked = asked_of(checked(layers.values, layers.where))
    assert asked.roles.model_dump(exclude_none=True, exclude_defaults=True) == {"time": "time_hour"}
    assert "target" not in asked.choice.settings
    assert "joins" in asked.choice.settings


def test_the_time_stays_where_a_value_is_known_at_a_time() -> None:
    source = {"name": "csv", "settings": {"target": "late", "known_at": {"before": ["age"], "seen": ["place"]}}}
    assert asked_of(recipe(source=source, roles={"time": "at"})).roles.time == "at"


def test_a_column_of_a_feature_that_the_model_does_not_take_need_not_be_there(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("age,place\n1,a\n")
    more = {"age": {"kind": "number"}, "place": {"kind": "category"}, "height": {"kind": "number"}, "image": None}
    known = {**TABLE["settings"], "known_at": {"before": ["age", "place", "height"]}}
    given = recipe(features=more, source={"name": "csv", "settings": known})
    assert read(given, tmp_path / "new.csv").num_rows == 1


def test_what_was_said_of_a_label_goes_with_it_and_what_is_said_of_a_problem_stays() -> None:
    table = pa.table(
        {
            "label": pa.array([-1, None, 1], pa.int32()),
            "problem": pa.array([None, "empty", None]),
            "detail": pa.array(["'x' is none of data.classes", "0 bytes", None]),
        }
    )
    [found] = without_labels([table], RowColumns())
    assert found["detail"].to_pylist() == [None, "0 bytes", None]
    assert found["label"].to_pylist() == [None] * 3


@pytest.mark.parametrize(
    ("source", "output"), [("a", "a"), ("a", "a/scores"), ("a/b", "a"), ("a", "b/../a/c")], ids=str
)
def test_scores_that_would_be_rows_of_the_input_are_refused(tmp_path: Path, source: str, output: str) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(UsageError, match="name a folder beside it"):
        require_apart(tmp_path / source, tmp_path / output)


def test_scores_beside_the_input_are_none(tmp_path: Path) -> None:
    require_apart(tmp_path / "a", tmp_path / "ab")
