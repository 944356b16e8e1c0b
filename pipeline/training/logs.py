"""TensorBoard logs: scalars, the graph, histograms of the weights. They are for people; nothing reads them back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.records.training_history import EpochRecord


class TensorBoard:
    """Writes the logs of one training. A fresh training clears the folder; a resumed one adds to it."""

    def __init__(self, folder: Path, first_epoch: int) -> None:
        import tensorflow as tf

        if first_epoch == 1 and folder.exists():
            shutil.rmtree(folder)
        self._tf = tf
        self._writer = tf.summary.create_file_writer(str(folder))

    def write_graph(self, model: Any) -> None:
        """Write the model's graph of operations."""
        function = self._tf.function(lambda pixels: model(pixels, training=False))
        shape = (None, *model.input_shape[1:])
        graph = function.get_concrete_function(self._tf.TensorSpec(shape, self._tf.uint8)).graph
        with self._writer.as_default():
            self._tf.summary.graph(graph)
        self._writer.flush()

    def write_epoch(self, record: EpochRecord, model: Any) -> None:
        """Write an epoch's metrics and the distribution of every weight."""
        with self._writer.as_default(step=record.epoch):
            for name, value in record.to_json().items():
                if name != "epoch":
                    self._tf.summary.scalar(name, value)
            for variable in model.trainable_variables:
                self._tf.summary.histogram(variable.path, np.asarray(variable))
        self._writer.flush()
