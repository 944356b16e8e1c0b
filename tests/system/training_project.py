"""A project in which the stage `train` can run, with data that a small network learns in seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.recipe.changing import layered
from pipeline.records.contract_result import ContractResult
from pipeline.records.training_history import History, parse_history
from pipeline.storage.record_files import write_record
from tests.system.project import ROOT
from tests.training.made import image_spec, write_rows

SHAPE = (12, 12, 1)
CLASSES = ["left", "right", "both"]
ROWS = {"data/prepared/train": 1500, "data/prepared/validation": 301, "data/augmented": 500}  # odd: unequal shares
RUN_STAGES = """
import pathlib, sys
from importlib import import_module
from pipeline.errors import RatchetError
from pipeline.stages.context import StageContext
try:
    for name in sys.argv[2:]:
        print(import_module(f"pipeline.stages.{name}").run(StageContext.load(pathlib.Path(sys.argv[1]), name)))
except RatchetError as error:
    print("error:", error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def make_root(root: Path, *, code: Path = ROOT, **changes: Any) -> Path:
    """Make a project whose recipe is the shipped one, for this data, with changes; `code` holds its `pipeline`."""
    root.mkdir(exist_ok=True)
    (root / "pipeline").symlink_to(code / "pipeline")
    (root / "data_contracts").symlink_to(ROOT / "data_contracts")
    for name in ("dvc.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, root / name)
    recipe = yaml.safe_load((ROOT / "params.yaml").read_text())
    recipe["data"]["classes"] = CLASSES
    recipe["gate"].pop("slices", None)
    recipe["model"] = {"name": "cnn", "settings": {"filters": [4, 8], "dense": 16, "dropout": 0.3}}
    recipe["train"] |= {"epochs": 6, "batch_size": 32, "learning_rate": 0.01}
    (root / "params.yaml").write_text(yaml.safe_dump(layered(recipe, changes)))
    spec = image_spec(SHAPE, 95.0, 55.0)
    for seed, (name, rows) in enumerate(ROWS.items(), 1):
        images, labels = _bars(rows, seed)
        write_rows(root / name, [spec], {"image": images}, labels)
    write_record(
        root / "reports/contracts/prepared/result.json",
        ContractResult(suite="s", rows=1, outcome="pass", expectations=(), data_digest="sha256:00"),
    )
    return root


def _bars(rows: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return images with a bright bar on the side that the label says, under noise, and the labels."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, 3, rows).astype(np.int32)
    images = numbers.integers(0, 140, (rows, *SHAPE)).astype(np.uint8)
    images[labels != 1, :, :3] += 60
    images[labels != 0, :, -3:] += 60
    return images, labels


def run_stages(
    root: Path,
    *stages: str,
    workers: int,
    code: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    **horovod: Any,
) -> subprocess.CompletedProcess[str]:
    """Run stages of a project in a process of its own, with the code in a folder, and further settings of Horovod.

    The words of `prefix` stand before the command.
    """
    settings = {"workers": workers, **horovod}
    variables = {f"RATCHET_HOROVOD__{name.upper()}": json.dumps(value) for name, value in settings.items()}
    return subprocess.run(
        [*prefix, sys.executable, "-c", RUN_STAGES, str(root), *stages],
        cwd=code,
        env=os.environ | variables | {"PYTHONPATH": str(code)} | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def history_of(root: Path) -> History:
    """Return the history of a project's candidate."""
    path = root / "models/candidate/history.csv"
    return parse_history(path.read_text(), str(path))


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder, by its path there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
