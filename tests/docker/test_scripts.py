"""What the images' scripts do before anything heavy: refuse in one line, and leave a project fit for runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = "bash basename cat date dirname env flock grep id mkdir mktemp rm sed sleep tail"


def make_images(tmp_path: Path, *arguments: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run scripts/images.sh where no Docker, no buildah and no apt are, as another user if one is named."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS.split():
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    if user:
        (programs / "id").unlink()
        (programs / "id").write_text(f"#!/bin/sh\necho {user}\n")
        (programs / "id").chmod(0o755)
    return subprocess.run(
        [str(ROOT / "scripts" / "images.sh"), *arguments],
        env={"PATH": str(programs), "HOME": str(tmp_path), "RATCHET_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def test_an_unknown_image_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    finished = make_images(tmp_path, "--only", "pipelin")
    assert finished.returncode == 2
    assert finished.stderr == "ratchet: --only pipelin: no such image; one of: pipeline airflow worker mlflow serving\n"


def test_without_docker_and_without_root_one_line_says_what_to_do(tmp_path: Path) -> None:
    finished = make_images(tmp_path, user="1000")
    assert finished.returncode == 2
    [line] = finished.stderr.splitlines()
    assert "start Docker, or run this as root" in line


def test_without_apt_what_is_missing_is_named(tmp_path: Path) -> None:
    finished = make_images(tmp_path, user="0")
    assert finished.returncode == 2
    assert "buildah debootstrap cannot be installed here" in finished.stderr


def test_nothing_of_a_build_lies_in_the_work_tree(tmp_path: Path) -> None:
    make_images(tmp_path, user="1000")
    assert (tmp_path / "cache" / "images").is_dir()
    assert not list((tmp_path / "cache" / "images" / "tmp").iterdir())


def prepare(folder: Path, environment: Path) -> subprocess.CompletedProcess[str]:
    # Also for root, a folder that says so is then not to be written.
    as_any_user = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*as_any_user, str(ROOT / "docker" / "project.sh"), str(folder)],
        env={**os.environ, "RATCHET_ENVIRONMENT": str(environment)},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "pipeline").mkdir(parents=True)
    (folder / "pipeline" / "__init__.py").touch()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    folder = tmp_path / "environment"
    folder.mkdir()
    return folder


def test_a_folder_of_files_gets_the_environment_and_nothing_else(project: Path, environment: Path) -> None:
    for _ in range(2):
        assert prepare(project, environment).returncode == 0
        assert (project / ".venv").resolve() == environment
        assert sorted(path.name for path in project.iterdir()) == [".venv", "dvc.yaml", "pipeline"]


def test_in_a_checkout_git_does_not_see_the_link(project: Path, environment: Path) -> None:
    shutil.copyfile(ROOT / ".gitignore", project / ".gitignore")
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    assert prepare(project, environment).returncode == 0
    command = ["git", "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    assert seen.splitlines() == [".gitignore", "dvc.yaml", "pipeline/__init__.py"]


def test_a_folder_of_another_user_is_refused_with_what_to_build(project: Path, environment: Path) -> None:
    project.chmod(0o555)
    finished = prepare(project, environment)
    project.chmod(0o755)
    assert finished.returncode == 2
    assert finished.stderr.endswith(f"build the images with RATCHET_UID={project.stat().st_uid}\n")
    assert not (project / ".venv").is_symlink()


def test_the_link_follows_the_image(project: Path, environment: Path, tmp_path: Path) -> None:
    prepare(project, environment)
    (tmp_path / "another").mkdir()
    assert prepare(project, tmp_path / "another").returncode == 0
    assert (project / ".venv").resolve() == tmp_path / "another"


def test_a_folder_without_a_project_is_refused_and_left_alone(tmp_path: Path, environment: Path) -> None:
    (tmp_path / "empty").mkdir()
    finished = prepare(tmp_path / "empty", environment)
    assert finished.returncode == 2
    assert "put yours into it" in finished.stderr
    assert not list((tmp_path / "empty").iterdir())


def test_an_environment_of_the_host_is_not_used_by_mistake(project: Path, environment: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    finished = prepare(project, environment)
    assert finished.returncode == 2
    assert "mount a folder that has none" in finished.stderr
    assert (project / ".venv" / "bin").is_dir()


def test_a_project_whose_requirements_differ_from_the_image_is_told(project: Path, environment: Path) -> None:
    (environment / "setup.sha256").write_text(f"# {project}\n{'0' * 64}  dvc.yaml\n")
    finished = prepare(project, environment)
    assert finished.returncode == 0
    assert "build the images from it" in finished.stderr
