"""Peak memory of any Python process and of any JVM while the main job runs. Asked: each under 2 GiB, on 70 000 images.

`python benchmarks/memory.py` runs `configs/fashion_mnist_full.yaml` (about ten minutes on two cores) and watches every
process of the run: the largest resident set the kernel has seen of each (VmHWM).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
ASKED_MIB = 2048
_POLL_S = 0.2


def peak_mib(pid: int) -> float:
    """Return the largest resident set of a process so far, in MiB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    match = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


def main() -> None:
    """Run, watch, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/fashion_mnist_full.yaml")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    changes = [word for pair in options.set for word in ("--set", pair)]
    command = [sys.executable, "-m", "pipeline", "run", "--config", options.config, *changes]
    peaks: dict[str, tuple[float, str]] = {}
    with subprocess.Popen(command, cwd=ROOT) as run:
        while run.poll() is None:
            for process in psutil.Process().children(recursive=True):
                try:
                    kind = "JVM" if process.name() == "java" else "Python" if "python" in process.name() else None
                    what = " ".join(process.cmdline())[:100]
                except psutil.NoSuchProcess:
                    continue
                if kind and (peak := peak_mib(process.pid)) > peaks.get(kind, (0.0, ""))[0]:
                    peaks[kind] = peak, what
            time.sleep(_POLL_S)
    if run.returncode:
        raise SystemExit(run.returncode)
    for kind, (peak, what) in sorted(peaks.items()):
        print(f"{kind:6}  peak {peak:6.0f} MiB   ratio to {ASKED_MIB} MiB: {peak / ASKED_MIB:.2f}  ({what})")


if __name__ == "__main__":
    main()
