"""Numbers and categories inside the model are prepared as the data phase prepares them, in its export too."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.data.feature_kinds import kind_of
from pipeline.data.features import number as number_kind
from pipeline.evaluation.predict import predict
from pipeline.export.saved_model import exported
from pipeline.models import architectures, stored, vocabulary
from pipeline.models.build import build, preprocessing_module
from pipeline.records.feature import FeatureSpec
from tests.data.columns import clean, column_spec, fitted, prepared
from tests.models.made import architecture

TOLERANCE = 1e-6
TRAINING: list[str | None] = ["-3", "0", "1.5", "1.5", "7", "7", "1e3", None]
ACTIONS: list[dict[str, Any] | None] = [
    None,
    *(
        {"method": method, "bound": 1.5, "action": action}
        for method in ("zscore", "iqr")
        for action in ("clip", "flag")
    ),
    {"method": "zscore", "bound": 2.0, "action": "drop"},
]
RULES = st.fixed_dictionaries(
    {
        "scale": st.sampled_from(["standard", "minmax", "robust", "log", "none"]),
        "missing": st.sampled_from(["mean", "median", "mode"]),
        "indicator": st.booleans(),
        "outliers": st.sampled_from(ACTIONS),
        "low": st.sampled_from([None, -1e6]),
        "high": st.sampled_from([None, 1e6]),
    }
)
NUMBERS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -3.0, 1e3, 1e6, -1e6, 1e30, -1e30, 5e-324, 1e-310]),
    st.floats(-10, 1010),
    st.floats(-1e30, 1e30),
)
LINEAR = '''
"""A linear model of numbers and of indices as numbers."""

from __future__ import annotations

from typing import Any

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """It has none."""


def build(settings: Settings, inputs: dict[str, Any], units: int) -> Any:
    """Return the logits `[batch, units] float32` of all features."""
    from keras import layers, ops

    flat = [ops.reshape(ops.cast(values, "float32"), (-1, 1 if len(values.shape) == 1 else values.shape[1]))
            for values in inputs.values()]
    return layers.Dense(units, name="logits")(layers.Concatenate(name="joined")(flat))
'''
ALONE = """
import json, sys
sys.modules["keras"] = None  # an import of it fails
import tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
columns = json.load(open(sys.argv[2]))
answers = serve(
    hour=tf.constant([float("nan") if value is None else value for value in columns["hour"]], tf.float64),
    carrier=tf.constant(columns["carrier"]),
)
print(json.dumps({
    "loaded": [name for name in sys.modules if name.partition(".")[0] in ("keras", "pipeline") and sys.modules[name]],
    "answers": answers["probabilities"].numpy().tolist(),
}))
"""


def in_model(spec: FeatureSpec, raw: Any) -> npt.NDArray[Any]:
    """Return raw values as the served model prepares them, operation by operation."""
    import tensorflow as tf

    module = preprocessing_module(spec.kind)
    found: npt.NDArray[Any] = module.prepare(spec, tf.constant(raw, module.raw_input(spec)[1])).numpy()
    return found


def in_graph(spec: FeatureSpec, raw: Any) -> npt.NDArray[Any]:
    """Return them as a graph with an open number of rows does, which TensorFlow may rewrite."""
    import tensorflow as tf

    module = preprocessing_module(spec.kind)
    shape, dtype = module.raw_input(spec)
    taken = tf.TensorSpec([None, *shape], dtype)
    prepare = tf.function(lambda given: module.prepare(spec, given), input_signature=[taken], autograph=False)
    found: npt.NDArray[Any] = prepare(tf.constant(raw, dtype)).numpy()
    return found


def of_numbers(spec: FeatureSpec, values: list[float | None]) -> npt.NDArray[Any]:
    return kind_of(spec).prepare(spec, pa.table({"x": pa.array(values, pa.float64())}))


def as_raw(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


@given(RULES, st.lists(NUMBERS, max_size=6))
def test_numbers_are_scaled_as_in_the_data_phase(rules: dict[str, Any], values: list[float | None]) -> None:
    spec = fitted(column_spec("number", **rules), TRAINING)

    found, expected = in_model(spec, as_raw(values)), of_numbers(spec, values)

    assert (found.dtype, found.shape) == (expected.dtype, expected.shape) == (np.float32, (len(values), *spec.shape))
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    assert np.array_equal(found[:, 1:], expected[:, 1:])


@pytest.mark.parametrize("scale", ["standard", "minmax", "robust", "log", "none"])
@pytest.mark.parametrize("outliers", ACTIONS, ids=str)
def test_a_graph_scales_as_its_operations_do_one_by_one(scale: str, outliers: dict[str, Any] | None) -> None:
    spec = fitted(column_spec("number", scale=scale, outliers=outliers, missing="mean", indicator=True), TRAINING)
    values = [None, 0.0, -3.0, 1 / 3, 999.9, 1e30]
    found = in_graph(spec, as_raw(values))
    np.testing.assert_allclose(found, of_numbers(spec, values), rtol=TOLERANCE, atol=TOLERANCE)


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=5), st.sampled_from(["standard", "robust", "log"]))
def test_whatever_was_learned_both_phases_agree(values: list[float], scale: str) -> None:
    spec = fitted(column_spec("number", scale=scale), [repr(value) for value in values])

    found, expected = in_model(spec, values), of_numbers(spec, [*values])

    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1.1e30, 25.0, -1.0])
@pytest.mark.parametrize("scale", ["standard", "log", "none"])
def test_a_number_that_no_clean_row_could_hold_has_no_answer(value: float, scale: str) -> None:
    outliers = {"method": "iqr", "bound": 1.5, "action": "clip"}
    spec = fitted(column_spec("number", low=0.0, high=24.0, scale=scale, outliers=outliers), ["1", "2", "3"])

    assert np.isnan(in_model(spec, [value, 2.0])[:, 0]).tolist() == [True, False]
    assert np.isnan(of_numbers(spec, [value, 2.0])[:, 0]).tolist() == [True, False]


def test_a_missing_number_has_no_answer_where_missing_values_are_rejected() -> None:
    spec = fitted(column_spec("number"), ["1", "2", "3"])

    assert np.isnan(in_model(spec, [float("nan"), 2.0])[:, 0]).tolist() == [True, False]
    assert np.isnan(of_numbers(spec, [None, 2.0])[:, 0]).tolist() == [True, False]


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
TEXTS = st.one_of(
    st.sampled_from(["a", "A", " a ", "é", "007", "7", "\u00a0a\u3000", "a\x0b", "\x1ca", "none", ""]), WORDS
)


@given(
    st.lists(TEXTS, max_size=9),
    st.lists(TEXTS, max_size=9),
    st.sampled_from([{"missing": "unknown"}, {"missing": "mode"}, {"missing": "constant", "fill": "none"}]),
)
@example(["e\u0301", "\u0344"], ["é", "e\u0301", "\u0308\u0301"], {"missing": "unknown"})
def test_texts_get_the_indices_of_the_data_phase(training: list[str], texts: list[str], rule: dict[str, Any]) -> None:
    spec = fitted(column_spec("category", **rule), [*training, "a"])
    # The model cannot compose letters: it takes either of Unicode's forms, wholly.
    for form in ("NFC", "NFD"):
        given_as = [unicodedata.normalize(form, text) for text in texts]
        found, expected = in_model(spec, given_as), prepared(spec, [*given_as])
        assert found.dtype == expected.dtype == np.int32
        assert found.tolist() == expected.tolist()


def test_clean_texts_get_the_indices_of_the_data_phase_too() -> None:
    spec = fitted(column_spec("category", missing="mode"), ["b", "b", "e\u0301"])
    texts = [" e\u0301", "b ", None, "never"]
    held = [text or "" for text in clean(spec, texts)["x"].to_pylist()]
    assert in_model(spec, held).tolist() == prepared(spec, texts).tolist() == [2, 1, 1, 0]


def test_a_hundred_thousand_categories_are_each_found() -> None:
    words = [f"word {number}" for number in range(100_000)]
    spec = column_spec("category", most=100_000).changed(fitted={"vocabulary": words, "fill": None})

    assert in_graph(spec, [*words, "word", "word 100000"]).tolist() == [*range(1, 100_001), 0, 0]


def test_bytes_that_are_no_text_are_unknown() -> None:
    spec = fitted(column_spec("category"), ["a"])
    assert in_model(spec, [b"\xff\xfe", b" a\xff", b"a\x00", b"a"]).tolist() == [0, 0, 0, 1]


def test_categories_with_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["a", "b", "c", "d"]
    spec = column_spec("category").changed(fitted={"vocabulary": words, "fill": None})
    monkeypatch.setattr(vocabulary, "_HASHES", 12)  # so few that most keys leave some together
    assert len({*vocabulary._hashed(words, 0).numpy()}) < len(words)

    assert in_model(spec, ["d", "c", "b", "a", "e", ""]).tolist() == [4, 3, 2, 1, 0, 0]


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a stored model that takes an hour and a carrier, with an architecture of its own."""
    folder = tmp_path_factory.mktemp("flights")
    (folder / "architectures").mkdir()
    (folder / "architectures" / "linear_columns.py").write_text(LINEAR)
    architectures.__path__.append(str(folder / "architectures"))
    importlib.invalidate_caches()
    hour = fitted(column_spec("number", missing="median", indicator=True), TRAINING).changed(name="hour")
    carrier = fitted(column_spec("category", missing="unknown"), ["UA", "UA", "B6", "É"]).changed(name="carrier")
    made = architecture(hour, carrier, name="linear_columns", settings={})
    stored.save(folder / "model", made, build(made))
    yield folder / "model"
    architectures.__path__.remove(str(folder / "architectures"))


def test_an_export_answers_raw_numbers_and_texts_as_the_stored_model_answers_prepared_ones(
    flights: Path, tmp_path: Path
) -> None:
    hours: list[float | None] = [None, 7.0, -3.0, 1e3, 0.25]
    carriers = ["UA", " B6 ", "", "never seen", "E\u0301"]
    made = stored.read_architecture(flights)
    hour, carrier = made.features
    columns = {
        "hour": number_kind.prepare(hour, pa.table({"hour": pa.array(hours, pa.float64())})),
        "carrier": np.array([1, 2, 0, 0, 3], np.int32),
    }
    (tmp_path / "columns.json").write_text(json.dumps({"hour": hours, "carrier": carriers}))
    export = exported(flights, tmp_path / "exports")

    command = [sys.executable, "-I", "-c", ALONE, str(export), str(tmp_path / "columns.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    said = json.loads(done.stdout)
    assert said["loaded"] == []
    expected = predict(flights, columns)
    assert len(np.unique(expected[:, 0])) == 5
    np.testing.assert_allclose(said["answers"], expected, rtol=0, atol=TOLERANCE)
    assert carrier.fitted == {"vocabulary": ["UA", "B6", "É"], "fill": None}
