"""Where and how: execution.yaml, the environment, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.execution import WorkspaceSettings, as_variables, load_execution

ROOT = Path(__file__).parents[2]


def test_the_shipped_settings_are_valid() -> None:
    assert load_execution(ROOT, {}).horovod.workers == 2


def test_the_environment_overrides_the_file() -> None:
    execution = load_execution(ROOT, {"RATCHET_SPARK__MASTER": "local[7]", "RATCHET_HOROVOD__WORKERS": "1"})
    assert (execution.spark.master, execution.horovod.workers) == ("local[7]", 1)


def test_a_bound_needs_what_is_measured() -> None:
    bounded = load_execution(ROOT, as_variables({"export.max_p95_ms": "2.5"})).export
    assert (bounded.formats, bounded.max_p95_ms) == (("saved_model",), 2.5)
    with pytest.raises(UsageError, match="formats must not be empty: without figures no bound"):
        load_execution(ROOT, as_variables({"export.max_size_mib": "3", "export.formats": "[]"}))


def test_an_override_of_one_run_becomes_the_variable_that_stages_read() -> None:
    variables = as_variables({"horovod.cycle_time_ms": "2.5"})
    assert load_execution(ROOT, variables).horovod.cycle_time_ms == 2.5


def test_an_unknown_variable_is_refused_with_the_nearest_key() -> None:
    with pytest.raises(
        UsageError, match=r"RATCHET_SPARK__MATSER: unknown key 'spark\.matser' \(did you mean 'spark\.mas"
    ):
        load_execution(ROOT, {"RATCHET_SPARK__MATSER": "local"})


def test_defaults_hold_where_there_is_no_file(tmp_path: Path) -> None:
    assert load_execution(tmp_path, {}).spark.master == "local[2]"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A project whose execution.yaml was written when workspaces were worktrees."""
    (tmp_path / "execution.yaml").write_text("worktrees:\n  failed_hours: 5\n  forgotten_hours: 6\n")
    return tmp_path


def test_the_old_name_of_the_workspaces_is_still_read_from_the_file(old: Path) -> None:
    assert load_execution(old, {}).workspaces == WorkspaceSettings(failed_hours=5, forgotten_hours=6)


@pytest.mark.parametrize("group", ["worktrees", "workspaces"])
def test_either_name_overrides_either_name(old: Path, group: str) -> None:
    for root in (ROOT, old):
        execution = load_execution(root, as_variables({f"{group}.failed_hours": "1"}))
        assert execution.workspaces.failed_hours == 1
    assert execution.workspaces.forgotten_hours == 6


def test_a_mistake_under_the_old_name_is_told_by_the_new_one(old: Path) -> None:
    with pytest.raises(
        UsageError, match=r"unknown key 'workspaces\.failed_hour' \(did you mean 'workspaces\.failed_hours"
    ):
        load_execution(old, {"RATCHET_WORKTREES__FAILED_HOUR": "1"})


def test_both_names_at_once_are_refused_in_one_line_that_names_both(old: Path) -> None:
    with (old / "execution.yaml").open("a") as file:
        file.write("workspaces:\n  failed_hours: 5\n")
    with pytest.raises(UsageError, match=r"^execution\.yaml: worktrees and workspaces are two names of"):
        load_execution(old, {})
    both = as_variables({"worktrees.failed_hours": "1", "workspaces.failed_hours": "1"})
    said = (
        r"^environment: RATCHET_WORKSPACES__FAILED_HOURS and RATCHET_WORKTREES__FAILED_HOURS are two names of the same"
    )
    with pytest.raises(UsageError, match=said):
        load_execution(ROOT, both)
    apart = as_variables({"worktrees.failed_hours": "1", "workspaces.forgotten_hours": "2"})
    assert load_execution(ROOT, apart).workspaces == WorkspaceSettings(failed_hours=1, forgotten_hours=2)


@pytest.mark.parametrize("name", ["TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS", "XLA_FLAGS", "NVIDIA_TF32_OVERRIDE"])
def test_what_may_change_how_numbers_are_rounded_is_not_passed_on(tmp_path: Path, name: str) -> None:
    (tmp_path / "execution.yaml").write_text(f"environment: {{pass_on: [MY_TOKEN, {name}]}}\n")
    with pytest.raises(
        UsageError, match=rf"environment\.pass_on: {name} may change how numbers are rounded.*leave it out"
    ):
        load_execution(tmp_path, {})
