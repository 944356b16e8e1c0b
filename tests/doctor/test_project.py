"""What a project has around it: perhaps git; DVC, a store, a Spark master of a form that Spark knows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo

from pipeline.doctor import project
from pipeline.doctor.health import HealthCheck
from pipeline.doctor.project import check_dvc, check_git, check_spark_master, check_store


def test_dvc_needs_its_own_configuration_and_the_remedy_is_enough_without_git(tmp_path: Path) -> None:
    check = check_dvc(tmp_path)
    assert not check.is_ok
    subprocess.run(check.remedy, shell=True, check=True)
    assert check_dvc(tmp_path).is_ok
    Repo(tmp_path, config={"core": {"no_scm": True}}).close()


def test_that_there_is_no_git_or_no_repository_or_no_commit_is_told_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_git(tmp_path) == HealthCheck("git", True, "no git repository: runs will not name a commit")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    found = check_git(tmp_path)
    assert found.is_ok
    assert found.found.endswith("fatal: Needed a single revision: runs will not name a commit")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check_git(tmp_path) == HealthCheck("git", True, "no git on PATH: runs will not name a commit")


def test_the_commit_that_runs_will_name_is_told(tmp_path: Path) -> None:
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "--quiet"], [*author, "commit", "--quiet", "--allow-empty", "--message", "start"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (tmp_path / "below").mkdir()
    assert check_git(tmp_path / "below") == HealthCheck("git", True, f"runs will name commit {head[:12]}")


@pytest.mark.parametrize(
    "master",
    [
        "local",
        "local[2]",
        "local[*]",
        "local[4, 3]",
        "local-cluster[2,1,1024]",
        "spark://host:7077",
        "spark://a:7077,b:7077",
        "k8s://https://host:443",
        "yarn",
    ],
)
def test_every_form_of_master_that_spark_knows_is_accepted(master: str) -> None:
    assert check_spark_master(master).is_ok


@pytest.mark.parametrize(
    "master", ["", "local[0]", "local[]", "loca[2]", "spark://host", "spark:/host:1", "mesos://a:1"]
)
def test_any_other_master_is_refused(master: str) -> None:
    check = check_spark_master(master)
    assert not check.is_ok
    assert "--execution" in check.remedy


def test_a_store_that_can_be_made_is_fine(tmp_path: Path) -> None:
    assert check_store(tmp_path, "sqlite:///registry/mlflow.db").is_ok


def test_a_store_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    check = check_store(tmp_path, "mysql://user:secret@host:123456/mlflow")
    assert not check.is_ok
    assert check.found.startswith("mlflow.uri: its port is not a number")
    assert "secret" not in check.found + check.remedy


@pytest.mark.parametrize(
    "uri",
    [
        "http://us er:a hidden@127.0.0.1:1", 'http://user:a"hidden@127.0.0.1:1', "http://user:hidden\nmore@127.0.0.1:1",
        "http:/user:hidden@127.0.0.1:1", "user:hidden@127.0.0.1:1", "http://[", "http://user:[hidden@127.0.0.1:1", "",
    ],
)  # fmt: skip
def test_what_is_no_address_is_told_without_a_word_of_it(tmp_path: Path, uri: str) -> None:
    check = check_store(tmp_path, uri)
    assert not check.is_ok
    assert "hidden" not in check.found + check.remedy
    assert check.found.startswith("mlflow.uri: ")


@pytest.mark.parametrize(("workers", "remedy"), [(1, ""), (2, ""), (4, ""), (3, "=2"), (8, "=4")])
def test_workers_that_cannot_share_the_recipe_s_virtual_workers_are_told_who_can(workers: int, remedy: str) -> None:
    check = project.check_workers(Path(__file__).parents[2], workers)
    assert check.is_ok is (not remedy)
    assert check.remedy == (f"ratchet run --execution horovod.workers{remedy}" if remedy else "")


def test_a_recipe_that_cannot_be_read_says_nothing_of_workers(tmp_path: Path) -> None:
    assert "not known" in project.check_workers(tmp_path, 3).found
