from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.records.training_history import EpochRecord
from pipeline.storage.artifacts import digest_file
from pipeline.training import checkpoints
from pipeline.training.checkpoints import Checkpoint, best_epoch


def record(epoch: int, validation_loss: float = 0.5) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        learning_rate=0.001,
        train={"loss": 0.1 + 0.2, "accuracy": 0.9},
        validation={"loss": validation_loss, "accuracy": 0.8},
    )


def checkpoint(epochs: int) -> Checkpoint:
    weights = {"dense/kernel": np.full((2, 3), epochs, np.float32)}
    optimizer = {"0000/iteration": np.asarray(epochs * 7), "0001/rate": np.asarray(0.1, np.float32)}
    return Checkpoint(tuple(record(epoch + 1) for epoch in range(epochs)), weights, weights, optimizer, 4)


def test_what_was_saved_is_read_to_the_last_bit(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(2))
    found = checkpoints.newest(tmp_path, 4)
    assert found is not None
    assert found.history == checkpoint(2).history
    assert found.last["dense/kernel"].tobytes() == checkpoint(2).last["dense/kernel"].tobytes()
    assert {name: (a.dtype, a.item()) for name, a in found.optimizer.items()} == {
        name: (a.dtype, a.item()) for name, a in checkpoint(2).optimizer.items()
    }


def test_only_the_newest_is_kept(tmp_path: Path) -> None:
    for epochs in (1, 2, 3):
        checkpoints.save(tmp_path, checkpoint(epochs))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00003"]


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(1))
    (tmp_path / "epoch-00001").rename(tmp_path / "kept")
    checkpoints.save(tmp_path, checkpoint(2))
    (tmp_path / "kept").rename(tmp_path / "epoch-00001")
    path = tmp_path / "epoch-00002" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert checkpoints.finished_epochs(tmp_path, 4) == 1


def test_a_checkpoint_cut_off_while_it_was_written_is_not_seen(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(1))
    (tmp_path / "epoch-00001").rename(tmp_path / ".epoch-00002.partial")
    assert checkpoints.newest(tmp_path, 4) is None


def test_a_checkpoint_with_the_history_of_an_earlier_ratchet_is_passed_over(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(1))
    path = tmp_path / "epoch-00001" / "state.json"
    state = json.loads(path.read_text())
    parts = ("train", "validation")
    flat = {f"{part}_{name}": value for part in parts for name, value in state["history"][0].pop(part).items()}
    state["history"][0] |= flat
    path.write_text(json.dumps(state))
    assert checkpoints.newest(tmp_path, 4) is None


def test_a_damaged_checkpoint_of_a_later_epoch_does_not_cost_the_ones_that_are_written_after_it(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(5))
    (tmp_path / "epoch-00005" / "optimizer.safetensors").write_bytes(b"")
    (tmp_path / "epoch-00007").write_text("a stray file")
    for epochs in (1, 2):
        checkpoints.save(tmp_path, checkpoint(epochs))
        assert checkpoints.finished_epochs(tmp_path, 4) == epochs
        assert [path.name for path in tmp_path.iterdir()] == [f"epoch-{epochs:05d}"]


@pytest.mark.parametrize("edit", [{"history": []}, {"virtual_workers": 4.9}, {"virtual_workers": 8}, {"digest": None}])
def test_a_state_that_was_edited_is_passed_over(tmp_path: Path, edit: dict[str, Any]) -> None:
    checkpoints.save(tmp_path, checkpoint(2))
    path = tmp_path / "epoch-00002" / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **edit}))
    assert checkpoints.newest(tmp_path, 4) is None


def test_a_checkpoint_under_the_name_of_another_epoch_is_passed_over(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(2))
    (tmp_path / "epoch-00002").rename(tmp_path / "epoch-00009")
    assert checkpoints.newest(tmp_path, 4) is None


def test_no_folder_means_no_checkpoint(tmp_path: Path) -> None:
    assert checkpoints.finished_epochs(tmp_path / "none", 4) == 0


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1, max_size=8))
def test_the_best_epoch_is_the_first_with_the_lowest_validation_loss(losses: list[float]) -> None:
    history = tuple(record(number + 1, loss) for number, loss in enumerate(losses))
    assert best_epoch(history) == losses.index(min(losses)) + 1


def test_a_checkpoint_of_another_number_of_virtual_workers_is_refused(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(2))
    with pytest.raises(DataError, match=r"epoch-00002: a checkpoint of 4 virtual workers, .* is 8; remove the folder"):
        checkpoints.newest(tmp_path, 8)


def test_nothing_in_a_checkpoint_says_how_many_ranks_there_were(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(1))
    [state] = tmp_path.glob("*/state.json")
    assert set(json.loads(state.read_text())) == {"history", "files", "virtual_workers", "digest"}


def parts(epochs: int) -> Checkpoint:
    """A checkpoint whose three parts differ."""
    weights = [{"dense/kernel": np.full((2, 3), value, np.float32)} for value in (1, 2, 3)]
    return Checkpoint(tuple(record(epoch + 1) for epoch in range(epochs)), *weights, 4)


def test_the_last_the_best_and_the_optimizer_s_are_told_apart(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, parts(2))
    found = checkpoints.newest(tmp_path, 4)
    assert found is not None
    assert [part["dense/kernel"][0, 0] for part in (found.last, found.best, found.optimizer)] == [1, 2, 3]
    assert found.epochs == checkpoints.finished_epochs(tmp_path, 4) == 2


def test_a_checkpoint_s_files_have_their_names_and_their_digests(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, parts(12))
    folder = tmp_path / "epoch-00012"
    names = ["best.safetensors", "last.safetensors", "optimizer.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "state.json"]
    state = json.loads((folder / "state.json").read_text())
    assert state["files"] == {name: digest_file(folder / name) for name in names}
    assert len(state["history"]) == 12


@pytest.mark.parametrize("name", ["last", "best", "optimizer"])
def test_damage_to_any_part_is_noticed(tmp_path: Path, name: str) -> None:
    checkpoints.save(tmp_path, parts(1))
    path = tmp_path / "epoch-00001" / f"{name}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\xff")
    assert checkpoints.newest(tmp_path, 4) is None
    path.unlink()
    assert checkpoints.newest(tmp_path, 4) is None
    path.write_bytes(whole)
    assert checkpoints.newest(tmp_path, 4) is not None


@pytest.mark.parametrize(
    "state",
    [
        "[]",
        "{}",
        "3",
        '{"history": [], "files": null}',
        '{"history": [3], "files": {}}',
        '{"history": [], "files": {}}',
    ],
)
def test_a_state_that_is_none_is_passed_over(tmp_path: Path, state: str) -> None:
    checkpoints.save(tmp_path, parts(1))
    (tmp_path / "epoch-00001" / "state.json").write_text(state)
    assert checkpoints.newest(tmp_path, 4) is None


def test_the_older_checkpoint_goes_only_after_the_newer_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(tmp_path, parts(1))
    seen: list[list[str]] = []
    remove = shutil.rmtree

    def note(path: Path, **options: Any) -> None:
        seen.append(sorted(each.name for each in tmp_path.iterdir()))
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", note)
    checkpoints.save(tmp_path, parts(2))
    assert seen == [["epoch-00001", "epoch-00002"]]


def test_of_several_the_newest_is_read_and_the_tenth_comes_after_the_ninth(tmp_path: Path) -> None:
    for epochs in (9, 10):
        checkpoints.save(tmp_path / str(epochs), parts(epochs))
        (tmp_path / str(epochs) / f"epoch-{epochs:05d}").rename(tmp_path / f"epoch-{epochs:05d}")
    assert checkpoints.finished_epochs(tmp_path, 4) == 10


def test_of_equal_losses_the_earliest_epoch_is_best_in_whatever_order_they_stand() -> None:
    assert best_epoch((record(3, 0.2), record(2, 0.1), record(1, 0.1))) == 1
