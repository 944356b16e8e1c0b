"""Where the registry is, and that what may be shown of it holds no secret."""

import os
from pathlib import Path

import pytest

from pipeline.errors import StorageError, TryAgain, UsageError
from pipeline.recipe.execution import MLflowSettings
from pipeline.records.origin import ORIGIN_FILE, Origin
from pipeline.registry.store import locked, resolve_store
from pipeline.runtime.git import git
from pipeline.storage.record_files import write_record

SECRET = "hunter2"


def store(root, uri, artifacts="registry/artifacts"):
    return resolve_store(root, MLflowSettings(uri=uri, artifacts=artifacts))


def test_a_relative_store_is_in_the_projects_folder_and_moves_with_it(tmp_path):
    home, found = tmp_path.resolve(), store(tmp_path, "sqlite:///registry/mlflow.db")
    assert (found.database, found.home) == (home / "registry" / "mlflow.db", home)
    assert found.artifacts == str(home / "registry" / "artifacts")


@pytest.mark.parametrize("uri", ["sqlite:///registry/mlflow.db", "registry/mlruns"])
def test_a_workspace_means_the_store_of_its_project(tmp_path, uri):
    workspace = tmp_path / ".ratchet" / "workspaces" / "x"
    write_record(workspace / ORIGIN_FILE, Origin(home="../../..", run="x"))
    (tmp_path / "dvc.yaml").touch()
    assert store(workspace, uri) == store(tmp_path, uri)


def test_a_linked_worktree_of_git_is_a_folder_of_its_own(tmp_path):
    git(tmp_path, "init", "--quiet", "main")
    git(tmp_path / "main", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path / "main", "worktree", "add", "--quiet", str(tmp_path / "tree"))
    found = store(tmp_path / "tree", "sqlite:///registry/mlflow.db")
    assert found.database == tmp_path.resolve() / "tree" / "registry" / "mlflow.db"


def test_an_absolute_store_is_kept(tmp_path):
    found = store(tmp_path, "sqlite:////srv/mlflow.db", "/srv/artifacts")
    assert (found.uri, found.artifacts, found.label) == ("sqlite:////srv/mlflow.db", "/srv/artifacts", "local")
    assert found.home is None  # it stays where it is when the project moves


def test_a_store_that_is_named_from_the_project_but_is_outside_of_it_stays_too(tmp_path):
    (tmp_path / "project").mkdir()
    shared = tmp_path.resolve() / "shared"
    found = store(tmp_path / "project", "sqlite:///../shared/mlflow.db", "../shared/models")
    assert (found.database, found.artifacts, found.home) == (shared / "mlflow.db", str(shared / "models"), None)


@pytest.mark.parametrize(
    ("uri", "label"),
    [
        ("sqlite:///registry/mlflow.db", "local"),
        ("registry/mlruns", "local"),
        (f"http://ann:{SECRET}@mlflow.example:5000/team/", "http://mlflow.example:5000/team"),
        (f"postgresql://ann:{SECRET}@db.example/mlflow", "postgresql://db.example/mlflow"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_what_may_be_shown_holds_neither_secret_nor_path_of_this_machine(tmp_path, uri, label):
    found = store(tmp_path, uri)
    assert found.label == label
    assert SECRET not in repr(found)
    said = f"could not connect to {uri}; driver says {uri.partition('@')[0].rpartition(':')[2]}, http://bob:xyz@proxy/"
    assert [word for word in (SECRET, "ann:", "xyz") if word in found.scrub(said)] == []


def test_a_server_decides_itself_where_bytes_go_unless_told(tmp_path):
    assert store(tmp_path, "http://mlflow.example").artifacts is None
    assert store(tmp_path, "http://mlflow.example", "s3://bucket/models").artifacts == "s3://bucket/models"


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "http://", "http://host:99999"])
def test_an_address_that_is_none_is_refused_in_one_line(tmp_path, uri):
    with pytest.raises(UsageError, match=r"mlflow\.uri"):
        store(tmp_path, uri)


def test_a_lock_that_is_held_asks_to_try_again(tmp_path):
    found = store(tmp_path, "sqlite:///registry/mlflow.db")
    with locked(found), pytest.raises(TryAgain, match="run again"), locked(found, timeout_s=0.05):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "registry").write_text("a file where a folder should be")
    with (
        pytest.raises(StorageError, match="registry"),
        locked(store(tmp_path, "sqlite:///registry/mlflow.db")),
    ):
        pass


def test_a_registry_that_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    os.mkfifo(tmp_path / "registry" / "mlflow.db")
    with pytest.raises(StorageError, match=r"registry/mlflow\.db: no regular file"):
        resolve_store(tmp_path, MLflowSettings())


def test_the_address_is_replaced_by_its_label_and_the_password_masked_wherever_it_stands(tmp_path):
    found = store(tmp_path, f"http://ann:{SECRET}@mlflow.example:5000/team")
    assert found.scrub(f"GET {found.uri}/api: refused for {SECRET}") == (
        "GET http://mlflow.example:5000/team/api: refused for ***"
    )
    assert found.scrub("refused") == "refused"


def test_a_password_is_masked_as_it_is_sent_and_as_it_is_typed(tmp_path):
    found = store(tmp_path, "postgresql://ann:s3cret%2Fpart@db.example/mlflow")
    assert found.scrub("no user with s3cret/part, from s3cret%2Fpart") == "no user with ***, from ***"


def test_an_address_without_a_password_has_nothing_to_mask(tmp_path):
    found = store(tmp_path, "http://mlflow.example:5000")
    assert found.scrub("http://mlflow.example:5000/x: None") == "http://mlflow.example:5000/x: None"
