"""What Airflow adds: parsing its DAG files, driving a run from task to task, and a run with nothing to do.

    python benchmarks/airflow.py            (sets up Airflow's environment if it is missing)

A copy of this checkout is given its own Airflow. One run of the shipped recipe is triggered from an empty cache, then
one with nothing changed; in another copy `ratchet run` runs the same stages from an empty cache.

    parse      time to load each DAG file in a fresh process that has imported airflow.sdk and made one empty DAG with
               a schedule, and then frozen what there is to collect: Airflow's processor forks each of its processes
               from one that has
    overhead   wall time of the run less the stages' own times (from a stage's begin to its finish), a task and as a
               share; DVC's and Python's start for each stage are in it. The same for `ratchet run`
    no-op      wall time of a run that finds nothing to do, from its start to its end

Airflow's workers have each had a small task before (the sweep): they load what they need with their first, and then
live for weeks. Only quiet rounds of parsing count, and each run has to be undisturbed (`quiet.py`).

Asked: at most 50 ms a file, 1.5 s a task, 10 % of a run of two minutes, 10 s.
"""

from __future__ import annotations

import argparse
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import copy_checkout
from benchmarks.quiet import quiet_once, quiet_rounds, take_sample
from tests.system.airflow import Airflow, running
from tests.system.project import Project

ROOT = Path(__file__).parents[1]
DAG, SWEEP = "retrain_fashion_mnist", "ratchet_sweep"
DAG_FILES = ("retrain.py", "watch.py", "score.py", "sweep.py", "problems.py")
WORKERS = 8  # AIRFLOW__CORE__PARALLELISM in dags/airflow.env
PARSES = 7
ASKED_PARSE_MS, ASKED_TASK_S, ASKED_SHARE, ASKED_NO_OP_S = 50.0, 1.5, 0.10, 10.0
_PARSE = """
import gc, importlib.util, sys, time
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, BaseOperator, CronTriggerTimetable, Param, TaskGroup
DAG("any", schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC"))
gc.freeze()
start_s = time.perf_counter()
spec = importlib.util.spec_from_file_location("parsed", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(time.perf_counter() - start_s)
"""


def airflow_python(checkout: Path) -> Path:
    """Return Airflow's Python for a checkout, as its own scripts find it."""
    return Path(os.environ.get("RATCHET_AIRFLOW_VENV", checkout / ".venv-airflow")) / "bin" / "python"


def set_up_airflow() -> None:
    """Make Airflow's environment where it is missing, unless the caller has named one."""
    if "RATCHET_AIRFLOW_VENV" not in os.environ:
        code = subprocess.run([ROOT / "scripts" / "setup_airflow.sh"], check=False).returncode
        if code:
            raise SystemExit(code)


def parse_ms(checkout: Path, home: Path) -> dict[str, float]:
    """Load each DAG file of a checkout once; return the times, milliseconds.

    Each has a process of its own: what one file has imported is no gift to the next. What Airflow and Python write goes
    to `home`: from the second time on, a program finds itself compiled.
    """
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    environment |= {"AIRFLOW_HOME": str(home), "PYTHONPYCACHEPREFIX": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    times_ms = {}
    for name in DAG_FILES:
        command = [str(airflow_python(checkout)), "-c", _PARSE, str(checkout / "dags" / name)]
        # Not in this checkout's folder, which `python -c` would look for modules in first.
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True)
        times_ms[name] = float(done.stdout.splitlines()[-1]) * 1e3
    return times_ms


def make_project(folder: Path) -> Project:
    """Return a copy of this checkout, nothing made yet, without a schedule: nothing runs beside what is measured."""
    copy_checkout(ROOT, folder)
    (folder / "configs" / "fashion_mnist.yaml").write_text("description: measured\n")
    return Project(folder)


def stages_s(reports: Path) -> dict[str, float]:
    """Return the own time of each stage of a run, seconds."""
    return {stage["name"]: stage["seconds"] for stage in json.loads((reports / "run.json").read_text())["stages"]}


def wall_s(run: dict[str, Any]) -> float:
    """Return how long a DAG run took, from its start to its end, seconds."""
    start, end = (datetime.fromisoformat(run[key]) for key in ("start_date", "end_date"))
    return (end - start).total_seconds()


def warm_up(airflow: Airflow) -> None:
    """Give each of Airflow's workers a small task: with their first, they load what they need."""
    airflow.switch_on(SWEEP)
    for sweep in [airflow.trigger(SWEEP) for _ in range(WORKERS)]:
        airflow.ended(SWEEP, sweep)
    airflow.switch_on(DAG)


def by_airflow(airflow: Airflow) -> tuple[float, dict[str, float], int, float]:
    """Return wall time and stages of a whole run, its number of tasks, and the wall time of a run with nothing new."""
    run_id = airflow.trigger(DAG)
    whole = airflow.ended(DAG, run_id)
    if whole["state"] != "success":
        raise SystemExit(airflow.told(DAG, run_id))
    tasks = len(airflow.tasks(DAG, run_id))
    nothing = airflow.ended(DAG, airflow.trigger(DAG))
    if not str(nothing["note"]).startswith("nothing to do"):
        raise SystemExit(f"the second run had something to do: {nothing['note']}")
    return wall_s(whole), stages_s(airflow.kept(DAG, run_id) / "reports"), tasks, wall_s(nothing)


def by_ratchet(project: Project) -> tuple[float, dict[str, float]]:
    """Return wall time and stages of `ratchet run`."""
    start_s = time.perf_counter()
    done = project.ratchet("run")
    taken_s = time.perf_counter() - start_s
    if done.returncode:
        raise SystemExit(done.stderr)
    return taken_s, stages_s(project.root / "reports")


def print_parse_times(patience_s: float) -> None:
    """Measure and print what it takes to parse the DAG files."""
    with tempfile.TemporaryDirectory(prefix="ratchet-airflow-") as home:
        parse_ms(ROOT, Path(home))
        rounds = quiet_rounds(lambda _number: parse_ms(ROOT, Path(home)), PARSES, patience_s)
    print(rounds.summary)
    for name in DAG_FILES:
        taken_ms = statistics.median(times_ms[name] for times_ms in rounds.results)
        print(f"parse {name:11} {taken_ms:6.1f} ms  ({taken_ms / ASKED_PARSE_MS:.2f} × what is asked)", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patience-s", type=float, default=120.0, help="how long to put up with noise, seconds (120)")
    patience_s = parser.parse_args().patience_s
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # from its second start, a program finds itself compiled
    set_up_airflow()
    print_parse_times(patience_s)
    with tempfile.TemporaryDirectory(prefix="ratchet-airflow-") as folder:
        with running(make_project(Path(folder) / "airflow")) as airflow:
            warm_up(airflow)
            (wall, stages, tasks, nothing), noise = quiet_once(
                lambda: by_airflow(airflow),
                "the run by Airflow",
                patience_s,
                lambda: take_sample(airflow.project.processes()),  # a service: this process is not its parent
            )
        print(f"airflow: {noise}", flush=True)
        project = make_project(Path(folder) / "ratchet")
        (own_wall, own_stages), noise = quiet_once(lambda: by_ratchet(project), "`ratchet run`", patience_s)
        print(f"ratchet run: {noise}", flush=True)
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
