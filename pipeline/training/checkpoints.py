"""Checkpoints: one folder per epoch, published atomically, from which a killed run continues as if never stopped.

`epoch-00003/` holds the state after three finished epochs: `last.safetensors`, `best.safetensors` (of the epoch with
the lowest validation loss so far), `optimizer.safetensors`, and `state.json` with the history and the files' digests.
Only the one written last is kept. It is written before any other is removed, so a whole one exists at any moment.
"""

from __future__ import annotations

import operator
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError, StorageError
from pipeline.models.build import Weights
from pipeline.models.stored import load_arrays
from pipeline.records.digests import digest_bytes, digest_json
from pipeline.records.training_history import LOSS, EpochRecord
from pipeline.storage import artifacts

_STATE_FILE = "state.json"
_PATTERN = "epoch-*"
_NAME = "epoch-{:05d}"


@dataclass(frozen=True)
class Checkpoint:
    """The state after the epochs of `history`. `optimizer` holds the optimizer's variables by position and name.

    Nothing in it says how many ranks computed it.
    """

    history: tuple[EpochRecord, ...]
    last: Weights
    best: Weights
    optimizer: Weights
    virtual_workers: int

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.history)


def best_epoch(history: tuple[EpochRecord, ...]) -> int:
    """Return the epoch with the lowest validation loss; of equals, the earliest."""
    return min(history, key=lambda record: (record.validation[LOSS], record.epoch)).epoch


def save(work: Path, checkpoint: Checkpoint) -> None:
    """Publish a checkpoint and remove all others: of a later epoch there are only damaged ones."""
    from safetensors.numpy import save as serialise

    target = work / _NAME.format(checkpoint.epochs)
    arrays: Mapping[str, Weights] = {
        "last.safetensors": checkpoint.last,
        "best.safetensors": checkpoint.best,
        "optimizer.safetensors": checkpoint.optimizer,
    }
    digests = {}
    with artifacts.published_folder(target) as aside:
        for name, weights in arrays.items():
            content = serialise(weights)
            digests[name] = digest_bytes(content)
            artifacts.write_file(aside / name, content)
        state = {
            "history": [record.to_json() for record in checkpoint.history],
            "files": digests,
            "virtual_workers": checkpoint.virtual_workers,
        }
        artifacts.write_json(aside / _STATE_FILE, {**state, "digest": digest_json(state)})
    for other in work.glob(_PATTERN):
        if other != target:
            shutil.rmtree(other) if other.is_dir() else other.unlink()


def newest(work: Path, virtual_workers: int) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, or None; a damaged one is skipped, and its work is repeated.

    Raises DataError if it is of another number of virtual workers: it would continue another training.
    """
    for folder in sorted(work.glob(_PATTERN), reverse=True):
        try:
            found = _read(folder)
        except (DataError, StorageError):
            continue
        if found.virtual_workers != virtual_workers:
            raise DataError(
                f"{folder}: a checkpoint of {found.virtual_workers} virtual workers, but train.virtual_workers is "
                f"{virtual_workers}; remove the folder, and run again"
            )
        return found
    return None


def finished_epochs(work: Path, virtual_workers: int) -> int:
    """Return the number of epochs in the newest whole checkpoint; 0 without one. Raises as `newest`."""
    checkpoint = newest(work, virtual_workers)
    return checkpoint.epochs if checkpoint else 0


def _read(folder: Path) -> Checkpoint:
    state = artifacts.read_json(folder / _STATE_FILE)
    try:
        if state.pop("digest") != digest_json(state):
            raise DataError(f"{folder / _STATE_FILE}: does not match its own digest")
        history = tuple(EpochRecord.from_json(record, str(folder)) for record in state["history"])
        digests = dict(state["files"])
        virtual_workers = operator.index(state["virtual_workers"])
        names = [f"{name}.safetensors" for name in ("last", "best", "optimizer")]
        for name in names:
            if artifacts.digest_file(folder / name) != digests[name]:
                raise DataError(f"{folder / name}: its bytes do not match the digest in {_STATE_FILE}")
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"{folder}: not a checkpoint: {error!r}") from error
    if folder.name != _NAME.format(len(history)) or not history:
        raise DataError(f"{folder}: has the name of another number of epochs than its {len(history)}")
    last, best, optimizer = (load_arrays(folder / name) for name in names)
    return Checkpoint(history, last, best, optimizer, virtual_workers)
