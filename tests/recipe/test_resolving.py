"""The one resolver: what it refuses, and the complete recipe that it makes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StorageError, UsageError
from pipeline.recipe.recipe import FEATURE, OPTIMIZER, SCHEDULE, SOURCE, TASK
from pipeline.recipe.resolving import checked, complete, load_checked, named_files
from pipeline.recipe.slots import Slot, choices
from pipeline.recipe.strict_yaml import parse_yaml
from tests.recipe.conftest import ROOT
from tests.recipe.leaves import following, leaves, other_values
from tests.recipe.test_changing import COMPLETE

Add = Callable[[Slot, str, str], Path]
HEAD = "from pipeline.errors import UsageError\nfrom pipeline.recipe.settings import Settings as Base\n"
CHECKING = HEAD + "class Settings(Base):\n    share: float = 0.25\ndef check(settings, recipe):\n    {body}\n"
HEAVY = {"numpy", "pyarrow", "tensorflow", "keras", "pyspark", "great_expectations", "mlflow", "pandas", "sklearn"}


def refused(values: Any) -> str:
    with pytest.raises(UsageError) as caught:
        checked(values, "params.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_default_is_written_out(values: dict[str, Any]) -> None:
    whole = complete(checked(values, "x"))
    assert whole["train"]["optimizer"]["settings"]["beta_1"] == 0.9
    assert whole["gate"]["confidence"] == 0.95
    assert whole["gate"]["rule"]["settings"]["verdicts"] == 365
    assert whole["augment"]["steps"][2]["settings"] == {"probability": 0.2, "area": 0.15}


def test_a_complete_recipe_is_plain_json() -> None:
    assert json.loads(json.dumps(COMPLETE, allow_nan=False)) == COMPLETE


@pytest.mark.long
@given(st.data())
def test_completing_a_complete_recipe_changes_nothing(data: st.DataObject) -> None:
    from pipeline.recipe.changing import apply_overrides

    key = data.draw(st.sampled_from([leaf for leaf in leaves(COMPLETE) if other_values(COMPLETE, leaf)]))
    values = apply_overrides(
        parse_yaml(ROOT / "params.yaml"),
        following(key, data.draw(st.sampled_from(other_values(COMPLETE, key)))),
        "--set",
    )
    whole = complete(checked(values, "x"))
    assert complete(checked(whole, "x")) == whole


@pytest.mark.parametrize("values", [None, 3, [], "x", {}])
def test_what_is_no_recipe_is_refused_in_one_line(values: object) -> None:
    assert refused(values).startswith("params.yaml: ")


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=8,
    ),
    st.sampled_from(leaves(COMPLETE)),
)
def test_any_value_in_any_place_is_accepted_or_refused_in_one_line(value: object, key: str) -> None:
    from pipeline.recipe.changing import apply_overrides

    group = key.rpartition(".")[0] or key
    for place in (key, group):
        try:
            checked(apply_overrides(COMPLETE, {place: value}, "--set"), "--set")
        except UsageError as error:
            assert str(error).startswith("--set: ")


def test_a_members_check_sees_the_complete_recipe(add: Add, values: dict[str, Any]) -> None:
    body = "raise UsageError(f\"{settings.share} {recipe.train.optimizer.settings['beta_1']}\")"
    add(SCHEDULE, "checking", CHECKING.format(body=body))
    values["train"]["schedule"] = "checking"
    assert refused(values) == "params.yaml: train.schedule: 0.25 0.9"


def test_a_check_that_names_a_key_is_led_by_it(add: Add, values: dict[str, Any]) -> None:
    add(SCHEDULE, "naming", CHECKING.format(body="raise UsageError('train.warmup_epochs: too long')"))
    values["train"]["schedule"] = "naming"
    assert refused(values) == "params.yaml: train.warmup_epochs: too long"


def test_a_check_that_fails_is_told_with_its_file(add: Add, values: dict[str, Any]) -> None:
    add(SCHEDULE, "failing", CHECKING.format(body="1 / 0"))
    values["train"]["schedule"] = "failing"
    assert "schedules/failing.py: its check ends with ZeroDivisionError: division by zero" in refused(values)


def test_settings_are_refused_before_any_check(add: Add, values: dict[str, Any]) -> None:
    add(SCHEDULE, "early", CHECKING.format(body="1 / 0"))
    values["train"] |= {"schedule": "early", "optimizer": {"name": "adam", "settings": {"x": 1}}}
    assert "unknown key 'train.optimizer.settings.x'" in refused(values)


@pytest.mark.parametrize(
    ("slot", "key", "missing"),
    [(FEATURE, "features", "preprocessing of feature kind 'alone'"), (TASK, "task", "output of task 'alone'")],
    ids=["feature kind", "task"],
)
def test_a_kind_or_a_task_needs_its_files_in_the_other_rooms(
    add: Add, values: dict[str, Any], slot: Slot, key: str, missing: str
) -> None:
    add(slot, "alone", HEAD + "class Settings(Base): pass\n")
    if key == "task":
        values["task"] = "alone"
    else:
        add(SOURCE, "of_alone", HEAD + "class Settings(Base): pass\n")
        values["data"] |= {"source": "of_alone", "features": {"image": "alone"}}
        values["augment"]["steps"] = []
    assert f"no {missing} in pipeline/" in refused(values)


def test_the_files_that_a_recipe_names_are_there(values: dict[str, Any]) -> None:
    recipe = checked(values, "x")
    files = named_files(recipe, ROOT)
    assert all(file.is_file() for file in files)
    assert ROOT / "pipeline/training/optimizers/adam.py" in files
    assert ROOT / "pipeline/models/preprocessing/image.py" in files
    assert {file.stem for file in files} == {chosen.choice.name for chosen in choices(recipe)}


def test_a_recipe_that_is_not_there_is_an_input_output_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"params\.yaml: cannot be read"):
        load_checked(tmp_path)


def test_the_members_of_all_slots_are_light_to_import() -> None:
    script = (
        "import json, sys\n"
        "from pipeline.recipe import recipe\n"
        "slots = [each for each in vars(recipe).values() if type(each).__name__ == 'Slot']\n"
        "for slot in slots:\n"
        "    for name in slot.names():\n"
        "        slot.member(name)\n"
        "print(json.dumps([len(slots), sorted({name.partition('.')[0] for name in sys.modules})]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    count, loaded = json.loads(done.stdout)
    assert (count, HEAVY.intersection(loaded)) == (9, set())


@pytest.mark.parametrize("name", OPTIMIZER.names())
def test_every_shipped_optimizer_is_taken_by_its_bare_name(values: dict[str, Any], name: str) -> None:
    values["train"]["optimizer"] = name
    assert checked(values, "x").train.optimizer.name == name
