"""A second `ratchet run` with nothing changed, against a no-op `dvc repro`: at most a fifth, nothing heavy loaded.

    python benchmarks/no_op_run.py

Both work in a copy of this checkout in a temporary folder, where `ratchet run` has finished once. They take turns, and
only quiet pairs count (`quiet.py`).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import copy_checkout, environment
from benchmarks.quiet import quiet_rounds

ROOT = Path(__file__).parents[1]
REPEATS = 7
ASKED = 0.2
HEAVY = ("tensorflow", "pyspark", "great_expectations", "mlflow")
RATCHET, DVC = ("-m", "pipeline", "run"), ("-m", "dvc", "repro")


def run(project: Path, python: Path, arguments: Sequence[str]) -> str:
    """Run Python with these arguments in a project, with its code; return what it printed."""
    done = subprocess.run(
        [python, *arguments], cwd=project, env=environment(project, python), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def finished_project(checkout: Path, python: Path, folder: Path) -> Path:
    """Copy a checkout into a folder and run it there, so that nothing is left to do."""
    project = copy_checkout(checkout, folder)
    run(project, python, RATCHET)
    seconds(project, python, RATCHET)
    return project


def seconds(project: Path, python: Path, arguments: Sequence[str]) -> float:
    """Return the wall time of a command that finds nothing to do, in seconds."""
    start_s = time.perf_counter()
    printed = run(project, python, arguments)
    elapsed_s = time.perf_counter() - start_s
    if arguments is RATCHET and "nothing changed" not in printed:
        raise SystemExit(f"the run had something to do:\n{printed}")
    return elapsed_s


def imported(project: Path, python: Path) -> set[str]:
    """Return which of the heavy packages a no-op `ratchet run` imports."""
    code = (
        "import sys; from pipeline.cli.command_line import main; main(['run']); "
        f"print(*({set(HEAVY)!r} & set(sys.modules)))"
    )
    return set(run(project, python, ["-c", code]).splitlines()[-1].split())


def main() -> None:
    """Time both in turn and print the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patience-s", type=float, default=120.0, help="how long to put up with noise, seconds (120)")
    arguments = parser.parse_args()
    python = Path(sys.executable)
    with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as folder:
        print("one run first, in a copy of this checkout", flush=True)
        project = finished_project(ROOT, python, Path(folder))
        seconds(project, python, DVC)

        def measure(number: int) -> dict[Sequence[str], float]:
            return {
                command: seconds(project, python, command) for command in (RATCHET, DVC)[:: 1 if number % 2 else -1]
            }

        rounds = quiet_rounds(measure, REPEATS, arguments.patience_s)
        heavy = imported(project, python)
    pairs = rounds.results
    ratio = statistics.median(pair[RATCHET] / pair[DVC] for pair in pairs)
    print(rounds.summary)
    print(f"ratchet run, nothing changed  {statistics.median(pair[RATCHET] for pair in pairs):.3f} s")
    print(f"dvc repro, nothing changed    {statistics.median(pair[DVC] for pair in pairs):.3f} s")
    print(f"heavy packages imported by it: {', '.join(sorted(heavy)) or 'none'}")
    print(f"ratio {ratio:.2f}  (median of {len(pairs)} pairs; asked: at most {ASKED})")


if __name__ == "__main__":
    main()
