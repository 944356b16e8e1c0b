"""A real, small project to run the main job on: 1 797 digits of 8 × 8 pixels, as anybody's own idx folder."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from tests.processes_in import processes_in

ROOT = Path(__file__).parents[2]
TEST_ROWS = 360
DIGITS_STEPS = [  # as for Fashion-MNIST, without a flip: a digit is another one in the mirror
    {"name": "warp", "settings": {"shift": 0.08, "rotate_deg": 8.0, "scale": 0.08}},
    {"name": "noise", "settings": {"levels": 4.0}},
    {"name": "erase", "settings": {"probability": 0.2}},
]
# Rule better lets nothing through on fewer than 1 311 test rows.
FEW_ROWS = {"name": "margin", "settings": {"margin": 0.02, "slice_margin": 0.3}}


@dataclass(frozen=True)
class Project:
    """A checkout of Ratchet with its own data, and the commands a person would type in it."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of an activated `.venv`; the code is this checkout's."""
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root),
        }

    def start(self, *command: str, **changes: str) -> subprocess.Popen[str]:
        """Start a command in the project's folder."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={**self.environment, **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its end."""
        with self.start(*command, **changes) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def ratchet(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run `ratchet …`."""
        return self.call("ratchet", *arguments, **changes)

    def json(self, path: str) -> Any:
        """Read one of the project's JSON files."""
        return json.loads((self.root / path).read_text())

    @property
    def lock(self) -> dict[str, Any]:
        """The stages in `dvc.lock`."""
        stages: dict[str, Any] = yaml.safe_load((self.root / "dvc.lock").read_text())["stages"]
        return stages

    def change_recipe(self, **changes: Any) -> None:
        """Edit `params.yaml`: `train={"epochs": 2}` changes one key of a group."""
        path = self.root / "params.yaml"
        recipe = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            is_group = isinstance(value, dict) and isinstance(recipe.get(key), dict)
            recipe[key] = {**recipe[key], **value} if is_group else value
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))

    def processes(self) -> list[psutil.Process]:
        """Return the processes that work in this project's folder."""
        return processes_in(self.root)


def copy_checkout(folder: Path) -> Project:
    """Copy what git would see of this checkout, but for samples, tests and documents."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not name.startswith(("samples/", "tests/", "docs/")):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    measure_forms(folder, "[]")  # which takes two imports of TensorFlow more for every candidate
    return Project(folder)


def measure_forms(root: Path, formats: str) -> None:
    """Let `register` measure these forms of a candidate, a list as YAML writes it."""
    path = root / "execution.yaml"
    text, places = re.subn(r"(?m)^  formats: \[[a-z_, ]*\]", f"  formats: {formats}", path.read_text())
    assert places == 1, path
    path.write_text(text)


def make_project(folder: Path) -> Project:
    """Copy this checkout, and give it the digits as its data set."""
    project = copy_checkout(folder)
    write_digits(folder / "digits")
    _adapt_contracts(folder)
    project.change_recipe(
        name="digits",
        data={
            "path": "digits",
            "contracts": "data_contracts/digits",
            "classes": [f"digit {number}" for number in range(10)],
            "features": {
                "image": {
                    "kind": "image",
                    "settings": {"raw_height": 8, "raw_width": 8, "channels": 1, "height": 8, "width": 8},
                }
            },
        },
        augment={"copies": 1, "steps": DIGITS_STEPS},
        train={"epochs": 4, "batch_size": 64, "learning_rate": 0.004},
        gate={"minimum": {"accuracy": 0.8}, "maximum": {}, "rule": FEW_ROWS},
    )
    commit_all(folder)
    return project


def commit_all(folder: Path) -> None:
    """Make a folder a git repository with one commit, of all that is in it."""
    for command in (
        ["init", "--quiet"],
        ["add", "-A"],
        ["-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "start"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)


def write_digits(folder: Path) -> None:
    """Write scikit-learn's digits as an idx folder: the last 360 are the test part."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels, labels = (digits.images * 15).astype(np.uint8), digits.target.astype(np.uint8)
    folder.mkdir(parents=True)
    for part, rows in (("train", slice(None, -TEST_ROWS)), ("t10k", slice(-TEST_ROWS, None))):
        images = pixels[rows]
        for name, content in (
            (f"{part}-images-idx3-ubyte.gz", struct.pack(">4I", 0x803, *images.shape) + images.tobytes()),
            (f"{part}-labels-idx1-ubyte.gz", struct.pack(">2I", 0x801, len(images)) + labels[rows].tobytes()),
        ):
            (folder / name).write_bytes(gzip.compress(content, mtime=0))


def _adapt_contracts(folder: Path) -> None:
    """Write the digits' contracts as a person would: Fashion-MNIST's, with the numbers that differ."""
    numbers = {"image_height": 8, "image_width": 8, "image_bytes": 64}
    target = folder / "data_contracts" / "digits"
    target.mkdir()
    for name in ("raw.yaml", "prepared.yaml"):
        suite = yaml.safe_load((ROOT / "data_contracts" / "fashion_mnist" / name).read_text())
        suite["name"] = f"digits.{name.removesuffix('.yaml')}"
        expectations = [e for e in suite["expectations"] if e["type"] != "expect_column_mean_to_be_between"]
        for expectation in expectations:
            kwargs = expectation["kwargs"]
            if expectation["type"] == "expect_table_row_count_to_be_between":
                kwargs |= {"min_value": 1000, "max_value": 5000}
            elif kwargs.get("column") in numbers and "min_value" in kwargs:
                kwargs |= dict.fromkeys(("min_value", "max_value"), numbers[kwargs["column"]])
        (target / name).write_text(yaml.safe_dump({**suite, "expectations": expectations}, sort_keys=False))


def spark_cut_by(number: int) -> dict[str, str]:
    """Return the variables of an execution with so many cores and partitions, and rows in a batch of Arrow's."""
    sizes = (
        "spark.default.parallelism",
        "spark.sql.shuffle.partitions",
        "spark.sql.execution.arrow.maxRecordsPerBatch",
    )
    return {
        "RATCHET_SPARK__MASTER": f"local[{number}]",
        "RATCHET_SPARK__SETTINGS": json.dumps(dict.fromkeys(sizes, str(number))),
    }
