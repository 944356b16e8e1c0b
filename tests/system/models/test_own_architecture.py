"""To add an architecture is to add one file: it is named in a recipe, built, stored, loaded, asked and exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.evaluation.predict import predict
from pipeline.export.ask import ask_export
from pipeline.models import stored
from pipeline.models.build import build, weights_of
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.resolving import checked
from pipeline.recipe.strict_yaml import parse_yaml
from tests.models.made import architecture, image, rows_of

ROOT = Path(__file__).parents[3]


@pytest.mark.usefixtures("own_architecture")
def test_a_recipe_names_it_and_its_settings_are_checked() -> None:
    values = parse_yaml(ROOT / PARAMS_FILE)
    assert checked(values | {"model": "linear_own"}, PARAMS_FILE).model.name == "linear_own"
    with pytest.raises(UsageError, match=r"unknown key 'model\.settings\.bais' \(did you mean 'model\.settings\.bias'"):
        checked(values | {"model": {"name": "linear_own", "settings": {"bais": False}}}, PARAMS_FILE)


@pytest.mark.usefixtures("own_architecture")
def test_it_is_built_stored_loaded_asked_and_exported(tmp_path: Path) -> None:
    made = architecture(image((12, 10, 3)), image(name="depth"), name="linear_own", settings={})
    model, rows = build(made), rows_of(made)
    stored.save(tmp_path / "model", made, model)

    assert stored.read_architecture(tmp_path / "model").settings == {"bias": True}
    assert list(weights_of(stored.load(tmp_path / "model"))) == ["logits/kernel", "logits/bias"]
    answers = predict(tmp_path / "model", rows)
    np.testing.assert_allclose(answers, model(rows).numpy(), rtol=0, atol=1e-6)
    served = ask_export(tmp_path / "model", tmp_path / "exports", rows, tmp_path / "scratch")
    np.testing.assert_allclose(served, answers, rtol=0, atol=1e-6)


WITH_A_TABLE = """
import tensorflow as tf
from keras import layers
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    pass


class Levels(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        numbers = tf.range(256, dtype=tf.int64)
        told = tf.lookup.KeyValueTensorInitializer(numbers, tf.cast(numbers % 7, tf.float32))
        self.table = tf.lookup.StaticHashTable(told, -1.0)

    def call(self, values):
        return self.table.lookup(tf.cast(values * 100, tf.int64))

    def compute_output_shape(self, shape):
        return shape


def build(settings, inputs, units):
    [values] = inputs.values()
    return layers.Dense(units, name="logits")(Levels(name="levels")(layers.Flatten(name="flat")(values)))
"""


def test_a_table_that_a_layer_holds_is_exported_with_it(own_architecture: Path, tmp_path: Path) -> None:
    own_architecture.with_name("table_own.py").write_text(WITH_A_TABLE)
    made = architecture(image((6, 5, 1)), name="table_own", settings={})
    rows = rows_of(made)
    stored.save(tmp_path / "model", made, build(made))

    served = ask_export(tmp_path / "model", tmp_path / "exports", rows, tmp_path / "scratch")

    np.testing.assert_allclose(served, predict(tmp_path / "model", rows), rtol=0, atol=1e-6)


def test_a_stored_model_whose_file_is_gone_says_which(own_architecture: Path, tmp_path: Path) -> None:
    made = architecture(name="linear_own", settings={})
    stored.save(tmp_path / "model", made, build(made))
    own_architecture.unlink()
    with pytest.raises(UsageError, match="model: no architecture 'linear_own' in pipeline/models/architectures"):
        stored.load(tmp_path / "model")
