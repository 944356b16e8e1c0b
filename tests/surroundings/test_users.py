"""Runs work for whoever may write in the folder: another user than its owner, one without a name or a home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.surroundings.small import Small, commit_all, works, works_in_every_way
from tests.system.project import ROOT

OWNER, STRANGER = 23_001, 23_002  # neither has a passwd entry
NAMELESS = {"USER": None, "LOGNAME": None, "LNAME": None, "USERNAME": None}
HAS_PATHS = "import dvc, pyarrow"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can work as somebody else")


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def python_for_all(open_folder: Path) -> Path:
    """A virtual environment with the packages of this one that every user may start."""
    packages = sysconfig.get_path("purelib")
    environment = open_folder / "venv"
    inside = environment / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    inside.mkdir(parents=True)
    (inside / "packages.pth").write_text(packages + "\n")
    python = environment / "bin" / "python"
    python.parent.mkdir()
    for base in (Path(sys.executable).resolve(), Path(f"/usr/bin/python3.{sys.version_info.minor}")):
        python.unlink(missing_ok=True)
        python.symlink_to(base)
        (environment / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
        try:
            works = subprocess.run([python, "-c", HAS_PATHS], user=STRANGER, group=STRANGER, cwd="/", check=False)
        except OSError:
            continue
        if works.returncode == 0:
            break
    else:
        pytest.skip("no Python on this machine that another user may start")
    shutil.copy(ROOT / "ratchet_command.py", python.parent)
    for name, module in (("ratchet", "ratchet_command"), ("dvc", "dvc.cli")):
        script = python.parent / name
        script.write_text(f"#!{python}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)
    return python


@pytest.fixture
def project(template: Path, open_folder: Path, python_for_all: Path) -> Iterator[Small]:
    """A committed project that belongs to OWNER and that STRANGER works in."""
    folder = Path(tempfile.mkdtemp(dir=open_folder))
    folder.chmod(0o755)
    shutil.copytree(template, folder / "project", symlinks=True)
    commit_all(folder / "project")
    for name in ("home", "tmp"):
        (folder / "aside" / name).mkdir(parents=True)
    give(folder / "project", OWNER)
    give(folder / "aside", STRANGER)
    variables = {**NAMELESS, "HOME": f"{folder}/aside/home", "TMPDIR": f"{folder}/aside/tmp"}
    yield Small(folder / "project", variables, user=STRANGER, python=python_for_all)
    shutil.rmtree(folder)


def give(folder: Path, user: int) -> None:
    subprocess.run(["chown", "-R", f"{user}:{user}", folder], check=True)


def share(folder: Path) -> None:
    subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)


def test_in_a_checkout_of_another_user(project: Small) -> None:
    share(project.root)
    works_in_every_way(project)
    assert (project.root / "dvc.lock").stat().st_uid == STRANGER


def test_as_root_in_a_checkout_of_another_user(project: Small) -> None:
    works_in_every_way(replace(project, user=0))


def test_where_another_user_has_run_before(project: Small) -> None:
    """Whoever shares a folder sets such a mask; what is read-only there (cache, photographs) belongs to the other."""
    share(project.root)
    share(project.aside)
    first = replace(project, user=OWNER, umask=0)
    first.run("seed=8")
    first.run()
    own = project.run("seed=8", "train.epochs=5")
    steps = project.run_in_steps("in-steps", overrides={"seed": 8, "train.epochs": 5}, is_forced=True)
    assert project.kept(own, "dvc.lock") == project.kept(steps, "dvc.lock")
    project.edit("params.yaml", "seed: 20261101", "seed: 8")
    project.run()


@pytest.mark.parametrize("home", ["/", None], ids=["root", "unset"])
def test_without_a_passwd_entry_a_name_or_a_home(project: Small, home: str | None) -> None:
    give(project.root, STRANGER)
    nameless = project.with_variables(HOME=home)
    if home == "/":  # as in a container that is started with `--user`
        works_in_every_way(nameless)
    else:
        assert nameless.run("seed=7")
    named = nameless.call(
        str(project.python), "-c", "from pipeline.registry.actor import Actor; print(Actor.here().by)"
    )
    assert named.returncode == 0, named.stderr
    assert str(STRANGER) in named.stdout


def test_with_a_lost_and_found_in_the_source_that_only_root_may_read(project: Small) -> None:
    (project.root / "digits" / "lost+found").mkdir(mode=0o700)
    give(project.root, STRANGER)
    os.chown(project.root / "digits" / "lost+found", 0, 0)
    assert len(works(project)["source"]) == 4


@pytest.mark.parametrize("name", ["digits", "data_contracts/digits", "data_contracts/digits/raw.yaml", "params.yaml"])
def test_what_the_user_may_not_read_is_one_line(project: Small, name: str) -> None:
    share(project.root)
    (project.root / name).chmod(0)
    done = project.ratchet("run")
    assert done.returncode == 74, done.stderr
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
    assert "ermission denied" in done.stderr
    assert not (project.root / "runs").exists()
