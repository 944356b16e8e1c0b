"""Files for slots' folders (an architecture, an optimizer, a schedule, a loss), and a copy of the package with them.

The architecture has batch normalization, dropout at several depths and regularizers: Keras' own layers.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.system.project import ROOT

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


def copy_code(folder: Path) -> Path:
    """Copy the package into a folder, with the added files."""
    shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in ADDED.items():
        (folder / "pipeline" / path).write_text(text.lstrip())
    return folder
