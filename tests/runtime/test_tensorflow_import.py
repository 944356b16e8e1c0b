"""TensorFlow is imported as on a machine without the libraries that Keras imports for uses that are not ours."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from pipeline.runtime import tensorflow_import
from pipeline.runtime.tensorflow_import import import_tensorflow

TENSORFLOW = """
try:
    import made_library as library
except ImportError:
    library = None
"""


@pytest.fixture(autouse=True)
def made_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another TensorFlow in its place, which imports a library if it is installed, as it is."""
    (tmp_path / "tensorflow.py").write_text(TENSORFLOW)
    (tmp_path / "made_library.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tensorflow_import, "_NOT_NEEDED", ("made_library",))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(sys, "modules", {k: v for k, v in sys.modules.items() if k != "tensorflow"})


def test_what_it_was_imported_without_can_be_imported_later() -> None:
    assert import_tensorflow().library is None
    assert importlib.import_module("made_library").__name__ == "made_library"


def test_what_is_imported_already_stays() -> None:
    library = importlib.import_module("made_library")
    assert import_tensorflow().library is library
    assert sys.modules["made_library"] is library


def test_it_sees_no_gpu_whatever_is_shown_to_the_process() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "0,1"
    import_tensorflow()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_rank_that_trains_on_a_gpu_sees_the_one_it_was_given() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "GPU-1"
    import_tensorflow(sees_gpus=True)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-1"


def test_it_is_imported_once() -> None:
    assert import_tensorflow() is import_tensorflow()


def test_an_import_that_fails_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ImportError('no library for this processor')")
    with pytest.raises(ImportError, match="no library for this processor"):
        import_tensorflow()
    assert importlib.import_module("made_library").__name__ == "made_library"
