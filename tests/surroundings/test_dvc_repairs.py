"""What DVC leaves half is repaired, and the faults are still DVC's: else the repair is to go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

STAGES = {"stages": {"first": {"cmd": "cat source > made", "deps": ["source"], "outs": ["made"]}}}
REPRODUCE = """
import sys
from dvc.repo import Repo
if sys.argv[1] == "repaired":
    from pipeline.runs import dvc_repairs
    dvc_repairs.apply()
with Repo(config={"core": {"no_scm": True, "site_cache_dir": ".site"}}) as repo:
    repo.reproduce()
"""
ROOT = Path(__file__).parents[2]


def project(folder: Path) -> Path:
    """A project that has run once, and whose run cache has lost its entry: the entry's folder is there, and empty."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (folder / "source").write_text("content")
    assert reproduce(folder, "repaired").returncode == 0
    for entry in (folder / ".dvc" / "cache" / "runs").glob("*/*/*"):
        entry.unlink()
    for name in ("dvc.lock", "made"):
        (folder / name).unlink()
    return folder


def reproduce(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", REPRODUCE, how],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_empty_entry_of_the_run_cache_stops_dvc_and_not_us(tmp_path: Path) -> None:
    root = project(tmp_path)
    assert "TypeError" in reproduce(root, "as it is").stderr
    done = reproduce(root, "repaired")
    assert done.returncode == 0, done.stderr
    assert (root / "made").read_text() == "content"


def test_a_file_under_a_temporary_name_is_no_entry(tmp_path: Path) -> None:
    root = project(tmp_path)
    [folder] = (root / ".dvc" / "cache" / "runs").glob("*/*")
    half = {"cmd": "cat source > made", "deps": [{"path": "source", "hash": "md5", "md5": "0" * 32}], "outs": []}
    (folder / "aBcD.tmp").write_text(yaml.safe_dump(half))
    done = reproduce(root, "repaired")
    assert done.returncode == 0, done.stderr
    assert (root / "made").read_text() == "content"
