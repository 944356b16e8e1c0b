"""Files added to slots' folders, nothing else edited, in real trainings: two Horovod ranks give the bytes of one.

The architecture has batch normalization, dropout at several depths and regularizers: Keras' own layers.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.records.training_history import History
from tests.system.project import ROOT
from tests.system.training_project import history_of, make_root, run_stages, tree

ARCHITECTURE = '''
"""Batch normalization, dropout inside layers, penalties of weights and of activities."""

from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    penalty: float = Field(default=0.001, ge=0, description="weight of the squares of the kernels")
    ruins_validation: bool = Field(default=False, description="give NaN when not training")


def block(settings: Settings, name: str) -> Any:
    """Return a layer that keeps its layers in a dictionary and in a list; those of two blocks have the same names."""
    import keras

    class Block(keras.layers.Layer):
        def __init__(self, **own: Any) -> None:
            super().__init__(**own)
            squares = keras.regularizers.L2(settings.penalty)
            dense = keras.layers.Dense(16, use_bias=False, kernel_regularizer=squares, name="dense")
            self.parts = {"dense": dense, "norm": keras.layers.BatchNormalization(name="norm")}
            self.more = [keras.layers.ReLU(name="relu"), keras.layers.Dropout(0.3, name="dropout")]

        def build(self, shape: Any) -> None:
            for layer in (*self.parts.values(), *self.more):
                layer.build(shape)
                shape = layer.compute_output_shape(shape)

        def call(self, inputs: Any, training: bool = False) -> Any:
            x = self.parts["norm"](self.parts["dense"](inputs), training=training)
            return self.more[1](self.more[0](x), training=training)

    return Block(name=name)


def ruin() -> Any:
    import keras
    import tensorflow as tf

    class Ruin(keras.layers.Layer):
        def call(self, inputs: Any, training: bool = False) -> Any:
            return inputs if training else inputs * tf.constant(float("nan"))

    return Ruin(name="ruin")


def build(settings: Settings, inputs: dict[str, Any], units: int) -> Any:
    """Return the logits `[batch, units] float32`."""
    import keras
    from keras import layers

    [x] = inputs.values()
    x = layers.Conv2D(4, 3, use_bias=False, name="convolution")(x)
    x = layers.BatchNormalization(name="norm", momentum=0.9)(x)
    x = layers.Activation("relu", activity_regularizer=keras.regularizers.L1(1e-4), name="relu")(x)
    x = layers.Reshape((10, 40), name="rows")(x)
    x = layers.TimeDistributed(layers.Dropout(0.2, name="dropout"), name="each_row")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("first", "second"):
        x = block(settings, name)(x)
    if settings.ruins_validation:
        x = ruin()(x)
    return layers.Dense(units, kernel_constraint=keras.constraints.MaxNorm(0.5), name="logits")(x)
'''

OPTIMIZER = '''
"""Descent by the signs of the gradients."""

from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    momentum: float = Field(default=0.9, description="share of the last update that is kept")


def build(settings: Settings, learning_rate: float) -> Any:
    """Return the Keras optimizer."""
    import keras

    return keras.optimizers.Lion(learning_rate, beta_1=settings.momentum)
'''

SCHEDULE = '''
"""Down in stairs."""

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    stairs: int = Field(default=2, ge=1, description="how many")


def share(settings: Settings, step: int, steps: int) -> float:
    """Return the share of the peak learning rate."""
    return 1.0 - step * settings.stairs // steps / settings.stairs
'''

LOSS = '''
"""Squared distance of the probabilities from the truth."""

from typing import Any

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """It has no settings."""


def build(settings: Settings, classes: int) -> Any:
    """Return the loss of each row."""
    import tensorflow as tf

    return lambda labels, logits: tf.reduce_sum((tf.nn.softmax(logits) - tf.one_hot(labels, classes)) ** 2, axis=-1)
'''

ADDED = {
    "models/architectures/probe.py": ARCHITECTURE,
    "training/optimizers/signs.py": OPTIMIZER,
    "training/schedules/stairs.py": SCHEDULE,
    "training/losses/brier.py": LOSS,
}


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the added files in it."""
    folder = tmp_path_factory.mktemp("code")
    shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in ADDED.items():
        (folder / "pipeline" / path).write_text(text.lstrip())
    return folder


def trained(root: Path, code: Path, workers: int, **recipe: Any) -> History:
    make_root(root, code=code, **recipe)
    done = run_stages(root, "resolve", "train", workers=workers, code=code)
    assert done.returncode == 0, done.stderr
    return history_of(root)


def test_two_ranks_give_the_bytes_of_one_with_state_penalties_and_dropout_in_layers(tmp_path: Path, code: Path) -> None:
    recipe = {"model": "probe", "train": {"epochs": 2}}
    one, two = (trained(tmp_path / str(workers), code, workers, **recipe) for workers in (1, 2))
    assert tree(tmp_path / "2/models/candidate") == tree(tmp_path / "1/models/candidate")
    assert one == two
    assert one[0].train["penalty"] > 0.01
    assert one[-1].train["accuracy"] > 0.9


def test_an_optimizer_a_schedule_and_a_loss_are_a_file_each(tmp_path: Path, code: Path) -> None:
    train = {"optimizer": "signs", "loss": "brier", "learning_rate": 0.001, "warmup_epochs": 0.0, "epochs": 3}
    history = trained(
        tmp_path / "added", code, 1, train={**train, "schedule": {"name": "stairs", "settings": {"stairs": 3}}}
    )
    assert [epoch.learning_rate for epoch in history] == pytest.approx([0.001, 0.001 * 2 / 3, 0.001 / 3])
    assert all(0 <= epoch.validation["loss"] <= 2 for epoch in history)
    assert history[-1].validation["accuracy"] > 0.9
    recipe = json.loads((tmp_path / "added/reports/recipe.json").read_text())
    assert recipe["train"]["optimizer"] == {"name": "signs", "settings": {"momentum": 0.9}}


def test_a_validation_that_is_no_number_is_the_divergence_it_is(tmp_path: Path, code: Path) -> None:
    root = make_root(tmp_path / "nan", code=code, model={"name": "probe", "settings": {"ruins_validation": True}})
    done = run_stages(root, "resolve", "train", workers=2, code=code)
    assert done.returncode == 65
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith(
        "error: training: the validation loss is nan in epoch 1, step 61: the run has diverged; lower"
    )
    assert not (root / "models").exists()


def test_what_would_be_ignored_is_refused_by_every_rank_in_one_line(tmp_path: Path, code: Path) -> None:
    probe = code / "pipeline/models/architectures/ignored.py"
    logits = 'layers.Dense(units, kernel_constraint=keras.constraints.MaxNorm(0.5), name="logits")'
    assert logits in ARCHITECTURE
    probe.write_text(ARCHITECTURE.lstrip().replace(logits, f'layers.SpectralNormalization({logits}, name="spectral")'))
    root = make_root(tmp_path / "ignored", code=code, model="ignored")
    done = run_stages(root, "resolve", "train", workers=2, code=code)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith("error: model: a call changes weight spectral/logits/kernel, which the optimizer trains too")
