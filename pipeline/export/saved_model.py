"""The exported form of a model: a TensorFlow SavedModel that takes raw images."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from pipeline.models import stored
from pipeline.storage.artifacts import published_folder

SIGNATURE, INPUT, OUTPUT = "serving_default", "images", "probabilities"


def serving_module(model_folder: Path) -> Any:
    """Return the stored model as a `tf.Module`: from images to probabilities.

    Images are `[batch, height, width, channel] uint8`, probabilities `[batch, class] float32`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    height, width, channels = stored.read_architecture(model_folder).input_shape
    model = stored.load(model_folder)

    images_of_shape = [tf.TensorSpec([None, height, width, channels], tf.uint8, name=INPUT)]

    class Serving(tf.Module):  # type: ignore[misc]
        """A stored model with fixed names for its input and output."""

        def __init__(self) -> None:
            super().__init__(name="serving")
            self.model = model

        @tf.function(input_signature=images_of_shape)  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            return self.model(images, training=False)

        @tf.function(input_signature=images_of_shape)  # type: ignore[untyped-decorator]
        def serve(self, images: Any) -> dict[str, Any]:
            return {OUTPUT: self.model(images, training=False)}

    return Serving()


def exported(model_folder: Path, exports: Path) -> Path:
    """Return the SavedModel of a stored model, in TensorFlow Serving's layout; export it if that is not done yet.

    Its bytes differ from run to run, its answers do not. So it is never tracked: it is in the folder `exports`, named
    after what decides it, the model's digest and the exporter. Other exports are removed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    target = exports / f"{stored.digest(model_folder).removeprefix('sha256:')[:32]}-tensorflow-{tf.__version__}"
    if not target.is_dir():
        shutil.rmtree(exports, ignore_errors=True)
        module = serving_module(model_folder)
        with published_folder(target) as folder:
            tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.serve.get_concrete_function()})
    return target
