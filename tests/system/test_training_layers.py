"""Files added to slots' folders, nothing else edited, in real trainings: two Horovod ranks give the bytes of one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.records.training_history import History
from tests.system.training_files import ARCHITECTURE, copy_code
from tests.system.training_project import history_of, make_root, run_stages, tree


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the added files in it."""
    return copy_code(tmp_path_factory.mktemp("code"))


def trained(root: Path, code: Path, workers: int, **recipe: Any) -> History:
    make_root(root, code=code, **recipe)
    done = run_stages(root, "resolve", "train", workers=workers, code=code)
    assert done.returncode == 0, done.stderr
    return history_of(root)


def test_two_ranks_give_the_bytes_of_one_with_state_penalties_and_dropout_in_layers(tmp_path: Path, code: Path) -> None:
    recipe = {"model": "probe", "train": {"epochs": 2}}
    one, two = (trained(tmp_path / str(workers), code, workers, **recipe) for workers in (1, 2))
    assert tree(tmp_path / "2/models/candidate") == tree(tmp_path / "1/models/candidate")
    assert one == two
    assert one[0].train["penalty"] > 0.01
    assert one[-1].train["accuracy"] > 0.9


def test_an_optimizer_a_schedule_and_a_loss_are_a_file_each(tmp_path: Path, code: Path) -> None:
    train = {"optimizer": "signs", "loss": "brier", "learning_rate": 0.001, "warmup_epochs": 0.0, "epochs": 3}
    history = trained(
        tmp_path / "added", code, 1, train={**train, "schedule": {"name": "stairs", "settings": {"stairs": 3}}}
    )
    assert [epoch.learning_rate for epoch in history] == pytest.approx([0.001, 0.001 * 2 / 3, 0.001 / 3])
    assert all(0 <= epoch.validation["loss"] <= 2 for epoch in history)
    assert history[-1].validation["accuracy"] > 0.9
    recipe = json.loads((tmp_path / "added/reports/recipe.json").read_text())
    assert recipe["train"]["optimizer"] == {"name": "signs", "settings": {"momentum": 0.9}}


def test_a_validation_that_is_no_number_is_the_divergence_it_is(tmp_path: Path, code: Path) -> None:
    root = make_root(tmp_path / "nan", code=code, model={"name": "probe", "settings": {"ruins_validation": True}})
    done = run_stages(root, "resolve", "train", workers=2, code=code)
    assert done.returncode == 65
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith(
        "error: training: the validation loss is nan in epoch 1, step 61: the run has diverged; lower"
    )
    assert not (root / "models").exists()


def test_what_would_be_ignored_is_refused_by_every_rank_in_one_line(tmp_path: Path, code: Path) -> None:
    probe = code / "pipeline/models/architectures/ignored.py"
    logits = 'layers.Dense(units, kernel_constraint=keras.constraints.MaxNorm(0.5), name="logits")'
    assert logits in ARCHITECTURE
    probe.write_text(ARCHITECTURE.lstrip().replace(logits, f'layers.SpectralNormalization({logits}, name="spectral")'))
    root = make_root(tmp_path / "ignored", code=code, model="ignored")
    done = run_stages(root, "resolve", "train", workers=2, code=code)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith("error: model: a call changes weight spectral/logits/kernel, which the optimizer trains too")


def test_hosts_that_round_otherwise_are_named_before_they_train(tmp_path: Path) -> None:
    code = copy_code(tmp_path / "code")
    rank = code / "pipeline/training/rank.py"
    text = rank.read_text()
    begin = "    tf = import_tensorflow("
    assert begin in text
    # As on a processor for which oneDNN has no code.
    other = '    if os.environ["HOROVOD_RANK"] == "1":\n        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"\n'
    rank.write_text(text.replace(begin, other + begin))
    done = run_stages(make_root(tmp_path / "unlike", code=code), "resolve", "train", workers=2, code=code)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert re.search(r"rank 1 on localhost computes other bits than rank 0 on localhost: .*\(.+; .+\)$", line)
