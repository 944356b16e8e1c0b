"""An architecture is a file found by its name, the user's own among the shipped ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.models import architectures
from pipeline.models.lookup import architecture_module, architecture_names, checked_settings

OWN = '''
from pipeline.recipe.settings import Settings


class LinearSettings(Settings):
    """Its settings."""

    bias: bool = True


def build(settings: LinearSettings, images, classes):
    """Return logits."""
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is looked in as if its files stood in architectures/."""
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path)])
    (tmp_path / "linear_own.py").write_text(OWN)
    monkeypatch.delitem(sys.modules, "pipeline.models.architectures.linear_own", raising=False)
    return tmp_path


def test_the_shipped_architectures_are_the_files_of_their_folder() -> None:
    assert architecture_names() == ["cnn", "mlp"]


def test_a_file_put_beside_them_is_an_architecture(own: Path) -> None:
    assert architecture_names() == ["cnn", "linear_own", "mlp"]
    assert architecture_module("linear_own").__file__ == str(own / "linear_own.py")


def test_the_settings_of_a_users_own_architecture_are_typed_as_its_build_says(own: Path) -> None:
    assert checked_settings("linear_own", {"bias": False}).model_dump() == {"bias": False}
    with pytest.raises(UsageError, match=r"model\.settings of linear_own: unknown key 'bais' .*did you mean 'bias'"):
        checked_settings("linear_own", {"bais": False})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("linear_on", r"no architecture 'linear_on' in pipeline/models/architectures \(did you mean 'linear_own'\?\)"),
        ("resnet", r"no architecture 'resnet' in pipeline/models/architectures \(valid: cnn, linear_own, mlp\)"),
        ("stored", "no architecture 'stored'"),
        ("../mlp", r"no architecture '\.\./mlp'"),
        ("", "no architecture ''"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_or_all_that_there_are(own: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        architecture_module(name)


def test_defaults_are_filled_in() -> None:
    assert checked_settings("mlp", {"units": [4]}).model_dump() == {"units": (4,), "dropout": 0.2}


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("cnn", {"filter": [8]}, "unknown key 'filter' .*did you mean 'filters'"),
        ("cnn", {"filters": []}, "filters"),
        ("cnn", {"filters": [0]}, "filters.0"),
        ("cnn", {"dense": 1.5}, "dense"),
        ("mlp", {"dropout": 1.0}, "dropout"),
        ("mlp", {"dropout": float("nan")}, "dropout"),
    ],
)
def test_settings_that_cannot_be_built_are_refused_in_one_line(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"model.settings of {name}: {said}"):
        checked_settings(name, settings)


def test_an_architecture_at_its_old_place_is_told_its_new_one(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = own / "models"
    (models / "architectures").mkdir(parents=True)
    (models / "foo.py").write_text(OWN)
    monkeypatch.setattr(architectures, "__path__", [str(models / "architectures")])
    with pytest.raises(UsageError, match=r"pipeline/models/foo\.py is not looked at; move it to architectures/"):
        architecture_module("foo")


def test_an_architecture_that_cannot_be_imported_is_one_line(own: Path) -> None:
    (own / "old_own.py").write_text("from pipeline.params import Settings\n")
    with pytest.raises(UsageError, match=r"old_own\.py: cannot be imported: No module named 'pipeline\.params'"):
        architecture_module("old_own")
