"""What the tests of the registry share: a local one without MLflow, and a stored model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.models import stored
from tests.models.made import architecture
from tests.registry.local_registry import LocalRegistry


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a stored model."""
    weights = {"dense/kernel": np.ones((2, 2), np.float32)}
    stored.save_weights(tmp_path / "model", architecture(classes=("a", "b")), weights)
    return tmp_path / "model"
