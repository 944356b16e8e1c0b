"""What the data tests share: idx files as bytes, raw rows, small pictures."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

WriteIdx = Callable[..., Path]


def litter(folder: Path, *names: str) -> None:
    """Put into a source folder what other programs leave there: DVC for these names, git, file systems, archivers."""
    for name in (".gitkeep", ".gitignore", ".DS_Store", *(f"{name}.dvc" for name in names)):
        (folder / name).write_text("not yours")
    for name in (b"train-images-\xff", b"2026-11-2\xff"):
        (folder / os.fsdecode(name)).write_text("a name that is not UTF-8")
        (folder / os.fsdecode(name + b"-folder")).mkdir()
    (folder / "lost+found").mkdir(mode=0)
    (folder / "broken").symlink_to("nowhere")


def idx_bytes(values: npt.NDArray[np.uint8]) -> bytes:
    """Return an array as an idx file of unsigned bytes."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


@pytest.fixture
def write_idx(tmp_path: Path) -> WriteIdx:
    """Write a pair of idx files: `write_idx(images, labels, prefix="train", gz=True)`; returns their folder."""

    def write(
        images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], prefix: str = "train", *, gz: bool = False
    ) -> Path:
        folder = tmp_path / "source"
        folder.mkdir(exist_ok=True)
        for kind, values in (("images", images), ("labels", labels)):
            content = idx_bytes(values)
            name = f"{prefix}-{kind}-idx{values.ndim}-ubyte" + (".gz" if gz else "")
            (folder / name).write_bytes(gzip.compress(content) if gz else content)
        return folder

    return write
