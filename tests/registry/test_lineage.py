"""Where a model comes from, as digests."""

import subprocess
from pathlib import Path

import pytest

from pipeline.recipe.recipe import load_recipe
from pipeline.records.manifest import Manifest
from pipeline.registry.lineage import lineage_tags
from pipeline.storage.manifests import write_manifest

PROJECT = Path(__file__).parents[2]
LOCK = "schema: '2.0'\nstages:\n  gate:\n    cmd: ratchet stage gate\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "params.yaml").write_bytes((PROJECT / "params.yaml").read_bytes())
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "data" / "test").mkdir(parents=True)
    write_manifest(tmp_path / "data" / "test", Manifest(0, (), {"id": "string"}))
    return tmp_path


def tags(root):
    return lineage_tags(root, load_recipe(root), root / "data", stage="register")


def test_the_entry_of_the_asking_stage_does_not_count(root):
    before = tags(root)
    (root / "dvc.lock").write_text(LOCK + "  register:\n    cmd: ratchet stage register\n")
    assert tags(root) == before
    (root / "dvc.lock").write_text(LOCK.replace("gate:", "evaluate:"))
    assert tags(root)["ratchet.dvc_lock_digest"] != before["ratchet.dvc_lock_digest"]


def test_another_recipe_and_other_data_have_other_digests(root):
    before = tags(root)
    recipe = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(recipe.replace("epochs: ", "epochs: 1"))
    write_manifest(root / "data" / "test", Manifest(0, (), {"id": "int64"}))
    after = tags(root)
    assert {key for key in before if before[key] != after[key]} == {"ratchet.recipe_digest", "ratchet.data_digest"}


def test_what_is_absent_is_none(root):
    (root / "dvc.lock").unlink()
    found = tags(root)
    assert found["ratchet.dvc_lock_digest"] == found["ratchet.git_commit"] == found["ratchet.git_dirty"] == "none"
    assert found["ratchet.requirements_digest"] == "none"


def test_the_lock_of_the_run_itself_does_not_make_the_checkout_dirty(root):
    for command in (["init", "-q"], ["add", "params.yaml", "dvc.lock"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *command], cwd=root, check=True)
    (root / "dvc.lock").write_text(LOCK + "  split:\n    cmd: ratchet stage split\n")
    assert tags(root)["ratchet.git_dirty"] == "false"
    (root / "params.yaml").write_text((root / "params.yaml").read_text() + "# changed\n")
    assert tags(root)["ratchet.git_dirty"] == "true"
