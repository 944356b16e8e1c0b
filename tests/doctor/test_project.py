"""What a project needs around it: a repository with DVC, a store, a Spark master of a form that Spark knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.doctor.project import check_dvc, check_spark_master, check_store


def test_dvc_needs_a_repository_and_its_own_configuration(tmp_path: Path) -> None:
    assert check_dvc(tmp_path).remedy.endswith("git init")
    (tmp_path / ".git").mkdir()
    assert check_dvc(tmp_path).remedy.endswith("dvc init --force")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    assert check_dvc(tmp_path).is_ok


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
    assert check.found.startswith("mysql://user:***@host:123456/mlflow: ")
