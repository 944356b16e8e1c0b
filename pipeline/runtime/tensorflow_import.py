"""TensorFlow, and Keras with it, imported without libraries that Keras would load for uses that are not ours.

Keras imports Matplotlib, pandas and scikit-learn wherever they are installed: for a gallery of pictures, for `fit` on
data frames, and for its wrappers of estimators. That is a third of the time and a quarter of the memory of the whole
import, in every process. It works without them, and says so where somebody asks for such a use.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import Any

_NOT_NEEDED = ("matplotlib", "pandas", "sklearn")


def hide_gpus() -> None:
    """Show no GPU to TensorFlow, which looks for them when it first computes."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def import_tensorflow(*, sees_gpus: bool = False) -> Any:
    """Import TensorFlow, if it is not imported yet, and return it; what it was imported without can be imported later.

    It sees no GPU, and takes none of its memory, unless this is a rank that trains on one: all else computes on the
    processor, so that evaluation and export give the same bits beside a GPU and without. No other thread should import
    anything meanwhile: it would not find those libraries either.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    if not sees_gpus:
        hide_gpus()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    has_collector = gc.isenabled()
    gc.disable()  # of what an import makes, nothing is garbage: to look for it takes a sixth of the time
    absent = [name for name in _NOT_NEEDED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: Python takes them for not installed
    try:
        return importlib.import_module("tensorflow")
    finally:
        for name in absent:
            del sys.modules[name]
        if has_collector:
            gc.enable()
