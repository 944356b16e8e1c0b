"""The shipped configs on some 500 rows of their samples: of pictures as many of each class, of tables every so many-th.

So their contracts hold.
"""

from __future__ import annotations

import gzip
import math
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipeline.recipe.changing import apply_overrides
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.strict_yaml import dump_yaml
from tests.system.project import FEW_ROWS, ROOT, Project, commit_all, copy_checkout

CONFIGS = ("fashion_mnist", "digits_folders", "flights_late", "flights_delay", "spam")
# What a model learns of 500 rows is nobody's question here; rule `better` lets nothing through on so few.
CHANGES: dict[str, Any] = {"train.epochs": 1, "train.batch_size": 128, "gate.rule": FEW_ROWS}
_CLASSES = 10
_OF_CLASS = {"train": 40, "t10k": 10}
_SKIPPED = 80  # of a class: of the first forty pullovers none is a validation row
_PICTURES = 50  # of a class folder
_WEATHER = "weather.csv.gz"
_LINES = 500  # of all files of a table


def make_shipped(folder: Path, *, in_force: str | None = None) -> Project:
    """Copy this checkout with both samples cut; `in_force` is the config whose recipe `params.yaml` becomes."""
    project = copy_checkout(folder)
    add_samples(folder)
    if in_force is not None:
        recipe = apply_overrides(recipe_layers(folder, f"configs/{in_force}.yaml").values, CHANGES, "the tests")
        (folder / "params.yaml").write_bytes(dump_yaml(recipe))
    commit_all(folder)
    return project


def add_samples(root: Path) -> None:
    """Write the samples, cut, into a project, and have their contracts ask for as few rows."""
    _cut_idx(ROOT / "samples" / "fashion_mnist", root / "samples" / "fashion_mnist")
    _cut_folders(ROOT / "samples" / "digits_folders", root / "samples" / "digits_folders")
    _cut_lines(root / "samples" / "flights", "flights_q?.csv.gz", header_lines=1)
    shutil.copyfile(ROOT / "samples" / "flights" / _WEATHER, root / "samples" / "flights" / _WEATHER)
    _cut_lines(root / "samples" / "spam", "mails.jsonl.gz", header_lines=0)
    for name in CONFIGS:
        for path in (root / "data_contracts" / name).glob("*.yaml"):
            suite = yaml.safe_load(path.read_text())
            for expectation in suite["expectations"]:
                if expectation["type"] == "expect_table_row_count_to_be_between":
                    expectation["kwargs"]["min_value"] = 400
            path.write_text(yaml.safe_dump(suite, sort_keys=False))


def _cut_folders(source: Path, target: Path) -> None:
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        (target / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:_PICTURES]:
            shutil.copyfile(file, target / folder.name / file.name)


def _cut_lines(target: Path, pattern: str, *, header_lines: int) -> None:
    """Write every so many-th line of a sample's files, of each file as many: of all times of a year, of all classes."""
    target.mkdir(parents=True)
    files = sorted((ROOT / "samples" / target.name).glob(pattern))
    for file in files:
        lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
        header, rows = lines[:header_lines], lines[header_lines:]
        kept = rows[:: len(rows) * len(files) // _LINES]
        (target / file.name).write_bytes(gzip.compress(b"".join((*header, *kept)), mtime=0))


def _cut_idx(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for part, of_class in _OF_CLASS.items():
        labels = _items(source / f"{part}-labels-idx1-ubyte.gz")
        rows = np.sort(
            np.concatenate([np.flatnonzero(labels == label)[_SKIPPED:][:of_class] for label in range(_CLASSES)])
        )
        for kind in ("images-idx3", "labels-idx1"):
            file = f"{part}-{kind}-ubyte.gz"
            items = _items(source / file)[rows]
            header = struct.pack(f">{1 + items.ndim}I", 0x800 + items.ndim, *items.shape)
            (target / file).write_bytes(gzip.compress(header + items.tobytes(), mtime=0))


def _items(path: Path) -> Any:
    content = gzip.decompress(path.read_bytes())
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    return np.frombuffer(content, np.uint8, math.prod(shape), 4 + 4 * len(shape)).reshape(shape)
