"""A second `ratchet run` with nothing changed, against a no-op `dvc repro`. Asked: at most half, nothing heavy loaded.

Run it where `ratchet run` has finished: `python benchmarks/no_op_run.py`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPEATS = 7
ASKED = 0.5
HEAVY = ("tensorflow", "pyspark", "great_expectations", "mlflow")


def seconds(command: list[str]) -> float:
    """Run a command to its end and return its wall time in seconds."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    start_s = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    elapsed_s = time.perf_counter() - start_s
    if command[-1] == "run" and "nothing changed" not in done.stdout:
        raise SystemExit(f"the run had something to do; run `ratchet run` first:\n{done.stdout}")
    return elapsed_s


def imported() -> set[str]:
    """Return which of the heavy packages a no-op `ratchet run` imports."""
    code = f"import sys; from pipeline.cli import main; main(['run']); print(*({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def main() -> None:
    """Time both in turn and print the ratio of the medians."""
    ratchet, dvc = [sys.executable, "-m", "pipeline", "run"], [sys.executable, "-m", "dvc", "repro"]
    seconds(ratchet), seconds(dvc)
    pairs = [(seconds(ratchet), seconds(dvc)) for _ in range(REPEATS)]
    ratio = statistics.median(own / other for own, other in pairs)
    print(f"ratchet run, nothing changed  {statistics.median(own for own, _ in pairs):.3f} s")
    print(f"dvc repro, nothing changed    {statistics.median(other for _, other in pairs):.3f} s")
    print(f"heavy packages imported by it: {', '.join(sorted(imported())) or 'none'}")
    print(f"ratio {ratio:.2f}  (median of {REPEATS} pairs; asked: at most {ASKED})")


if __name__ == "__main__":
    main()
