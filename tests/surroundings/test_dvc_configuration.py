"""What the user has told DVC, at whatever level, holds in every run; what is secret there stays where it is."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.surroundings.conftest import MakeSmall
from tests.surroundings.small import Small, commit_all

SECRET = "hunter2-do-not-tell"
LEVELS = {  # where the cache is, and how it is used
    "system": ("the cache", {"type": "symlink"}),
    "global": ("the cache", {"type": "hardlink"}),
    "project": ("project/../kept beside", {"shared": "group"}),
    "local": ("project/inside/cache", {"type": "hardlink,symlink", "shared": "group"}),
}


def configured(small: MakeSmall, tmp_path: Path, level: str) -> Small:
    """A project whose user has configured DVC at one level; in the project, relative to the file."""
    made = small().with_variables(XDG_CONFIG_DIRS=str(tmp_path / "system"), XDG_CONFIG_HOME=str(tmp_path / "global"))
    commit_all(made.root)
    file = {
        "system": tmp_path / "system" / "dvc" / "config",
        "global": tmp_path / "global" / "dvc" / "config",
        "project": made.root / ".dvc" / "config",
        "local": made.root / ".dvc" / "config.local",
    }[level]
    file.parent.mkdir(parents=True, exist_ok=True)
    path, kinds = LEVELS[level]
    cache = str(tmp_path / path) if level in ("system", "global") else os.path.relpath(tmp_path / path, file.parent)
    sections: dict[str, dict[str, str]] = {
        "core": {"remote": "beside"},
        "cache": {"dir": cache, **kinds},
        "'remote \"beside\"'": {"url": str(tmp_path / "remote")},
        "'remote \"server\"'": {"url": "https://127.0.0.1:9/x", "user": "somebody", "password": SECRET},
    }
    with file.open("a") as config:
        for name, values in sections.items():
            heading = "" if file.name == "config" and level == "project" and name == "core" else f"[{name}]\n"
            config.write(heading + "".join(f"    {key} = {value}\n" for key, value in values.items()))
    return made


ASK = """
import os, sys
from dvc.cli import main
os.chdir(sys.argv[1])
for words in (["cache", "dir"], ["remote", "list"], ["config", "--list"]):
    print("---", flush=True)
    assert main(words) == 0
"""


def answers(project: Small, folder: Path) -> dict[str, object]:
    """What DVC says in a folder of its cache, its remotes and its settings; but for those that are Ratchet's."""
    done = project.call(str(project.python), "-c", ASK, str(folder))
    assert done.returncode == 0, done.stderr
    cache, remotes, settings = ([" ".join(line.split()) for line in part.splitlines() if line] for part in parts(done))
    ours = ("core.no_scm=", "core.site_cache_dir=")
    paths = ("cache.dir=", "remote.beside.url=")  # relative to another file there
    return {
        "cache": os.path.realpath(cache[0]),
        "remotes": sorted(remotes),
        "settings": sorted(
            {line for line in settings if not line.startswith(ours + paths)}
        ),  # once, at whatever levels
    }


def parts(done: subprocess.CompletedProcess[str]) -> list[str]:
    return done.stdout.split("---\n")[1:]


def files_with_the_secret(folder: Path) -> set[Path]:
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes():
            found.add(path)
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_the_users_configuration_of_dvc_holds_in_every_run(small: MakeSmall, tmp_path: Path, level: str) -> None:
    project = configured(small, tmp_path, level)
    expected, secret = answers(project, project.root), files_with_the_secret(tmp_path)
    assert len(secret) == 1
    cache = Path(str(expected["cache"]))

    own = project.run("seed=7")
    assert files_with_the_secret(tmp_path) == secret
    workspace = project.open("in-steps", overrides={"seed": 7}, is_forced=True)
    for stage in project.stages:
        project.succeed("runs", "stage", "in-steps", stage)
    assert answers(project, workspace) == expected
    local = workspace / ".dvc" / "config.local"
    assert files_with_the_secret(tmp_path) <= secret | {local}
    assert stat.S_IMODE(local.stat().st_mode) == 0o600

    made = workspace / "reports" / "survey.json"
    kinds = LEVELS[level][1].get("type", "")
    assert made.is_symlink() == kinds.startswith("symlink")
    assert (made.lstat().st_nlink > 1) == kinds.startswith("hardlink")
    if made.is_symlink():
        assert made.resolve().is_relative_to(cache)

    project.succeed("runs", "close", "in-steps", "--state", "success")
    project.edit("params.yaml", "seed: 20261101", "seed: 7")
    place = project.run()
    assert project.kept(own, "dvc.lock") == project.kept("in-steps", "dvc.lock") == project.kept(place, "dvc.lock")
    assert files_with_the_secret(tmp_path) <= secret

    assert list((cache / "files" / "md5").glob("*/*"))
    assert not (project.root / ".dvc" / "cache").exists()
    if "shared" in LEVELS[level][1]:
        assert all(folder.stat().st_mode & stat.S_IWGRP for folder in (cache / "files" / "md5").iterdir())
