"""TensorBoard logs: scalars, the graph, histograms of the weights. They are for people; nothing reads them back."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.records.feature import FeatureSpec
from pipeline.records.training_history import EpochRecord


class TensorBoard:
    """Writes the logs of one training. A fresh training clears the folder; a resumed one adds to it."""

    def __init__(self, folder: Path, first_epoch: int) -> None:
        import tensorflow as tf

        if first_epoch == 1 and folder.exists():
            shutil.rmtree(folder)
        self._tf = tf
        self._writer = tf.summary.create_file_writer(str(folder))

    def write_graph(self, model: Any, features: Sequence[FeatureSpec]) -> None:
        """Write the model's graph of operations."""
        function = self._tf.function(lambda columns: model(columns, training=False))
        columns = {spec.name: self._tf.TensorSpec((None, *spec.shape), spec.dtype) for spec in features}
        graph = function.get_concrete_function(columns).graph
        with self._writer.as_default():
            self._tf.summary.graph(graph)
        self._writer.flush()

    def write_epoch(self, record: EpochRecord, model: Any) -> None:
        """Write an epoch's figures and the distribution of every weight."""
        with self._writer.as_default(step=record.epoch):
            for name, value in record.row().items():
                if name != "epoch":
                    self._tf.summary.scalar(name, value)
            for variable in model.trainable_variables:
                self._tf.summary.histogram(variable.path, np.asarray(variable))
        self._writer.flush()
