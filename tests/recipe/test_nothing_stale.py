"""Nothing stale: change any one value that decides a result, wherever it stands, and a stage runs again.

A stage runs again where a parameter of the complete recipe that dvc.yaml declares for it is another: so here DVC is
asked nothing, and every value is tried. In tests/system/ the defaults in code are changed too, and DVC itself is
asked about a few values.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.graph import Stage, load_graph
from pipeline.recipe.changing import apply_overrides
from pipeline.recipe.resolving import RESOLVED_FILE, checked, complete
from pipeline.recipe.strict_yaml import parse_yaml
from tests.recipe.conftest import ROOT, SLOTS
from tests.recipe.leaves import at, following, leaves, other_values

SHIPPED = parse_yaml(ROOT / "params.yaml")
COMPLETE = complete(checked(SHIPPED, "params.yaml"))
# What decides no result, and so is read by the stage alone that keeps the whole recipe with a version.
DECIDES_NOTHING = {
    "evaluate.worst_mistakes": "how many mistakes the page shows",
    "data.address": "from where a folder is filled: what is in it decides",
}


def deciding_stages() -> list[Stage]:
    """The stages but the one that keeps the whole recipe with a version, and would run again whatever it holds."""
    return [stage for stage in load_graph(ROOT).stages if "registration" not in stage.makes]


def runs_again(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the stages of whose parameters one differs between two complete recipes."""
    return [
        stage.name
        for stage in deciding_stages()
        if any(at(before, key) != at(after, key) for key in stage.params if not key.startswith("code."))
    ]


# -- values in params.yaml


def test_every_stage_gets_its_parameters_from_the_complete_recipe() -> None:
    stages = load_graph(ROOT).stages
    assert {file for stage in stages for file in stage.param_files} == {RESOLVED_FILE}
    assert [stage.name for stage in stages if not stage.params] == ["resolve"]


def test_every_value_of_the_complete_recipe_is_a_parameter_of_a_stage_that_it_decides() -> None:
    declared = {key for stage in deciding_stages() for key in stage.params}
    uncovered = {
        leaf for leaf in leaves(COMPLETE) if not any(leaf == key or leaf.startswith(f"{key}.") for key in declared)
    }
    assert uncovered == set(DECIDES_NOTHING)


@pytest.mark.long
@given(st.data())
def test_whatever_value_of_the_recipe_changes_a_stage_runs_again(data: st.DataObject) -> None:
    changeable = [leaf for leaf in leaves(COMPLETE) if leaf not in DECIDES_NOTHING and other_values(COMPLETE, leaf)]
    key = data.draw(st.sampled_from(changeable))
    asked = following(key, data.draw(st.sampled_from(other_values(COMPLETE, key))))
    changed = complete(checked(apply_overrides(SHIPPED, asked, "--set"), "--set"))
    assert runs_again(COMPLETE, changed)


def test_writing_a_default_out_runs_nothing_again() -> None:
    assert runs_again(COMPLETE, complete(checked(COMPLETE, "x"))) == []


def test_every_named_file_is_a_parameter_or_within_a_room_of_a_stage() -> None:
    for stage in deciding_stages():
        if "candidate" in stage.makes:
            assert {"code.augmentation", "code.models", "code.training"} <= set(stage.params)
            assert not [dep for dep in stage.deps if any(dep.startswith(slot.folder) for slot in SLOTS)]
