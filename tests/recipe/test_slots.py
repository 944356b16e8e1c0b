"""A slot's member is a file in its folder; whatever is wrong with one is said in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import UsageError
from pipeline.recipe.recipe import ARCHITECTURE, AUGMENTATION, OPTIMIZER, SCHEDULE, SOURCE, Recipe
from pipeline.recipe.resolving import checked
from pipeline.recipe.slots import Choice, Slot, choices

Add = Callable[[Slot, str, str], Path]
HEAD = "from pipeline.recipe.settings import Settings as Base\n"
TYPED = (
    "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
    + HEAD
    + "if TYPE_CHECKING:\n import numpy\n"
)


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        checked(values, "params.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_names_are_those_of_the_files() -> None:
    assert {"adam", "sgd"} <= set(OPTIMIZER.names())
    assert all((Path(OPTIMIZER.folder) / f"{name}.py").is_file() for name in OPTIMIZER.names())


def test_a_file_that_is_added_is_a_member(add: Add) -> None:
    add(OPTIMIZER, "lion", HEAD + "class Settings(Base):\n    beta: float = 0.5\n")
    assert "lion" in OPTIMIZER.names()
    assert OPTIMIZER.settings(Choice(name="lion"), "train.optimizer").beta == 0.5


def test_a_bare_name_is_short_for_a_choice() -> None:
    assert Choice.model_validate("adam") == Choice(name="adam", settings={})


@pytest.mark.parametrize("value", [None, 3, [1], True])
def test_what_is_neither_a_name_nor_a_group_of_keys_is_no_choice(value: object) -> None:
    with pytest.raises(ValidationError, match="a name is needed, or"):
        Choice.model_validate(value)


def test_every_choice_of_a_recipe_is_found_by_its_key(values: dict[str, Any]) -> None:
    found = {chosen.key: chosen.choice.name for chosen in choices(Recipe.model_validate(values))}
    assert found == {
        "task": "classification",
        "data.source": "idx",
        "data.features.image": "image",
        "augment.steps.0": "warp",
        "augment.steps.1": "noise",
        "augment.steps.2": "erase",
        "model": "cnn",
        "train.schedule": "cosine",
        "train.optimizer": "adam",
        "train.loss": "cross_entropy",
        "gate.rule": "better",
    }


@pytest.mark.parametrize(
    "name",
    ["../x", "..", "os", "X", "adam.x", "adam\n", "", "__init__", "_x", "a" * 101, "a" * 5000, "ä", "a b", "a\0"],
)
def test_a_hostile_name_is_no_file_and_imports_nothing(values: dict[str, Any], name: str) -> None:
    checked(values, "")
    before = set(sys.modules)
    values["train"]["optimizer"] = name
    assert refused(values).startswith("params.yaml: train.optimizer")
    with pytest.raises(UsageError, match="no optimizer"):
        OPTIMIZER.member(name)
    assert set(sys.modules) == before


@given(name=st.text(max_size=120))
def test_any_name_is_a_file_of_the_folder_or_refused_in_one_line(name: str) -> None:
    try:
        found = OPTIMIZER.file(name)
    except UsageError as error:
        assert len(str(error)) < 300
    else:
        assert (found.parent.name, found.stem) == ("optimizers", name)


BROKEN = {  # what stands in the file, and what is said of it
    "no_python": ("class", "cannot be imported: SyntaxError"),
    "missing_package": ("import nowhere_to_be_found", "cannot be imported: ModuleNotFoundError: No module named"),
    "raises": ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    "leaves": ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    "nothing_in_it": ("", "has no class Settings"),
    "settings_of_another_kind": ("class Settings: pass", "has no class Settings"),
    "no_type": (HEAD + "class Settings(Base):\n    a: object() = 3\n", "class Settings: PydanticSchema"),
    "a_name_unknown_at_runtime": (
        TYPED + "class Settings(Base):\n    a: numpy.ndarray\n",
        "class Settings: PydanticUndefinedAnnotation",
    ),
    "two_classes_with_a_mistake": (
        HEAD + "class Settings(Base):\n    a: int = 3\n    a_: int = nothing\n",
        "cannot be imported: NameError",
    ),
    "lambda": ("", "has no class Settings"),  # no name that Python would take, but a file's
}


@pytest.mark.parametrize(("name", "text", "said"), [(name, *case) for name, case in BROKEN.items()])
def test_a_file_that_is_no_member_is_refused_in_one_line(
    add: Add, values: dict[str, Any], name: str, text: str, said: str
) -> None:
    add(SCHEDULE, name, text)
    values["train"]["schedule"] = name
    line = refused(values)
    assert line.startswith(f"params.yaml: train.schedule: pipeline/training/schedules/{name}.py: {said}")


def test_a_folder_that_would_be_imported_instead_is_refused(add: Add, values: dict[str, Any]) -> None:
    file = add(SCHEDULE, "doubled", HEAD + "class Settings(Base): pass\n")
    (file.parent / "doubled").mkdir()
    (file.parent / "doubled" / "__init__.py").touch()
    values["train"]["schedule"] = "doubled"
    assert "the folder doubled/ beside it is imported in its place" in refused(values)


def test_a_member_beside_its_folder_is_told_where_to_go(add: Add, values: dict[str, Any]) -> None:
    file = add(ARCHITECTURE, "elsewhere", "")
    file.rename(file.parents[1] / "stray.py").write_text("def build(settings, inputs, units): ...")
    values["model"] = "stray"
    assert "stray.py is not looked at; move it to" in refused(values)


def test_a_setting_of_its_own_validator_that_fails_is_one_line(add: Add, values: dict[str, Any]) -> None:
    text = (
        HEAD
        + "from pydantic import model_validator\n"
        + "class Settings(Base):\n    a: int = 0\n"
        + "    @model_validator(mode='after')\n    def _x(self):\n        return 1 // self.a\n"
    )
    add(SCHEDULE, "divides", text)
    values["train"]["schedule"] = "divides"
    assert "schedules/divides.py: Settings: ZeroDivisionError" in refused(values)


def test_a_failed_member_is_looked_at_again(add: Add, values: dict[str, Any]) -> None:
    file = add(SCHEDULE, "mended", "1 / 0")
    values["train"]["schedule"] = "mended"
    refused(values)
    file.write_text(HEAD + "class Settings(Base): pass\n")
    assert "schedules/mended.py: has no share, which every schedule has" in refused(values)
    add(SCHEDULE, "whole", HEAD + "class Settings(Base): pass\ndef share(settings, step, steps): return 1.0\n")
    values["train"]["schedule"] = "whole"
    assert checked(values, "x").train.schedule.name == "whole"


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (
            "a: tuple[float, float] = (0.9, 0.999)",
            "a tuple, date or other type that JSON has not takes Field(strict=False)",
        ),
        ("a: int = 1.5", "a default must be valid"),
        ("a: float = float('inf')", "not JSON compliant"),
    ],
)
def test_defaults_that_a_stage_could_not_read_are_refused(
    add: Add, values: dict[str, Any], declared: str, why: str
) -> None:
    share = "def share(settings, step, steps): return 1.0"
    add(SCHEDULE, "unreadable", f"{HEAD}class Settings(Base):\n    {declared}\n{share}\n")
    values["train"]["schedule"] = "unreadable"
    line = refused(values)
    assert "schedules/unreadable.py: Settings cannot be written out and read back: " in line
    assert why in line


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("data.source", {"name": "idx", "settings": {"x": 1}}, "unknown key 'data.source.settings.x'"),
        ("augment.steps", ["wrap"], "augment.steps.0: no augmentation step 'wrap' in pipeline/augmentation/steps (did"),
        ("augment.steps", "flip", "augment.steps: a list is needed, in [ ], got 'flip'"),
        ("augment.steps", [None], "augment.steps.0: a name is needed, or {name: …, settings: {…}}, got null"),
        ("augment.steps", ["noise"], "'augment.steps.0.settings.levels' is missing"),
        ("data.features", ["image"], "data.features: a group of keys is needed"),
        ("data.features", {"image": None}, "data.features.image: a name is needed, or {kind: …, settings: {…}}"),
        ("data.features", {"Image": "image"}, "data.features.Image: a name of small letters"),
        ("data.features", {}, "data.features: must not be empty"),
        ("train.optimizer", {"name": "adam", "settings": None}, "train.optimizer.settings: a group of keys is needed"),
        (
            "train.optimizer",
            {"nmae": "adam"},
            "unknown key 'train.optimizer.nmae' (did you mean 'train.optimizer.name'?)",
        ),
    ],
)
def test_a_choice_that_is_none_is_refused_by_its_key(
    values: dict[str, Any], key: str, value: object, line: str
) -> None:
    group, _, last = key.rpartition(".")
    values[group][last] = value
    assert refused(values).startswith(f"params.yaml: {line}")


@pytest.mark.parametrize("slot", [SOURCE, OPTIMIZER, SCHEDULE, AUGMENTATION, ARCHITECTURE], ids=lambda slot: slot.what)
def test_every_shipped_member_of_a_slot_is_one(slot: Slot) -> None:
    assert [slot.member(name).Settings.__name__ for name in slot.names()] == ["Settings"] * len(slot.names())
