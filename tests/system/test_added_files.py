"""A real run of a source, an architecture, an optimizer, a schedule and a step that are one file each, added."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.recipe.test_added_files import ADDED
from tests.system.project import TEST_ROWS, Project, make_project

NAMED = {
    "data": {"source": "arrays", "path": "arrays"},
    "model": "linear",
    "train": {"optimizer": "rms", "schedule": {"name": "halving", "settings": {"times": 3}}},
    "augment": {"steps": ["darken"]},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The digits as two files of NumPy, and five files beside the project's own."""
    from sklearn.datasets import load_digits

    project = make_project(tmp_path_factory.mktemp("added") / "project")
    for file in ADDED.rglob("*.py"):
        shutil.copyfile(file, project.root / "pipeline" / file.relative_to(ADDED))
    folder = project.root / "arrays"
    folder.mkdir()
    digits = load_digits()
    np.save(folder / "images.npy", (digits.images * 15).astype(np.uint8))
    np.save(folder / "labels.npy", digits.target.astype(np.int32))
    return project


def test_a_run_uses_all_five(project: Project) -> None:
    project.change_recipe(**NAMED)
    done = project.ratchet("run", "--set", "augment.steps.0.settings.share=0.2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: PROMOTE" in done.stdout
    [folder] = [path for path in (project.root / "runs").iterdir() if path.is_dir()]
    recipe = project.json(str((folder / "reports/recipe.json").relative_to(project.root)))
    assert recipe["train"]["schedule"] == {"name": "halving", "settings": {"times": 3}}
    assert recipe["augment"]["steps"] == [{"name": "darken", "settings": {"share": 0.2}}]
    assert recipe["data"]["source"] == {"name": "arrays", "settings": {"test_rows": TEST_ROWS}}
    code = recipe["code"]
    assert {"linear"} == set(code["models"]["architectures"])
    assert {"rms"} == set(code["training"]["optimizers"])


def test_what_is_wrong_with_one_is_said_before_anything_runs(project: Project) -> None:
    project.change_recipe(**NAMED)
    runs = set((project.root / "runs").iterdir()) if (project.root / "runs").exists() else set[Path]()
    done = project.ratchet("run", "--set", "train.optimizer.settings.rh=0.5")
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "ratchet: --set: unknown key 'train.optimizer.settings.rh' (did you mean 'train.optimizer.settings.rho'?)",
    )
    assert set((project.root / "runs").iterdir() if (project.root / "runs").exists() else ()) == runs
