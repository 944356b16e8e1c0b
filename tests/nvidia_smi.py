"""A stand-in for NVIDIA's driver on a machine that has none: a program `nvidia-smi` that lists made GPUs."""

from __future__ import annotations

import importlib.metadata
import os
import stat
from pathlib import Path

import pytest

MODEL, DRIVER = "NVIDIA H100 80GB HBM3", "570.86.15"


def uuid(number: int) -> str:
    """Return the name of a made GPU."""
    return f"GPU-{number:08x}-0000-0000-0000-000000000000"


def put_nvidia_smi(folder: Path, gpus: int, *, exit_code: int = 0, says: str = "") -> dict[str, str]:
    """Put the program into a folder; return an environment that finds it first."""
    rows = "".join(f"{number}, {uuid(number)}, {MODEL}, {DRIVER}\n" for number in range(gpus))
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'end'\n{rows}{says}\nend\nexit {exit_code}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def install_tensorflow_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the packages' metadata name TensorFlow as it is installed where there are GPUs."""
    version = importlib.metadata.version

    def of(name: str) -> str:
        if name == "tensorflow-cpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return version("tensorflow-cpu") if name == "tensorflow" else version(name)

    monkeypatch.setattr(importlib.metadata, "version", of)
