"""Each shipped config on some 500 rows: through Airflow's trigger, and by hand in another clone, with the same lock.

That of the main job is triggered in `test_lock.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system.airflow import Airflow
from tests.system.project import ROOT, Project
from tests.system.shipped import CHANGES, CONFIGS, make_shipped

CHANGED = [f"{key}={json.dumps(value)}" for key, value in CHANGES.items()]
TRIGGERED = {"digits_folders": "accuracy", "flights_late": "accuracy", "flights_delay": "MAE", "spam": "accuracy"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_shipped(tmp_path_factory.mktemp("shipped") / "project")


def run(clone: Project, name: str, refused_for: str) -> Path:
    """Run a config by hand; return the folder of the run."""
    done = clone.ratchet(
        "run", "--config", f"configs/{name}.yaml", *(word for change in CHANGED for word in ("--set", change))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"verdict: REFUSE  {refused_for}" in done.stdout
    by_hand = clone.root / Path(done.stdout.splitlines()[-1].removeprefix("report: ")).parents[1]
    rows = json.loads((by_hand / "reports" / "metrics.json").read_text())
    assert 80 < rows["test"]["rows"] < 200
    return by_hand


@pytest.mark.parametrize("name", TRIGGERED)
def test_a_shipped_config_ends_in_a_verdict_and_with_the_same_lock_in_airflow_and_by_hand(
    airflow: Airflow, clone: Project, name: str
) -> None:
    dag = f"retrain_{name}"
    airflow.switch_on(dag)
    run_id = airflow.trigger(dag, overrides=CHANGED)
    by_hand = run(clone, name, TRIGGERED[name])
    done = airflow.ended(dag, run_id)
    assert done["state"] == "success", airflow.told(dag, run_id)
    assert done["note"].startswith(f"refused: {TRIGGERED[name]}")
    by_airflow = airflow.kept(dag, run_id)
    assert (by_airflow / "dvc.lock").read_bytes() == (by_hand / "dvc.lock").read_bytes()


def test_every_shipped_config_is_run() -> None:
    assert {*TRIGGERED, "fashion_mnist"} == {*CONFIGS}
    assert {path.stem for path in (ROOT / "configs").glob("*.yaml")} - {*CONFIGS} == {"fashion_mnist_full"}
