"""Numbers: what is unusable, what is equal, what is learned, in which order it is applied, what is left out."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.data.features import number
from pipeline.data.features.number import MISSING, NOT_A_NUMBER, OUT_OF_RANGE, OUTLIER, Outliers, Settings
from pipeline.errors import DataError
from pipeline.storage.shards import array_of, column_of
from tests.data.columns import clean, column_spec, examined, fitted, fitted_in_pieces, left_out, prepared, raw
from tests.ranges import assert_ranges

TEXTS = st.one_of(st.none(), st.integers(-9, 9).map(str), st.floats(-1e30, 1e30).map(repr))
RULES: list[dict[str, Any]] = [
    {"missing": missing, "scale": scale, "outliers": outliers, **({"fill": 3.5} if missing == "constant" else {})}
    for missing, scale, outliers in (
        ("mean", "standard", None),
        ("median", "minmax", {"method": "zscore", "bound": 1.5, "action": "clip"}),
        ("mode", "robust", {"method": "zscore", "bound": 1.5, "action": "drop"}),
        ("constant", "log", {"method": "zscore", "bound": 2.0, "action": "flag"}),
        ("constant", "none", None),
    )
]


def scale(texts: list[str | None], of: list[str | None] | None = None, **settings: Any) -> list[list[float]]:
    """Return prepared rows, fitted on `of`, or on themselves."""
    return prepared(fitted(column_spec("number", **settings), of or texts), texts).tolist()


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("12", {}, None),
        (" 12 ", {}, None),
        ("007", {}, None),
        (None, {}, MISSING),
        ("", {}, MISSING),
        ("  ", {}, MISSING),
        (None, {"missing": "mean"}, None),
        ("  ", {"missing": "mean"}, None),
        ("None", {"missing": "mean"}, NOT_A_NUMBER),
        ("NA", {"missing": "mean"}, NOT_A_NUMBER),
        ("nan", {"missing": "mean"}, NOT_A_NUMBER),
        ("inf", {}, NOT_A_NUMBER),
        ("1,5", {}, NOT_A_NUMBER),
        ("1,5", {"decimal": ","}, None),
        ("1.5", {"decimal": ","}, NOT_A_NUMBER),
        ("1e30", {}, None),
        ("-1e30", {}, None),
        ("1.0000001e30", {}, OUT_OF_RANGE),
        ("-1e31", {}, OUT_OF_RANGE),
        ("1e999", {}, OUT_OF_RANGE),
        ("1e-999", {}, None),
        ("-0.0", {"low": 0.0}, None),
        ("-0.1", {"low": 0.0}, OUT_OF_RANGE),
        ("23", {"low": 0.0, "high": 23.0}, None),
        ("24", {"low": 0.0, "high": 23.0}, OUT_OF_RANGE),
    ],
)
def test_a_text_is_unusable_for_the_first_reason_that_applies(
    text: str | None, settings: dict[str, Any], reason: str | None
) -> None:
    found = examined(column_spec("number", **settings), ["1", text])

    assert found.reasons.tolist() == [None, reason]
    assert [detail is None for detail in found.details] == [True, reason is None]


def test_the_detail_is_what_stands_there_on_one_line_and_not_too_long() -> None:
    spec = column_spec("number", column="sched hour", high=24.0)

    found = examined(spec, ["=cmd|' /C calc'!A0", "1\n2", "9" * 10**6 + "x", "25", None])

    assert found.details[:2].tolist() == ["\"=cmd|' /C calc'!A0\"", r"'1\n2'"]
    assert len(found.details[2]) == 200
    assert found.details[3:].tolist() == ["'25' is not in -1e+30 to 24", "nothing in column sched hour"]


def test_clean_rows_hold_numbers_and_null_where_there_is_none() -> None:
    spec = column_spec("number", missing="mean")

    assert clean(spec, [" +1.50 ", None, "-0"]).to_pydict() == {"x": [1.5, None, 0.0]}
    assert str(clean(spec, ["-0"])["x"][0]) == "0.0"


def test_texts_of_the_same_number_hold_the_same_and_others_do_not() -> None:
    spec = column_spec("number", missing="mean")

    held = examined(spec, ["1", "1.0", " 001", "+1e0", "0", "-0.0", None, " ", "1.0000000000000002"]).held.to_pylist()

    assert len(set(held[:4])) == len(set(held[4:6])) == len(set(held[6:8])) == 1
    assert len(set(held)) == 4
    assert held[6] == ""


def test_the_raw_value_is_told_as_it_stands_there() -> None:
    table = raw(["1", "1.0", "", None, "="])
    assert number.raw_digests(column_spec("number"), table).to_pylist() == ["=1", "=1.0", "=", "", "=="]


@pytest.mark.long
@given(
    st.sampled_from(RULES),
    st.lists(TEXTS, min_size=1, max_size=20),
    st.lists(st.integers(0, 20), max_size=4),
    st.randoms(),
)
def test_what_is_fitted_depends_neither_on_the_pieces_nor_on_the_order_of_rows(
    rules: dict[str, Any], texts: list[str | None], cuts: list[int], random: Random
) -> None:
    spec = column_spec("number", **rules)
    texts = [*texts, "4"]

    found = fitted_in_pieces(spec, texts, cuts, random)

    assert found == fitted(spec, texts).fitted
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(st.sampled_from(RULES), st.lists(TEXTS, max_size=9), st.lists(TEXTS, max_size=9))
def test_every_clean_value_is_prepared_as_finite_numbers_whatever_was_learned(
    rules: dict[str, Any], texts: list[str | None], others: list[str | None]
) -> None:
    spec = fitted(column_spec("number", **rules), [*texts, "4"])

    found = prepared(spec, others)

    assert found.shape == (len(others), *spec.shape)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.array_equal(array_of(column_of(found, spec), spec), found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("standard", [-1.5, -0.5, 0.5, 1.5]),
        ("minmax", [0.0, 1 / 3, 2 / 3, 1.0]),
        ("robust", [-1.0, -1 / 3, 1 / 3, 1.0]),
        ("none", [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_numbers_are_scaled_by_what_the_training_part_holds(name: str, expected: list[float]) -> None:
    found = np.array(scale(["1", "2", "3", "4"], scale=name))[:, 0]
    size = np.sqrt(1.25) if name == "standard" else 1.0
    assert found * size == pytest.approx(expected, abs=1e-6)


def test_log_is_of_the_distance_to_the_least_training_value_then_standard() -> None:
    texts = ["-3", "-2", "4", "97"]
    logs = np.log1p(np.array([0.0, 1.0, 7.0, 100.0]))

    found = np.array(scale(texts, scale="log"))[:, 0]
    below = scale(["-1000"], texts, scale="log")

    assert found == pytest.approx((logs - logs.mean()) / logs.std(), abs=1e-6)
    assert below[0][0] == found[0]


@pytest.mark.parametrize("name", ["standard", "minmax", "robust", "log"])
@pytest.mark.parametrize("constant", ["0.1", "-7", "1e30", "1e-320"])
def test_a_constant_column_is_0(name: str, constant: str) -> None:
    assert scale([constant] * 3, scale=name) == [[0.0]] * 3


@pytest.mark.parametrize("outliers", ["zscore", "iqr"])
def test_a_constant_column_has_no_outliers(outliers: str) -> None:
    rule = {"method": outliers, "bound": 1.0, "action": "drop"}
    spec = fitted(column_spec("number", outliers=rule), ["0.1"] * 3)
    assert left_out(spec, ["0.1"], "train") == [(None, None)]


@pytest.mark.parametrize(
    ("rule", "fill"),
    [
        ({"missing": "mean"}, 4.0),
        ({"missing": "median"}, 3.0),
        ({"missing": "mode"}, 1.0),
        ({"missing": "constant", "fill": -5.0}, -5.0),
    ],
)
def test_a_missing_value_becomes_the_figure_of_the_values_found(rule: dict[str, Any], fill: float) -> None:
    texts = ["1", "1", None, "5", "9", None]
    assert scale(texts, scale="none", **rule)[2] == [fill]
    assert scale(["7", None], texts, scale="none", **rule) == [[7.0], [fill]]


def test_what_scales_is_learned_from_filled_values() -> None:
    found = np.array(scale(["1", "3", None, None], missing="constant", fill=2.0))
    assert found[:, 0] == pytest.approx(np.array([-1, 1, 0, 0]) / np.sqrt(0.5), abs=1e-6)


def test_the_indicator_and_the_flag_stand_beside_the_scaled_value_in_this_order() -> None:
    rule = {"method": "iqr", "bound": 1.5, "action": "flag"}
    spec = column_spec("number", missing="mean", indicator=True, outliers=rule, scale="none")
    texts = ["1", "2", "3", "4", "100", None]

    found = prepared(fitted(spec, texts), texts)

    assert spec.shape == (3,)
    assert found.tolist() == [[1, 0, 0], [2, 0, 0], [3, 0, 0], [4, 0, 0], [100, 0, 1], [22, 1, 0]]


def test_a_clipped_outlier_is_the_bound_and_scales_as_that() -> None:
    rule = {"method": "iqr", "bound": 1.5, "action": "clip"}
    spec = fitted(column_spec("number", outliers=rule, scale="minmax"), ["1", "2", "3", "4", "100"])

    assert (spec.fitted or {})["lower"] == -1.0
    assert (spec.fitted or {})["upper"] == 7.0
    assert prepared(spec, ["-50", "1", "7", "100"])[:, 0].tolist() == pytest.approx([-1 / 3, 0.0, 1.0, 1.0])


def test_bounds_by_deviation_are_of_the_values_found() -> None:
    rule = {"method": "zscore", "bound": 1.5, "action": "clip"}
    spec = fitted(column_spec("number", outliers=rule, missing="constant", fill=1e6), ["0", "2", "4", None])

    reach = 1.5 * np.sqrt(8 / 3)
    assert (spec.fitted or {})["lower"] == pytest.approx(2 - reach)
    assert (spec.fitted or {})["upper"] == pytest.approx(2 + reach)


def test_a_filled_value_is_never_an_outlier() -> None:
    for action in ("clip", "flag", "drop"):
        rule = {"method": "zscore", "bound": 1.0, "action": action}
        settings = {"outliers": rule, "missing": "constant", "fill": 1e6, "scale": "none"}
        spec = fitted(column_spec("number", **settings), ["0", "2", "4", None])

        assert prepared(spec, [None])[0].tolist() == [1e6, 0.0][: 1 + (action == "flag")]
        assert left_out(spec, [None], "train") == [(None, None)]


def test_dropped_outliers_are_left_out_of_the_training_part_alone_and_of_what_scales() -> None:
    rule = {"method": "iqr", "bound": 1.5, "action": "drop"}
    texts: list[str | None] = ["1", "2", "3", "4", "100", None]
    spec = fitted(column_spec("number", outliers=rule, missing="median", scale="minmax"), texts)

    found = left_out(spec, texts, "train")

    assert found == [(None, None)] * 4 + [(OUTLIER, "100.0 is not in -1 to 7"), (None, None)]
    for part in ("validation", "test"):
        assert left_out(spec, texts, part) == [(None, None)] * 6
    assert prepared(spec, texts)[:, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 33, 2 / 3])


def test_clipped_and_flagged_outliers_stay_in_every_part() -> None:
    for action in ("clip", "flag"):
        rule = {"method": "iqr", "bound": 1.5, "action": action}
        spec = fitted(column_spec("number", outliers=rule), ["1", "2", "3", "4", "100"])
        assert left_out(spec, ["100"], "train") == [(None, None)]


def test_quartiles_that_are_equal_cannot_tell_outliers() -> None:
    spec = column_spec("number", outliers={"method": "iqr", "bound": 1.5, "action": "clip"})
    with pytest.raises(DataError, match=r"^feature x: half of .* are 0, .* set data\.features\.x\..* to zscore$"):
        fitted(spec, ["0", "0", "0", "0", "5"])


def test_a_bound_that_leaves_no_training_row_is_refused() -> None:
    spec = column_spec("number", outliers={"method": "zscore", "bound": 0.5, "action": "drop"})
    with pytest.raises(DataError, match=r"^feature x: every value .* is an outlier; raise outliers\.bound"):
        fitted(spec, ["0", "1"])


@pytest.mark.parametrize("texts", [[None, None], []], ids=["all missing", "no rows"])
def test_a_training_part_without_a_value_is_refused_in_one_line(texts: list[str | None]) -> None:
    spec = column_spec("number", column="dep hour", missing="constant", fill=1.0)
    for pieces in ([number.learn(spec, clean(spec, texts))], []):
        with pytest.raises(DataError, match=r"^feature x: the training part has no value in column dep hour; "):
            number.fit(spec, pieces)


def test_the_facts_are_the_scaled_values() -> None:
    spec = column_spec("number", missing="mean", indicator=True)

    facts, partial = number.describe(spec, np.array([[1.5, 0], [2.5, 1]], np.float32))

    assert list(facts) == list(spec.facts) == ["x_scaled"]
    assert facts["x_scaled"].tolist() == [1.5, 2.5]
    assert partial is None


def test_no_rows_go_through_every_verb() -> None:
    spec = fitted(column_spec("number"), ["1", "2"])
    empty = pa.table({"x": pa.chunked_array([], pa.string())})

    found = number.examine(spec, empty, number.raw_digests(spec, empty))

    rows = pa.table({"x": found.columns["x"]})
    assert number.prepare(spec, rows).shape == (0, 1)
    assert [len(each) for each in number.left_out(spec, rows, "train")] == [0, 0]


def test_a_number_has_these_columns_facts_and_shape() -> None:
    spec = column_spec("number")
    assert number.raw_columns("hour") == {"hour": "string"}
    assert number.facts("hour") == {"hour_scaled": "float32"}
    assert number.clean_columns(spec) == {"x": pa.float64()}
    assert number.REASONS == (MISSING, NOT_A_NUMBER, OUT_OF_RANGE)
    assert (spec.kind, spec.dtype, spec.shape, spec.fitted) == ("number", "float32", (1,), None)
    assert number.working_bytes(spec) == 8
    assert number.working_bytes(column_spec("number", indicator=True, missing="mean").changed(shape=(3,))) == 12


def test_the_settings_and_their_ranges() -> None:
    assert_ranges(Settings, {}, low=(-1e30, 1e30, -1.1e30, 1.1e30), high=(-1e30, 1e30, -1.1e30, 1.1e30))
    assert_ranges(Settings, {"missing": "constant"}, fill=(-1e30, 1e30, -1.1e30, 1.1e30))
    assert_ranges(Outliers, {"method": "iqr", "action": "clip"}, bound=(1e-9, 1e6, 0.0, 1.1e6))
    for key, longest in (("column", 1000), ("unit", 40)):
        assert getattr(Settings.model_validate({key: "x" * longest}), key) == "x" * longest
        with pytest.raises(ValidationError):
            Settings.model_validate({key: "x" * (longest + 1)})
    for wrong in ({"decimal": ";"}, {"scale": "z"}, {"missing": "drop"}, {"column": ""}, {"unit": "m" * 41}):
        with pytest.raises(ValidationError):
            Settings.model_validate(wrong)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"missing": "constant"}, "needs `fill`"),
        ({"missing": "mean", "fill": 1.0}, "fill is for missing: constant"),
        ({"indicator": True}, "indicator must be false with missing: reject"),
        ({"low": 1.0, "high": 1.0}, "low must be below high, 1 is not below 1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate(settings)
