"""What the tests of served models share: stored models, and an architecture that stands in no file of the project."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.models import architectures, stored
from pipeline.models.build import build
from tests.models.made import architecture, image

OWN = '''
"""A linear model of all features."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    bias: bool = Field(default=True, description="whether each class has an offset")


def build(settings: Settings, inputs: dict[str, Any], units: int) -> Any:
    """Return the logits `[batch, units] float32` of all features."""
    from keras import layers

    flat = [layers.Flatten(name=f"{name}.flat")(values) for name, values in inputs.items()]
    joined = layers.Concatenate(name="joined")(flat) if len(flat) > 1 else flat[0]
    return layers.Dense(units, use_bias=settings.bias, name="logits")(joined)
'''


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stored model that takes one colour image of 12 × 10."""
    folder = tmp_path_factory.mktemp("one")
    made = architecture(image((12, 10, 3)), name="cnn", settings={"filters": [4, 8], "dense": 6})
    stored.save(folder, made, build(made))
    return folder


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stored model that takes a colour image of 12 × 10 and a grey one of 8 × 8, called `file`."""
    folder = tmp_path_factory.mktemp("two")
    made = architecture(image((12, 10, 3)), image(name="file"))
    stored.save(folder, made, build(made))
    return folder


@pytest.fixture
def own_architecture(tmp_path: Path) -> Iterator[Path]:
    """An architecture `linear_own` as one file, in a folder that is looked in as pipeline/models/architectures is."""
    folder = tmp_path / "architectures"
    folder.mkdir()
    (folder / "linear_own.py").write_text(OWN)
    architectures.__path__.append(str(folder))
    importlib.invalidate_caches()
    yield folder / "linear_own.py"
    architectures.__path__.remove(str(folder))
