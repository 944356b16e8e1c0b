"""Peak memory of any Python process and of any JVM while the main job runs. Asked: each under 2 GiB, on 70 000 images.

    python benchmarks/memory.py [--config FILE] [--set KEY=VALUE …]

It runs `configs/fashion_mnist_full.yaml` in a copy of this checkout and watches every process of the run: the largest
resident set the kernel has seen of each (VmHWM). The images come from a Debian package, which root has installed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil

from benchmarks.checkouts import copy_checkout, environment
from benchmarks.quiet import could_not_measure

ROOT = Path(__file__).parents[1]
CONFIG, DATA = "configs/fashion_mnist_full.yaml", Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
ASKED_MIB = 2048
_POLL_S = 0.2


def install_data() -> None:
    """Install the Debian package with the images; whoever may not is told its name and gets exit code 2."""
    if os.geteuid() != 0:
        print(f"{DATA} is missing: apt-get install {PACKAGE}, as root", file=sys.stderr)
        raise SystemExit(2)
    apt = ["apt-get", "-qq", "-y", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"]
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        if subprocess.run([*apt, "update"], env=quietly, check=False).returncode:
            could_not_measure(f"apt-get update failed, and {DATA} is missing (package {PACKAGE})")
        installed = subprocess.run([*apt, "install", "--no-install-recommends", PACKAGE], env=quietly, check=False)
    except FileNotFoundError:
        print(f"{DATA} is missing, and there is no apt-get to install {PACKAGE}", file=sys.stderr)
        raise SystemExit(2) from None
    if installed.returncode or not DATA.is_dir():
        print(f"{DATA} is missing, and apt-get cannot install {PACKAGE}", file=sys.stderr)
        raise SystemExit(2)


def peak_mib(pid: int) -> float:
    """Return the largest resident set of a process so far, in MiB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    match = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


def watch(run: subprocess.Popen[bytes]) -> dict[str, tuple[float, str]]:
    """Return the largest peak of each kind of process until the run ends, in MiB, and whose it was."""
    peaks: dict[str, tuple[float, str]] = {}
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
    return peaks


def main() -> None:
    """Run, watch, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=CONFIG)
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    if options.config == CONFIG and not DATA.is_dir():
        install_data()
    changes = [word for pair in options.set for word in ("--set", pair)]
    command = [sys.executable, "-m", "pipeline", "run", "--config", options.config, *changes]
    with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as folder:
        project = copy_checkout(ROOT, Path(folder))
        with subprocess.Popen(command, cwd=project, env=environment(project, Path(sys.executable))) as run:
            peaks = watch(run)
    if run.returncode:
        raise SystemExit(run.returncode)
    for kind, (peak, what) in sorted(peaks.items()):
        print(f"{kind:6}  peak {peak:6.0f} MiB   ratio to {ASKED_MIB} MiB: {peak / ASKED_MIB:.2f}  ({what})")


if __name__ == "__main__":
    main()
