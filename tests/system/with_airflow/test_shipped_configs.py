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
from tests.system.with_airflow.conftest import AtStart, up

CHANGED = [f"{key}={json.dumps(value)}" for key, value in CHANGES.items()]
TRIGGERED = {"digits_folders": "accuracy", "flights_late": "accuracy", "flights_delay": "MAE", "spam": "accuracy"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_shipped(tmp_path_factory.mktemp("shipped") / "project")


@pytest.fixture(scope="module")
def triggered(installed: Airflow, at_start: AtStart) -> dict[str, str]:
    """Trigger them, at once; return their runs at their end, by config."""
    airflow, runs = up(installed), {}
    for name in TRIGGERED:
        airflow.switch_on(f"retrain_{name}")
        runs[name] = airflow.trigger(f"retrain_{name}", overrides=CHANGED)
    for name, run_id in runs.items():
        done = airflow.ended(f"retrain_{name}", run_id)
        assert done["state"] == "success", airflow.told(f"retrain_{name}", run_id)
    return runs


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
    airflow: Airflow, triggered: dict[str, str], clone: Project, name: str
) -> None:
    by_hand = run(clone, name, TRIGGERED[name])
    assert airflow.run(f"retrain_{name}", triggered[name])["note"].startswith(f"refused: {TRIGGERED[name]}")
    by_airflow = airflow.kept(f"retrain_{name}", triggered[name])
    assert (by_airflow / "dvc.lock").read_bytes() == (by_hand / "dvc.lock").read_bytes()


def test_every_shipped_config_is_run() -> None:
    assert {*TRIGGERED, "fashion_mnist"} == {*CONFIGS}
    assert {path.stem for path in (ROOT / "configs").glob("*.yaml")} - {*CONFIGS} == {"fashion_mnist_full"}
