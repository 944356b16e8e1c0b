"""Every benchmark in this folder, one after the other; the next one runs also when one could not measure or failed.

    python benchmarks/run_all.py            (`make bench`)

Exit codes: 0 all have measured, 75 some could not, 1 some failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Commands that are no benchmark, need an argument, or are a campaign with a target of its own.
NOT_ALONE = (
    "run_all.py",
    "before_and_after.py",
    "gate.py",
    "gate_losses.py",
    "pictures_elsewhere.py",
    "serving_elsewhere.py",
    "tables_elsewhere.py",
    "whole_flights.py",
)
MEASURED, COULD_NOT, FAILED = "measured", "could not measure", "failed"


def benchmarks_in(folder: Path) -> list[Path]:
    """Return the files that are commands of their own, by name."""
    return [
        path for path in sorted(folder.glob("*.py")) if path.name not in NOT_ALONE and "__main__" in path.read_text()
    ]


def run(scripts: Sequence[Path]) -> dict[str, int]:
    """Run each script; return their exit codes."""
    codes = {}
    for script in scripts:
        print(f"== {script.name}", flush=True)
        codes[script.stem] = subprocess.run([sys.executable, str(script)], check=False).returncode
    return codes


def outcome(code: int) -> str:
    """Say what an exit code means."""
    return {0: MEASURED, os.EX_TEMPFAIL: COULD_NOT}.get(code, FAILED)


def summary(codes: Mapping[str, int]) -> list[str]:
    """Return a line for each outcome that there was."""
    lines = []
    for wanted in (MEASURED, COULD_NOT, FAILED):
        names = [
            f"{name} (exit {code})" if wanted == FAILED else name
            for name, code in codes.items()
            if outcome(code) == wanted
        ]
        if names:
            lines.append(f"{wanted:18} {', '.join(names)}")
    return lines


def exit_code(codes: Mapping[str, int]) -> int:
    """Return the exit code of all: the worst counts."""
    outcomes = {outcome(code) for code in codes.values()}
    return 1 if FAILED in outcomes else os.EX_TEMPFAIL if COULD_NOT in outcomes else 0


def main() -> int:
    """Run all, then say how each ended."""
    codes = run(benchmarks_in(Path(__file__).parent))
    print("==", *summary(codes), sep="\n")
    return exit_code(codes)


if __name__ == "__main__":
    sys.exit(main())
