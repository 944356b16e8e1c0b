"""What the columns of a table are to be, by which rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.features import category, number
from pipeline.drafting.columns import Column, count_columns
from pipeline.drafting.table_choosing import TableChoice, choose, number_gate, splits, table_training
from pipeline.errors import DataError, UsageError
from pipeline.recipe.fitting import ROW_COLUMNS
from pipeline.recipe.recipe import FEATURE, SplitParams, TrainParams
from pipeline.recipe.slots import Choice, Feature

ROWS = 60
KINDS = [("ab"[row % 2]) for row in range(ROWS)]
SIZES = [f"{row * 1.5:.2f}" for row in range(ROWS)]


def columns(values: Mapping[str, Sequence[str | None]]) -> list[Column]:
    table = pa.table({f"c{place}": pa.array(texts, pa.string()) for place, texts in enumerate(values.values())})
    return count_columns([table], list(values))[0]


def chosen(target: str | None = "kind", **values: Sequence[str | None]) -> TableChoice:
    return choose(columns({"kind": KINDS, **values}), target)


def feature(texts: Sequence[str | None]) -> Any:
    found = chosen(a=SIZES, it=texts)
    return found.features.get("it", found.left_out.get("it"))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (SIZES, {"kind": "number"}),
        ([*SIZES[1:], ""], {"kind": "number", "settings": {"missing": "median", "indicator": True}}),
        ([*SIZES[1:], "NA"], {"kind": "number", "settings": {"missing": "median", "indicator": True}}),
        ([text.replace(".", ",") for text in SIZES], {"kind": "number", "settings": {"decimal": ","}}),
        ([str(row * row) for row in range(ROWS)], {"kind": "number"}),
        ([str(row % 10) for row in range(ROWS)], {"kind": "category"}),
        ([str(row % 11) for row in range(ROWS)], {"kind": "number"}),
        ([f"{row % 20:03}" for row in range(ROWS)], {"kind": "category"}),
        (["None", "minor", "major"] * 20, {"kind": "category"}),
        (["red", "", "blue"] * 20, {"kind": "category", "settings": {"missing": "unknown"}}),
        (["1.5", ""] * 30, {"kind": "category", "settings": {"missing": "unknown"}}),
        (["red"] * ROWS, "has the same value in every row"),
        (["7.5"] * ROWS, "has the same value in every row"),
        ([""] * ROWS, "has no value"),
        (["NA", "-", ""] * 20, "has no value"),
        ([*SIZES[:9], *[""] * 51], "has a value in 9 rows alone"),
        ([f"name{row}" for row in range(ROWS)], "has another text in nearly every row (60 of them)"),
        ([str(row) for row in range(ROWS)], "counts the rows"),
        ([str(2**60 + 2**20 * row) for row in range(ROWS)],
         "holds whole numbers of so many digits that they are names, and no numbers"),
        ([f"2020-01-{1 + row % 28:02}" for row in range(ROWS)],
         "holds dates: give it a role, data.roles.time, or make numbers of it"),
    ],
)  # fmt: skip
def test_a_column_is_what_all_of_its_texts_are(texts: Sequence[str | None], expected: Any) -> None:
    assert feature(texts) == expected


def test_texts_of_several_words_nearly_all_different_are_text() -> None:
    found = feature([f"the word number {row} is here" for row in range(ROWS)])
    assert found["kind"] == "text"
    assert "missing" not in found["settings"]
    assert (
        feature([*(f"the word number {row} is here" for row in range(ROWS - 1)), ""])["settings"]["missing"] == "empty"
    )


def test_a_column_without_a_name_is_left_out_by_reason() -> None:
    assert choose(columns({"a": SIZES, "": SIZES, "kind": KINDS}), "kind").left_out == {"": "has no name"}


def test_the_id_is_a_role_and_no_feature() -> None:
    found = chosen(id=[str(row) for row in range(ROWS)], size=SIZES)
    assert found.id == "id"
    assert list(found.features) == ["size"]


def test_the_target_is_named_or_called_like_one_or_the_last() -> None:
    named = columns({"size": SIZES, "Label": KINDS, "width": SIZES})
    assert choose(named, "width").target == "width"
    by_name = choose(named, None)
    assert (by_name.target, by_name.unsure[0]) == (
        "Label", "the target is taken to be column 'Label', by its name: else --target COLUMN"
    )  # fmt: skip
    last = choose(columns({"size": SIZES, "colour": KINDS}), None)
    assert last.target == "colour"
    assert last.unsure[0].startswith("the target is taken to be the last column, 'colour'")
    with pytest.raises(UsageError, match=r"no column 'widht' \(did you mean 'width'\?\)"):
        choose(named, "widht")


@pytest.mark.parametrize(
    ("texts", "classes"),
    [
        (KINDS, ("a", "b")),
        (["10", "9"] * 30, ("9", "10")),
        (["1", "0", "NA"] * 20, ("0", "1")),
        (["None", "Minor"] * 30, ("Minor", "None")),
        (SIZES, ()),
        ([str(row % 21) for row in range(ROWS)], ()),
        ([" a ", "b"] * 30, ("a", "b")),
    ],
)
def test_a_target_is_a_class_or_a_number(texts: Sequence[str], classes: tuple[str, ...]) -> None:
    assert choose(columns({"size": SIZES, "goal": texts}), "goal").classes == classes


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["a"] * ROWS, "needs two values of 4 rows or more, and of 1 1 has so many"),
        ([f"v{row // 3}" for row in range(ROWS)], "needs two values of 4 rows or more, and of 20 none has so many"),
        (["7.5"] * ROWS, "is 7.5 in every row"),
        (["7"] * ROWS, "is 7 in every row"),
        ([""] * ROWS, "has no value"),
    ],
)
def test_a_target_that_nothing_can_be_learned_of_is_refused(texts: Sequence[str], why: str) -> None:
    with pytest.raises(DataError, match=why):
        choose(columns({"size": SIZES, "goal": texts}), "goal")


def test_a_thousand_classes_are_the_most() -> None:
    rows = 4 * 1001
    named = columns({"size": [f"{row}.5" for row in range(rows)], "goal": [f"v{row % 1001}" for row in range(rows)]})
    with pytest.raises(DataError, match="has 1 001 different texts, which are more than 1000 classes"):
        choose(named, "goal")


def test_values_of_few_rows_are_no_classes_and_are_named() -> None:
    found = choose(columns({"size": SIZES, "goal": [*KINDS[3:], "c", "c", "c"]}), "goal")
    assert (found.classes, dict(found.few)) == (("a", "b"), {"c": 3})


def test_what_means_missing_in_numbers_is_missing_everywhere_and_a_doubt_if_texts_have_it_too() -> None:
    found = chosen(size=[*SIZES[1:], "NA"], colour=["red", "NA", "blue"] * 20)
    assert found.missing == ("", "NA")
    assert "'NA' mean a missing value in every column, in those of texts, too" in found.unsure


def test_a_text_that_is_a_class_means_no_missing_value() -> None:
    found = choose(columns({"goal": ["None", "a"] * 30, "size": SIZES, "cost": [*SIZES[1:], "None"]}), "goal")
    assert found.classes == ("None", "a")
    assert found.missing == ("",)
    assert found.left_out == {"cost": "'None' mean a missing value there, and are classes of the target"}


def test_a_comma_before_fractions_is_a_doubt() -> None:
    found = chosen(size=[text.replace(".", ",") for text in SIZES])
    assert "a comma is taken to stand before a fraction, and not between thousands: size" in found.unsure


def test_a_table_without_a_feature_is_refused_with_the_reasons() -> None:
    with pytest.raises(DataError, match="beside the target 'kind' can be a feature: same: has the same value in every"):
        chosen(same=["x"] * ROWS)


@pytest.mark.long
@given(st.lists(st.text(max_size=70), min_size=1, max_size=8, unique=True))
def test_every_name_of_a_column_becomes_a_name_of_its_own_that_a_recipe_takes(names: list[str]) -> None:
    values = {name: SIZES for name in names if name != "kind"}
    try:
        found = choose(columns({"kind": KINDS, **values}), "kind")
    except DataError as error:
        assert "has no name" in str(error)
        return
    taken = [each for name in found.features for each in {name, *number.facts(name), *category.facts(name)}]
    assert len(set(taken)) == len(taken)
    assert not set(ROW_COLUMNS).intersection(found.features)
    for name, settings in found.features.items():
        assert name.isidentifier()
        assert name.isascii()
        assert len(name) <= 63
        assert settings.get("settings", {}).get("column", name) in names


def test_settings_of_each_kind_are_what_the_recipe_takes() -> None:
    words = [f"the word number {row} is here" for row in range(ROWS)]
    found = chosen(size=[*SIZES[1:], ""], level=["1", ""] * 30, body=words)
    assert {each["kind"] for each in found.features.values()} == {"number", "category", "text"}
    for name, each in found.features.items():
        feature = Feature.model_validate(each)
        FEATURE.settings(Choice(name=feature.kind, settings=feature.settings), f"data.features.{name}")


def test_bins_of_a_number_become_fewer_and_the_hash_alone_is_the_last_way() -> None:
    ways = [SplitParams.model_validate(way.values) for way in splits(["train"], 100, "x", is_number=True)]
    assert [(way.method, way.quantiles) for way in ways[:3]] == [
        ("stratified", 10),
        ("stratified", 5),
        ("stratified", 2),
    ]
    assert ways[-1].method == "hash"
    given = splits(["train", "test"], 100, "x", is_number=True)
    assert given[0].values["method"] == "source"
    assert all("pictures" not in way.why for way in splits(["train"], 100, "x", is_number=False))


def test_the_bound_of_a_number_is_less_than_what_always_answering_the_median_reaches() -> None:
    values, floor, margin = number_gate([0.0, 10.0, 20.0], 10.0, {"minimum": {"accuracy": 0.9}, "maximum": {}})
    assert values["maximum"] == {"mae": 6.33}
    assert values["minimum"] == {"accuracy": None}
    assert "always answering the median (10) reaches, 6.667" in floor
    assert margin.startswith("a total margin of 0.3")


@pytest.mark.parametrize("rows", [1, 10, 1000, 10**6])
def test_training_is_what_a_recipe_takes(rows: int) -> None:
    for is_number in (True, False):
        values = table_training(rows, is_number=is_number).values
        TrainParams.model_validate(values)
        assert values["loss"] == {"name": "mae" if is_number else "cross_entropy"}
