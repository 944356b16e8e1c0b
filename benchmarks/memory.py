"""The memory of training's ranks and of the stages' own processes, on more data than would fit.

    python benchmarks/memory.py [--only ranks|split|ingest|run …] [--gib 5] [--rows 20000000]

    ranks    `train` on `--gib` of prepared data with two ranks, then `evaluate` on the same; asked: 1 GiB of private
             memory for each rank
    split    `split` of `--rows` rows; asked: 2 GiB
    ingest   `ingest` of as many images of 4 × 4
    run      the main job on the 70 000 images of `configs/fashion_mnist_full.yaml`; asked: 2 GiB for any Python process
             and any JVM. The images come from a Debian package, which root has installed.

Each runs the real stages in a copy of this checkout. The first three make their data themselves, black where they can,
so that files are sparse. A process's private memory is what no other process and no file could share (RssAnon); with
it stands its whole resident set (VmHWM), where the pages of mapped files count for every process that has touched them.
See proc_pid_status(5). They are read every 0.1 s.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psutil
import yaml

from benchmarks import made_data
from benchmarks.checkouts import copy_checkout, environment
from benchmarks.quiet import could_not_measure
from pipeline.data.feature_kinds import specs
from pipeline.recipe.slots import Feature

ROOT = Path(__file__).parents[1]
CONFIG, DATA = "configs/fashion_mnist_full.yaml", Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
IMAGES = (64, 64, 3)
_POLL_S = 0.1


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


@dataclass(frozen=True)
class Peak:
    """The most memory that a process has held, MiB."""

    private_mib: float
    resident_mib: float


def reading(pid: int) -> Peak:
    """Return the private memory of a process now, and its largest resident set so far; zeros if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return Peak(0.0, 0.0)
    found = dict(re.findall(r"^(RssAnon|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
    return Peak(*(int(found.get(name, 0)) / 1024 for name in ("RssAnon", "VmHWM")))


def watch(command: Sequence[str], project: Path, role_of: Callable[[psutil.Process], str]) -> dict[str, Peak]:
    """Run a command in a project; return the peaks of its processes by their role, the largest of those of one role."""
    peaks: dict[str, Peak] = {}
    roles: dict[int, str] = {}
    with subprocess.Popen(command, cwd=project, env=environment(project, Path(sys.executable))) as run:
        while run.poll() is None:
            for process in [psutil.Process(run.pid), *psutil.Process().children(recursive=True)]:
                now = reading(process.pid)
                try:
                    role = roles.get(process.pid) or role_of(process)
                except psutil.NoSuchProcess:
                    continue
                if role and now.resident_mib:
                    roles[process.pid] = role
                    before = peaks.get(role, Peak(0.0, 0.0))
                    peaks[role] = Peak(
                        max(before.private_mib, now.private_mib), max(before.resident_mib, now.resident_mib)
                    )
            time.sleep(_POLL_S)
    if run.returncode:
        raise SystemExit(run.returncode)
    return peaks


def role_in_stage(stage: str, process: psutil.Process) -> str:
    """Return what a process of a stage is: a rank by its number, or the stage's own."""
    command = process.cmdline()
    if "pipeline.launching.worker" in command:
        return f"{stage}: rank {process.environ().get('HOROVOD_RANK', '0')}"
    return f"{stage}: its own process" if "stage" in command else ""


def role_in_run(process: psutil.Process) -> str:
    """Return whether a process of a run is Python or a JVM."""
    name = process.name()
    return "run: a JVM" if name == "java" else "run: a Python process" if "python" in name else ""


def stage(project: Path, name: str) -> dict[str, Peak]:
    """Run a stage as the graph does, and watch it."""
    command = [sys.executable, "-m", "pipeline", "stage", name]
    return watch(command, project, lambda process: role_in_stage(name, process))


def set_recipe(project: Path, **changes: Any) -> dict[str, Any]:
    """Change keys of the recipe, `train__epochs=1`, complete it, and return it as written."""
    path = project / "params.yaml"
    recipe: dict[str, Any] = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *groups, last = key.split("__")
        at = recipe
        for group in groups:
            at = at[group]
        at[last] = value
    path.write_text(yaml.safe_dump(recipe))
    subprocess.run(
        [sys.executable, "-m", "pipeline", "stage", "resolve"],
        cwd=project,
        env=environment(project, Path(sys.executable)),
        check=True,
        capture_output=True,
    )
    return recipe


def ranks(project: Path, options: argparse.Namespace) -> dict[str, Peak]:
    """Train two ranks on so much data for an epoch; then ask the model about all of it."""
    height, width, channels = sides = IMAGES
    settings = {"raw_height": height, "raw_width": width, "channels": channels, "height": height, "width": width}
    recipe = set_recipe(
        project,
        data__features={"image": {"kind": "image", "settings": settings}},
        model={"name": "mlp", "settings": {"units": [16], "dropout": 0.2}},
        train__epochs=1,
        train__warmup_epochs=0.0,
        train__learning_rate=0.001,
    )
    execution = yaml.safe_load((project / "execution.yaml").read_text())
    execution["horovod"] |= {"workers": 2, "threads_per_worker": 1}
    (project / "execution.yaml").write_text(yaml.safe_dump(execution))
    features = {name: Feature.model_validate(feature) for name, feature in recipe["data"]["features"].items()}
    [spec] = specs(features)
    spec = spec.changed(fitted={"mean": [100.0] * channels, "std": [50.0] * channels})
    rows = round(options.gib * 2**30 / (height * width * channels))
    for folder, number in (
        ("prepared/train", rows),
        ("prepared/validation", 10_000),
        ("prepared/test", 10_000),
        ("augmented", 0),
    ):
        made_data.write_prepared(project / "data" / folder, spec, number, len(recipe["data"]["classes"]))
    made_data.write_passed(project / "reports/contracts/prepared")
    on_disk = made_data.size_on_disk_mib(project / "data")
    print(
        f"{rows:,} images of {' × '.join(map(str, sides))}: {options.gib:g} GiB, {on_disk:.0f} MiB on disk", flush=True
    )
    return stage(project, "check_apart") | stage(project, "train") | stage(project, "evaluate")


def split(project: Path, options: argparse.Namespace) -> dict[str, Peak]:
    """Divide so many rows."""
    recipe = set_recipe(project)
    made_data.write_clean(project / "data/clean", options.rows, len(recipe["data"]["classes"]))
    made_data.write_no_rejects(project / "data/quarantine")
    print(f"{options.rows:,} rows, {made_data.size_on_disk_mib(project / 'data'):.0f} MiB on disk", flush=True)
    return stage(project, "split")


def ingest(project: Path, options: argparse.Namespace) -> dict[str, Peak]:
    """Take in so many small images, all different."""
    settings = {"raw_height": 4, "raw_width": 4, "channels": 1, "height": 8, "width": 8}
    set_recipe(project, data__path="made", data__features={"image": {"kind": "image", "settings": settings}})
    block = 2**16
    numbers = np.random.default_rng(1)
    blocks = (
        numbers.integers(0, 256, (min(block, options.rows - begin), 4, 4), np.uint8)
        for begin in range(0, options.rows, block)
    )
    made_data.write_idx(project / "made", "train", blocks, (options.rows, 4, 4))
    return stage(project, "ingest")


def main_job(project: Path, options: argparse.Namespace) -> dict[str, Peak]:  # noqa: ARG001 - as every part is measured
    """Run the main job on all of the images."""
    if not DATA.is_dir():
        install_data()
    return watch([sys.executable, "-m", "pipeline", "run", "--config", CONFIG], project, role_in_run)


PARTS = {"ranks": ranks, "split": split, "ingest": ingest, "run": main_job}
# Of a rank, what is asked is about its private memory; of others, about all that is resident.
ASKED_MIB = {"train: rank 0": 1024, "train: rank 1": 1024, "split: its own process": 2048} | dict.fromkeys(
    ("run: a JVM", "run: a Python process"), 2048
)


def line(role: str, peak: Peak) -> str:
    """Return a line of the table."""
    asked = ASKED_MIB.get(role)
    counted = peak.private_mib if "rank" in role else peak.resident_mib
    bound = f"{counted:6.0f} of {asked} MiB asked" if asked else ""
    return f"{role:28} {peak.private_mib:12.0f} {peak.resident_mib:12.0f}   {bound}".rstrip()


def main() -> None:
    """Run, watch, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="a part to measure; all if none is named")
    parser.add_argument("--gib", type=float, default=5.0, help="prepared data to train on, GiB (5)")
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows to divide, and to take in (20 000 000)")
    options = parser.parse_args()
    peaks: dict[str, Peak] = {}
    for part in options.only or PARTS:
        with tempfile.TemporaryDirectory(prefix="ratchet-benchmark-") as folder:
            peaks |= PARTS[part](copy_checkout(ROOT, Path(folder)), options)
    print(f"{'':28} {'private MiB':>12} {'resident MiB':>12}")
    for role, peak in peaks.items():
        print(line(role, peak))


if __name__ == "__main__":
    main()
