"""What Airflow adds: parsing its DAG files, driving a run from task to task, and a run with nothing to do.

    python benchmarks/airflow.py            (needs .venv and .venv-airflow: `make airflow` makes both)

A clone of this checkout is given its own Airflow. One run of the shipped recipe is triggered from an empty cache, then
one with nothing changed; in another clone `ratchet run` runs the same stages from an empty cache.

    parse      time to load each DAG file in a fresh process that has imported airflow.sdk and made one empty DAG with
               a schedule, and then frozen what there is to collect: Airflow's processor forks each of its processes
               from one that has
    overhead   wall time of the run less the stages' own times (from a stage's begin to its finish), a task and as a
               share; DVC's and Python's start for each stage are in it. The same for `ratchet run`
    no-op      wall time of a run that finds nothing to do, from its start to its end

Airflow's workers have each had a small task before (the sweep): they load what they need with their first, and then
live for weeks.

Asked: at most 50 ms a file, 1.5 s a task, 10 % of a run of two minutes, 10 s.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.system.airflow import Airflow, running  # noqa: E402
from tests.system.project import Project  # noqa: E402

DAG, SWEEP = "retrain_fashion_mnist", "ratchet_sweep"
WORKERS = 8  # AIRFLOW__CORE__PARALLELISM in dags/airflow.env
PARSES = 7
ASKED_PARSE_MS, ASKED_TASK_S, ASKED_SHARE, ASKED_NO_OP_S = 50.0, 1.5, 0.10, 10.0
_PARSE = """
import gc, importlib.util, json, sys, time
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, BaseOperator, CronTriggerTimetable, Param, TaskGroup
DAG("any", schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC"))
gc.freeze()
times = {}
for path in sys.argv[1:]:
    start_s = time.perf_counter()
    spec = importlib.util.spec_from_file_location(f"parsed_{len(times)}", path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    times[path] = time.perf_counter() - start_s
print(json.dumps(times))
"""


def parse_ms() -> dict[str, float]:
    """Return the median time to load each DAG file, each time in a fresh process, milliseconds."""
    files = [str(ROOT / "dags" / f"{name}.py") for name in ("retrain", "watch", "sweep", "problems")]
    python = Path(os.environ.get("RATCHET_AIRFLOW_VENV", ROOT / ".venv-airflow")) / "bin" / "python"
    times: dict[str, list[float]] = {file: [] for file in files}
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": home}
        for _ in range(PARSES + 1):
            for file in files:  # a process each: what one file has imported is no gift to the next
                done = subprocess.run(
                    [python, "-c", _PARSE, file], env=environment, capture_output=True, text=True, check=True
                )
                times[file].append(json.loads(done.stdout.splitlines()[-1])[file] * 1e3)
    return {Path(file).name: statistics.median(found[1:]) for file, found in times.items()}


def clone(folder: Path) -> Project:
    """Return a clone of this checkout, nothing made yet, without a schedule: nothing runs beside what is measured."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    (folder / "configs" / "fashion_mnist.yaml").write_text("description: measured\n")
    return Project(folder)


def stages_s(reports: Path) -> dict[str, float]:
    """Return the own time of each stage of a run, seconds."""
    return {stage["name"]: stage["seconds"] for stage in json.loads((reports / "run.json").read_text())["stages"]}


def wall_s(run: dict[str, Any]) -> float:
    """Return how long a DAG run took, from its start to its end, seconds."""
    start, end = (datetime.fromisoformat(run[key]) for key in ("start_date", "end_date"))
    return (end - start).total_seconds()


def by_airflow(airflow: Airflow) -> tuple[float, dict[str, float], int, float]:
    """Return wall time and stages of a whole run, its number of tasks, and the wall time of a run with nothing new."""
    airflow.switch_on(SWEEP)
    for sweep in [airflow.trigger(SWEEP) for _ in range(WORKERS)]:
        airflow.ended(SWEEP, sweep, 120)
    airflow.switch_on(DAG)
    run_id = airflow.trigger(DAG)
    whole = airflow.ended(DAG, run_id, 1200)
    if whole["state"] != "success":
        raise SystemExit(airflow.told(DAG, run_id))
    tasks = len(airflow.tasks(DAG, run_id))
    nothing = airflow.ended(DAG, airflow.trigger(DAG), 120)
    if not str(nothing["note"]).startswith("nothing to do"):
        raise SystemExit(f"the second run had something to do: {nothing['note']}")
    return wall_s(whole), stages_s(airflow.kept(DAG, run_id) / "reports"), tasks, wall_s(nothing)


def main() -> None:
    """Measure and print."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # from its second start, a program finds itself compiled
    for name, taken_ms in parse_ms().items():
        print(f"parse {name:11} {taken_ms:6.1f} ms  ({taken_ms / ASKED_PARSE_MS:.2f} × what is asked)", flush=True)
    with tempfile.TemporaryDirectory(prefix="ratchet-airflow-") as folder:
        with running(clone(Path(folder) / "airflow")) as airflow:
            wall, stages, tasks, nothing = by_airflow(airflow)
        project = clone(Path(folder) / "ratchet")
        start_s = time.perf_counter()
        done = project.ratchet("run")
        own_wall = time.perf_counter() - start_s
        if done.returncode:
            raise SystemExit(done.stderr)
        own_stages = stages_s(project.root / "reports")
    for name, taken, own in (("airflow", wall, stages), ("ratchet run", own_wall, own_stages)):
        rest = taken - sum(own.values())
        print(
            f"{name:12} {taken:6.1f} s, stages {sum(own.values()):6.1f} s: "
            f"{rest:5.1f} s beside them, {rest / tasks:.2f} s a task, {rest / taken:.1%} of the run"
        )
    rest = wall - sum(stages.values())
    share = rest / max(wall, 120.0)
    print(f"overhead a task        {rest / tasks:.2f} s  ({rest / tasks / ASKED_TASK_S:.2f} × what is asked)")
    print(f"overhead of two minutes {share:.1%}  ({share / ASKED_SHARE:.2f} × what is asked)")
    print(f"no-op run              {nothing:.1f} s  ({nothing / ASKED_NO_OP_S:.2f} × what is asked)")
    print(f"airflow / ratchet run  {wall / own_wall:.2f}")


if __name__ == "__main__":
    main()
