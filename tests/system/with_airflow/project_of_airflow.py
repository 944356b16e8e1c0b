"""The project that the one Airflow of all tests runs: the digits by several configs, the shipped ones, two own DAGs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from pipeline.recipe.configs import recipe_layers
from tests.system import shipped
from tests.system.project import ROOT, Project, make_project, write_digits

DAG = "retrain_digits"

CONFIGS: dict[str, dict[str, Any]] = {
    "digits": {"description": "the digits", "owner": "tests", "tags": ["digits"], "schedule": "0 2 1 1 *"},
    "approved": {
        "description": "a person says yes or no",
        "approval": {"deadline_hours": 1},
        "recipe": {"name": "approved"},
    },
    "cleared": {"description": "its runs are cleared and deleted", "recipe": {"name": "cleared"}},
    # Its contract asks for more rows than any of its snapshots has: quick to run, and red.
    "dated": {
        "description": "a source that keeps what it held",
        "schedule": "0 3 * * *",
        "watch": "* * * * *",
        "recipe": {"name": "dated", "data": {"path": "dated", "contracts": "data_contracts/strict"}},
    },
}

OWN_DAGS = """
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task

with DAG("imports", schedule=None):

    @task
    def read():
        import dags.part  # the project's root is on the path
        import pipeline.errors

        print("a line of the task", dags.part.WORD)

    read()

with DAG("sleeps", schedule=None):
    BashOperator(task_id="sleep", bash_command="exec sleep 98765")
"""


def make(folder: Path) -> Project:
    """Make the project, with the shipped DAGs and its own."""
    project = make_project(folder)
    _add_configs(project)
    _add_shipped(project)
    dags = project.root / "dags"
    (dags / "own.py").write_text(OWN_DAGS)
    (dags / "part.py").write_text('WORD = "imported"  # no file of an Airflow DAG\n')
    with (dags / ".airflowignore").open("a") as ignored:
        ignored.write("part.py\n")
    return project


def _add_shipped(project: Project) -> None:
    """Add the shipped configs, each with its whole recipe, since another one is in force here; at no times."""
    shipped.add_samples(project.root)
    in_force = yaml.safe_load((project.root / "params.yaml").read_text())
    for name in shipped.CONFIGS:
        config = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
        recipe = recipe_layers(ROOT, f"configs/{name}.yaml").values
        for group, names in (("data", "features"), ("gate", "minimum"), ("gate", "maximum")):
            others = dict.fromkeys(in_force[group][names].keys() - recipe[group][names].keys())
            recipe[group][names] = {**recipe[group][names], **others}  # null: those of the recipe in force are left out
        config |= {"schedule": None, "watch": None, "recipe": recipe}
        # The order of keys is that of the checks in a verdict.
        (project.root / "configs" / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def _add_configs(project: Project) -> None:
    root = project.root
    shutil.rmtree(root / "configs")
    (root / "configs").mkdir()
    for name, config in CONFIGS.items():
        (root / "configs" / f"{name}.yaml").write_text(yaml.safe_dump(config))
    for day in ("2026-11-01", "2026-11-10"):
        write_digits(root / "dated" / day)
    strict = root / "data_contracts" / "strict"
    shutil.copytree(root / "data_contracts" / "digits", strict)
    raw = yaml.safe_load((strict / "raw.yaml").read_text())
    for expectation in raw["expectations"]:
        if expectation["type"] == "expect_table_row_count_to_be_between":
            expectation["kwargs"] |= {"min_value": 100_000, "max_value": 200_000}
    (strict / "raw.yaml").write_text(yaml.safe_dump(raw))
