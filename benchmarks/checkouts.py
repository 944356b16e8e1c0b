"""Copies of a checkout to measure in, so that nobody's own data, models and registry are touched."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def copy_checkout(checkout: Path, folder: Path) -> Path:
    """Copy what git would see of a checkout, as it stands on disk, and commit it there; nothing is made yet."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, names.split("\0")):
        source, target = checkout / name, folder / name
        if source.is_file():  # not one that was removed since the last commit
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost", "commit", "--quiet", "-m", "measured"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def environment(code: Path, python: Path) -> dict[str, str]:
    """Return the environment of an activated `.venv` that takes the project's code from a checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(code)}
