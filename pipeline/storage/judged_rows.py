"""Which test rows a model was judged by: 64 bits of a hash of each row's id, sorted, kept with its version.

An id is a digest of what its row holds, so a row is found again wherever it stands by then. 10⁶ rows take 8 MB; the
chance that any two of them have the same 64 bits is 3 in 10⁸.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, StorageError

JUDGED_BY_FILE = "judged_by.npy"

Keys = npt.NDArray[np.uint64]


def keys_of(ids: Sequence[str]) -> Keys:
    """Return the first 64 bits of the sha256 of each row's id, `[row] uint64`."""
    content = b"".join([sha256(each.encode()).digest()[:8] for each in ids])
    return np.frombuffer(content, ">u8").astype(np.uint64)


def to_bytes(ids: Sequence[str]) -> bytes:
    """Return the file of the rows with these ids, whatever their order."""
    stream = io.BytesIO()
    np.save(stream, np.sort(keys_of(ids)), allow_pickle=False)
    return stream.getvalue()


def read_keys(path: Path) -> Keys:
    """Read such a file, sorted. Raises StorageError if it cannot be read, DataError if it is none."""
    try:
        with path.open("rb") as stream:
            keys = np.load(stream, allow_pickle=False)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: is no list of rows: {error}") from error
    if not isinstance(keys, np.ndarray) or keys.dtype != np.uint64 or keys.ndim != 1 or (keys[1:] < keys[:-1]).any():
        raise DataError(f"{path}: is no sorted list of rows")
    found: Keys = keys
    return found
