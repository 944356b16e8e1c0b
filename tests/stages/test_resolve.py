"""What the first stage refuses that a run would have resolved: `dvc repro` by hand opens none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.errors import UsageError
from pipeline.stages import resolve
from pipeline.stages.context import StageContext

ROOT = Path(__file__).parents[2]


def test_a_device_that_is_left_open_is_refused_with_the_ways_out(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        text = (ROOT / name).read_text()
        (tmp_path / name).write_text(text.replace("loss: cross_entropy", "loss: cross_entropy\n  device: auto"))
    with pytest.raises(
        UsageError, match=r"^params\.yaml: train\.device: auto is resolved when a run opens.*: use `ratchet run`, or"
    ):
        resolve.run(StageContext.load(tmp_path, "resolve"))
    assert not (tmp_path / "reports").exists()


def test_a_recipe_without_augmentation_steps_has_an_empty_group_for_their_code(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "data_contracts", tmp_path / "data_contracts")
    recipe = yaml.safe_load((ROOT / "params.yaml").read_text())
    recipe["augment"] = {"copies": 0}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(recipe))

    resolve.run(StageContext.load(tmp_path, "resolve"))

    assert StageContext.load(tmp_path, "train").parameters()["code.augmentation"] == {"steps": {}}
