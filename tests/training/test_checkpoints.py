from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.records.training_history import EpochRecord
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
    assert set(json.loads(state.read_text())) == {"history", "files", "virtual_workers"}
