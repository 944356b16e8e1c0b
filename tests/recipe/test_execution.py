"""Where and how: execution.yaml, the environment, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.execution import as_variables, load_execution

ROOT = Path(__file__).parents[2]


def test_the_shipped_settings_are_valid() -> None:
    assert load_execution(ROOT, {}).horovod.workers == 2


def test_the_environment_overrides_the_file() -> None:
    execution = load_execution(ROOT, {"RATCHET_SPARK__MASTER": "local[7]", "RATCHET_HOROVOD__WORKERS": "1"})
    assert (execution.spark.master, execution.horovod.workers) == ("local[7]", 1)


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
