"""A run with its server (`server.enabled` in execution.yaml) and without: what is started once, and what that saves.

    python benchmarks/warm_run.py [--parts demo memory gate augment small] [--rounds 3] [--noisy]

Both are this checkout, in copies in a temporary folder. They take turns, the one that begins changing, and each figure
is a median of the quiet rounds (`quiet.py`); with `--noisy` all rounds count, and each figure says how noisy they were.

demo     `ratchet run` in a fresh copy: its time but for training, the JVMs it starts, and whether the locks are equal
memory   the same, and the proportional memory of its whole process tree; apart, as to read that slows a run down
gate     a run of a finished project with another gate.parity.rows: gate and register, against `import tensorflow`
augment  one with another augment.steps.1.settings.levels, until check_prepared
small    a run with nothing to do, and a stage by itself: no slower

What a run has started is found by the kernel: this process becomes the parent of all that loses its own, the server
included, and waits for its end.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import copy_checkout, environment
from benchmarks.no_op_run import RATCHET
from benchmarks.quiet import CouldNotMeasure, Rounds
from pipeline.graph import load_graph
from pipeline.runtime import processes

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.executable)
WITH, WITHOUT = "with", "without"
WAYS = (WITH, WITHOUT)
SERVER = "RATCHET_SERVER__ENABLED"
TRAINING, PREPARED = "training", ("data", "contracts")  # groups of stages (`meta` in dvc.yaml)
LAST_CHECK = "check_prepared"
SMALL_STAGE = "split"
LOOK_EVERY_S = 0.2
REPEATS = 3  # of what takes a second, a round
Report = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """What was seen of a run: its wall time, the JVMs of Spark, the peak of its memory (0 unless asked), its report."""

    seconds: float
    jvms: int
    peak_mib: float
    report: Report
    lock: bytes

    def of_groups(self, wanted: Sequence[str]) -> float:
        """Return the seconds of all stages that ran and are of the wanted groups."""
        groups = {stage.name: stage.meta["group"] for stage in load_graph(ROOT).stages}
        return sum(float(s["seconds"]) for s in self.report["stages"] if "began_s" in s and groups[s["name"]] in wanted)


def environment_of(project: Path, way: str) -> dict[str, str]:
    """Return the environment of a project's commands, with the server or without."""
    return {**environment(project, PYTHON), SERVER: str(way == WITH).lower()}


def in_turn(number: int) -> Sequence[str]:
    """Return both ways, the one that begins changing from round to round."""
    return WAYS[:: 1 if number % 2 else -1]


def proportional_mib(pid: int) -> float:
    """Return a process's share of the memory that it maps (Pss, proc_pid_smaps(5)), MiB; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def is_spark(pid: int) -> bool:
    """Return whether a process is a JVM of Spark: not the one that only writes its command line, a moment before."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has just ended
        return False
    is_written = processes.is_running(pid, "org.apache.spark.launcher.Main")
    return name == "java" and not is_written and processes.is_running(pid, "org.apache.spark.deploy.SparkSubmit")


def watched(command: Sequence[str], project: Path, way: str, *, reads_memory: bool) -> tuple[float, int, float]:
    """Run a command; return its wall time in seconds, the number of JVMs and the peak of its memory in MiB."""
    jvms: set[tuple[int, int]] = set()
    peak_mib = 0.0
    with tempfile.TemporaryFile() as said:
        start_s = time.perf_counter()
        run = subprocess.Popen(command, cwd=project, env=environment_of(project, way), stdout=said, stderr=said)
        while True:
            with suppress(subprocess.TimeoutExpired):
                run.wait(LOOK_EVERY_S)
                break
            tree = processes.descendants()
            for pid in filter(is_spark, tree):
                with suppress(OSError):
                    jvms.add((pid, processes.started_ticks(pid)))
            if reads_memory:
                peak_mib = max(peak_mib, sum(map(proportional_mib, tree)))
        seconds = time.perf_counter() - start_s
        await_orphans()
        said.seek(0)
        printed = said.read().decode(errors="replace")
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}:\n{printed}")
    return seconds, len(jvms), peak_mib


def await_orphans() -> None:
    """Wait for the end of what a command has left behind: its server, which ends a moment later."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def run(project: Path, way: str, *options: str, reads_memory: bool = False) -> Run:
    """Run the pipeline in a project."""
    before = set((project / "runs").glob("*"))
    command = [str(PYTHON), *RATCHET, *options]
    seconds, jvms, peak_mib = watched(command, project, way, reads_memory=reads_memory)
    (folder,) = set((project / "runs").glob("*")) - before
    report = json.loads((folder / "reports" / "run.json").read_text())
    return Run(seconds, jvms, peak_mib, report, (folder / "dvc.lock").read_bytes())


def demos(folder: Path, number: int, *, reads_memory: bool = False) -> dict[str, Run]:
    """Run the demo both ways, each in a fresh copy."""
    found = {}
    for way in in_turn(number):
        with tempfile.TemporaryDirectory(dir=folder) as name:
            found[way] = run(copy_checkout(ROOT, Path(name)), way, reads_memory=reads_memory)
    return found


def line(what: str, values: Sequence[Mapping[str, float]], unit: str, asked: str, note: str) -> None:
    """Print the medians of both ways and of their ratio."""
    medians = {way: statistics.median(each[way] for each in values) for way in WAYS}
    ratio = statistics.median(each[WITH] / each[WITHOUT] for each in values)
    print(
        f"{what:38} with {medians[WITH]:7.2f} {unit}, without {medians[WITHOUT]:7.2f} {unit}: "
        f"ratio {ratio:.2f} (asked: {asked}; {note})",
        flush=True,
    )


def print_stages(rounds: Sequence[Mapping[str, Run]]) -> None:
    """Print where the time went: medians of each stage's seconds, and of how many of them were start-up."""

    def median(way: str, name: str, key: str) -> float | None:
        found = [s[key] for each in rounds for s in each[way].report["stages"] if s["name"] == name and key in s]
        return statistics.median(found) if found else None

    print(f"  {'stage':16} {'with':>7} {'start-up':>9}   {'without':>7} {'start-up':>9}   seconds")
    for name in (stage["name"] for stage in rounds[0][WITH].report["stages"]):
        if any(median(way, name, "began_s") is not None for way in WAYS):
            cells = {way: [median(way, name, key) or 0.0 for key in ("seconds", "startup_seconds")] for way in WAYS}
            print(f"  {name:16}", *(f"{took:7.2f} {startup:9.2f}  " for took, startup in cells.values()))
    for key in ("startup_seconds", "work_seconds", "waiting_seconds"):
        sums = (statistics.median(each[way].report[key] for each in rounds) for way in WAYS)
        print(f"  {key.partition('_')[0]:16}", *(f"{took:7.2f} {'':9}  " for took in sums), "of the run", flush=True)


def measure_demo(folder: Path, rounds: Rounds) -> bool:
    """Measure a fresh copy's first run; return whether both ways leave the same lock."""
    found, note = rounds.of(lambda number: demos(folder, number))
    untrained = [{w: r.seconds - r.of_groups([TRAINING]) for w, r in each.items()} for each in found]
    line("demo: all but training", untrained, "s", "at most 0.45, better 0.35", note)
    line("demo: JVMs started", [{w: r.jvms for w, r in each.items()} for each in found], "  ", "1 with", note)
    print_stages(found)
    is_same = all(each[WITH].lock == each[WITHOUT].lock for each in found)
    print(f"demo: dvc.lock the same, byte for byte: {'yes' if is_same else 'NO'}", flush=True)
    return is_same


def measure_memory(folder: Path, rounds: Rounds) -> None:
    """Measure the memory of a fresh copy's first run."""
    found, note = rounds.of(lambda number: demos(folder, number, reads_memory=True))
    peaks = [{w: r.peak_mib for w, r in each.items()} for each in found]
    line("demo: peak proportional memory", peaks, "MiB", "at most 1.10", note)


def measure_gate(project: Path, rounds: Rounds, fresh: Iterator[int]) -> None:
    """Measure a run in which only the gate's settings have changed."""

    def measure(number: int) -> dict[str, Any]:
        runs = {way: run(project, way, "--set", f"gate.parity.rows={100 + next(fresh)}") for way in in_turn(number)}
        code = ["-c", "import tensorflow"]
        return {**runs, "import": watched([str(PYTHON), *code], project, WITHOUT, reads_memory=False)[0]}

    found, note = rounds.of(measure)
    line("gate.…: the run", [{w: each[w].seconds for w in WAYS} for each in found], "s", "see below", note)
    imports_s = statistics.median(each["import"] for each in found)
    ratio = statistics.median(each[WITH].seconds / each["import"] for each in found)
    print(
        f"gate.…: with the server, against `import tensorflow` ({imports_s:.2f} s): "
        f"ratio {ratio:.2f} (asked: at most 2; {note})"
    )
    print_stages(found)


def measure_augment(project: Path, rounds: Rounds, fresh: Iterator[int]) -> None:
    """Measure a run in which only the augmentation has changed, until the prepared data is checked."""

    def measure(number: int) -> dict[str, Run]:
        return {
            way: run(
                project, way, "--until", LAST_CHECK, "--set", f"augment.steps.1.settings.levels={4 + next(fresh) / 64}"
            )
            for way in in_turn(number)
        }

    found, note = rounds.of(measure)
    stages = [{way: r.of_groups(PREPARED) for way, r in each.items()} for each in found]
    line("augment.…: data and contract stages", stages, "s", "at most 0.45", note)
    line("augment.…: the run", [{way: r.seconds for way, r in each.items()} for each in found], "s", "-", note)
    print_stages(found)


def measure_small(project: Path, rounds: Rounds) -> None:
    """Measure what gains nothing: a run with nothing to do, and a stage that nobody drives."""
    commands: dict[str, Sequence[str]] = {
        "nothing to do: the run": RATCHET,
        f"a stage by itself: {SMALL_STAGE}": ("-m", "pipeline", "stage", SMALL_STAGE),
    }

    def measure(number: int) -> dict[str, dict[str, float]]:
        taken: dict[str, dict[str, list[float]]] = {what: {way: [] for way in WAYS} for what in commands}
        for repeat in range(REPEATS):
            for what, command in commands.items():
                for way in in_turn(number + repeat):
                    seconds, *_ = watched([str(PYTHON), *command], project, way, reads_memory=False)
                    taken[what][way].append(seconds)
        return {what: {way: statistics.median(of) for way, of in ways.items()} for what, ways in taken.items()}

    found, note = rounds.of(measure)
    for what in commands:
        line(what, [each[what] for each in found], "s", "about 1", note)


PARTS = ("demo", "memory", "gate", "augment", "small")
OF_A_FINISHED_PROJECT = PARTS[2:]


def main() -> int:
    """Measure and print; exit 1 if the ways leave different locks, 75 if a part could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="quiet rounds wanted of each part (3)")
    parser.add_argument("--noisy", action="store_true", help="do not wait for quiet; each figure says so")
    parser.add_argument("--patience-s", type=float, default=900.0, help="noise to put up with, seconds a part (900)")
    options = parser.parse_args()
    rounds = Rounds(options.rounds, options.patience_s, options.noisy)
    processes.adopt_orphans()
    is_same, missing = True, 0
    fresh = count(1)  # no two runs of a project are of the same recipe: the second would take the first one's results
    with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as name:
        folder, project = Path(name), Path(name) / "finished"
        if set(options.parts) & set(OF_A_FINISHED_PROJECT):
            print("one run first, in a copy of this checkout", flush=True)
            run(copy_checkout(ROOT, project), WITH)
        measures: dict[str, Callable[[], bool | None]] = {
            "demo": lambda: measure_demo(folder, rounds),
            "memory": lambda: measure_memory(folder, rounds),
            "gate": lambda: measure_gate(project, rounds, fresh),
            "augment": lambda: measure_augment(project, rounds, fresh),
            "small": lambda: measure_small(project, rounds),
        }
        for part in PARTS:
            if part in options.parts:
                try:
                    is_same &= measures[part]() is not False
                except CouldNotMeasure:
                    missing += 1
    return 1 if not is_same else os.EX_TEMPFAIL if missing else 0


if __name__ == "__main__":
    sys.exit(main())
