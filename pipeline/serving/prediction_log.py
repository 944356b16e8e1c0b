"""The prediction log: a sample of what was asked and answered, as Parquet, for whoever watches the model.

    FOLDER/predictions-<time>-<writer>-<number>.parquet

A row has `at_utc`, `request_id`, `name`, `version`, `digest` and `role` (champion or challenger) of the model that gave
the answer, the features, and the answer: `label`, `confidence` and `answers`, or `value`. A picture stands as its
height, width, mean grey level and digest, not as itself. Whether a request is sampled is drawn once for all of its
rows. Files are written by a thread of its own, whole or not at all; if it cannot keep up, rows are lost and counted,
and no answer waits.
"""

from __future__ import annotations

import hashlib
import os
import queue
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import UsageError
from pipeline.export.parity import classes_of
from pipeline.serving.log import Log
from pipeline.serving.model import LoadedModel
from pipeline.serving.values import IMAGE, Part

WRITTEN, LOST = "written", "lost"
_QUEUED_REQUESTS = 1024


@dataclass(frozen=True)
class LogSettings:
    """`share` of the requests, above 0. A file has `rows` or those of `seconds`; the oldest go above `size_bytes`."""

    share: float
    rows: int = 4096
    seconds: float = 60.0
    size_bytes: int = 2**30

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"the prediction log's share {self.share:g} must be above 0 and at most 1")


class PredictionLog:
    """Takes answered requests and writes files; `close` writes what is left."""

    def __init__(
        self, folder: Path, settings: LogSettings, count: Callable[[int, str], None], log: Log, seed: int | None = None
    ) -> None:
        self._folder, self._settings, self._count, self._log = folder, settings, count, log
        self._random = random.Random(seed)  # noqa: S311 - a sample, no secret
        self._queue: queue.Queue[Any] = queue.Queue(_QUEUED_REQUESTS)
        self._writer, self._number = uuid.uuid4().hex[:12], 0  # workers and replicas may share the folder
        folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._work, name="prediction log", daemon=True)
        self._thread.start()

    def note(
        self, model: LoadedModel, role: str, parts: Sequence[Part], answers: npt.NDArray[np.float32], request_id: str
    ) -> None:
        """Keep an answered request, or not, as the sample has it. Never waits."""
        if self._random.random() >= self._settings.share:
            return
        try:
            self._queue.put_nowait((datetime.now(UTC), model, role, list(parts), answers, request_id))
        except queue.Full:
            self._count(len(answers), LOST)

    def close(self) -> None:
        """Write what is left, and end."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        rows: list[dict[str, Any]] = []
        is_last, write_at_s = False, 0.0
        while not is_last:
            wait_s = max(0.0, write_at_s - time.monotonic()) if rows else None
            try:
                noted = self._queue.get(timeout=wait_s)
                if noted is None:
                    is_last = True
                else:
                    if not rows:
                        write_at_s = time.monotonic() + self._settings.seconds
                    rows += _rows(*noted)
            except queue.Empty:
                pass
            if rows and (is_last or len(rows) >= self._settings.rows or time.monotonic() >= write_at_s):
                self._write(rows)
                rows = []

    def _write(self, rows: list[dict[str, Any]]) -> None:
        """Write a file for each model that answered: their features may differ."""
        by_model: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            by_model.setdefault(row["digest"], []).append(row)
        for some in by_model.values():
            try:
                self._write_file(some)
                self._count(len(some), WRITTEN)
            except OSError as error:
                self._count(len(some), LOST)
                self._log(
                    "prediction log not written", why=os.strerror(error.errno) if error.errno else "no reason given"
                )
        self._make_room()

    def _write_file(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._number += 1
        at = f"{rows[0]['at_utc']:%Y%m%dT%H%M%S}"
        path = self._folder / f"predictions-{at}-{self._writer}-{self._number:06}.parquet"
        aside = path.with_name(f".{path.name}.partial")
        try:
            pq.write_table(pa.Table.from_pylist(rows), aside, compression="zstd")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def _make_room(self) -> None:
        sizes: dict[Path, int] = {}
        for file in sorted(self._folder.glob("predictions-*.parquet")):
            with suppress(FileNotFoundError):  # another worker has made room
                sizes[file] = file.stat().st_size
        size_bytes = sum(sizes.values())
        for file in list(sizes)[:-1]:
            if size_bytes <= self._settings.size_bytes:
                return
            size_bytes -= sizes[file]
            file.unlink(missing_ok=True)


def _rows(
    at: datetime,
    model: LoadedModel,
    role: str,
    parts: Sequence[Part],
    answers: npt.NDArray[np.float32],
    request_id: str,
) -> list[dict[str, Any]]:
    served = model.served
    own = {"at_utc": at, "request_id": request_id, "name": served.name, "version": served.version,
           "digest": served.digest, "role": role}  # fmt: skip
    rows: list[dict[str, Any]] = [dict(own) for _ in answers]
    for part in parts:
        for taken in served.inputs:
            for place, value in zip(part.places, part.columns[taken.name], strict=True):
                rows[place] |= _described(taken.name, value) if taken.kind == IMAGE else {taken.name: _plain(value)}
    if served.classes:
        for row, answer, place in zip(rows, answers, classes_of(answers, served.threshold), strict=True):
            has_answer = place >= 0
            row["label"] = served.classes[place] if has_answer else None
            row["confidence"] = float(answer[place]) if has_answer else None
            row["answers"] = answer.tolist()
    else:
        for row, answer in zip(rows, answers, strict=True):
            row["value"] = float(answer[0])
    return rows


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _described(name: str, pixels: npt.NDArray[np.uint8]) -> dict[str, Any]:
    return {
        f"{name}.height": pixels.shape[0],
        f"{name}.width": pixels.shape[1],
        f"{name}.mean": float(pixels.mean()),
        f"{name}.sha256": hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest(),
    }
