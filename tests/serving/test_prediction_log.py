"""The prediction log: what is kept of answered requests, and that no answer waits for it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UsageError
from pipeline.serving.prediction_log import LogSettings, PredictionLog
from pipeline.serving.roles import CHAMPION
from pipeline.serving.values import Part
from tests.serving import made
from tests.serving.running import Kept, running, serving
from tests.serving.test_predicting import PIXELS, png


class Counted:
    """Counts rows by their fate."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def __call__(self, rows: int, fate: str) -> None:
        self.rows[fate] = self.rows.get(fate, 0) + rows


def rows_in(folder: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(folder.glob("predictions-*.parquet")) for row in pq.read_table(file).to_pylist()]


def noted(log: PredictionLog, model: Any, *numbers: float) -> None:
    columns = {"distance": np.asarray(numbers), "carrier": made.column(["A"] * len(numbers))}
    answers = model.answer(columns)
    log.note(model, CHAMPION, [Part(columns, np.arange(len(numbers)))], answers, "an-id")


def test_a_row_has_when_which_model_the_features_and_the_answer(tmp_path: Path) -> None:
    counted = Counted()
    log = PredictionLog(tmp_path, LogSettings(1.0), counted, Kept())
    with running(serving(made.model(made.ALL), prediction_log=log)) as service:
        row = {"image": base64.b64encode(png()).decode(), "distance": None, "carrier": "A", "body": "b"}
        answer = service.post("/predict", row, x_request_id="till-7")
    [kept] = rows_in(tmp_path)
    [prediction] = answer.json["predictions"]
    assert kept["request_id"] == "till-7"
    assert (kept["name"], kept["version"], kept["digest"]) == ("zoo", 3, made.record(made.ALL).digest)
    assert kept["label"] == prediction["label"]
    assert kept["confidence"] == prediction["confidence"]
    assert kept["answers"] == list(prediction["probabilities"].values())
    assert np.isnan(kept["distance"])
    assert (kept["carrier"], kept["body"]) == ("A", "b")
    assert (kept["image.height"], kept["image.width"], kept["image.mean"]) == (4, 4, PIXELS.mean())
    assert kept["image.sha256"] == hashlib.sha256(PIXELS.tobytes()).hexdigest()
    assert kept["at_utc"].tzinfo is not None
    assert counted.rows == {"written": 1}


def test_of_a_number_the_value_is_kept(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, LogSettings(1.0), Counted(), Kept())
    model = made.model(made.TABLE, classes=())
    noted(log, model, 1, 2)
    log.close()
    assert [row["value"] for row in rows_in(tmp_path)] == [
        made.foretold(model.served, {"distance": number, "carrier": "A"})[0] for number in (1, 2)
    ]


def test_a_share_of_the_requests_is_kept(tmp_path: Path) -> None:
    log, model = PredictionLog(tmp_path, LogSettings(0.3), Counted(), Kept(), seed=1), made.model(made.TABLE)
    for number in range(200):
        noted(log, model, number, number)
    log.close()
    kept = rows_in(tmp_path)
    assert 30 < len(kept) / 2 < 90
    assert all(first["distance"] == second["distance"] for first, second in zip(kept[::2], kept[1::2], strict=True))
    for share in (0, -1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="must be above 0"):
            LogSettings(share)


def test_each_model_has_files_of_its_own_and_the_oldest_go(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, LogSettings(1.0, rows=2, size_bytes=1), Counted(), Kept())
    for version in (1, 2, 3):
        noted(log, made.model(made.TABLE, version=version), 1, 2)
    log.close()
    assert {row["version"] for row in rows_in(tmp_path)} == {3}
    assert not list(tmp_path.glob(".*"))


def test_those_who_share_a_folder_overwrite_nothing_of_each_other(tmp_path: Path) -> None:
    logs = [PredictionLog(tmp_path, LogSettings(1.0), Counted(), Kept()) for _ in range(2)]
    for number, log in enumerate(logs):  # in one second, and in containers by one process id, too
        noted(log, made.model(made.TABLE), number)
        log.close()
    assert sorted(row["distance"] for row in rows_in(tmp_path)) == [0, 1]


def test_a_file_that_another_worker_has_removed_keeps_nothing_from_being_written(tmp_path: Path) -> None:
    counted = Counted()
    log = PredictionLog(tmp_path, LogSettings(1.0, rows=1), counted, Kept())
    (tmp_path / "predictions-0.parquet").symlink_to("nowhere")  # found in the folder, and not there any more
    noted(log, made.model(made.TABLE), 1)
    noted(log, made.model(made.TABLE), 2)
    log.close()
    assert counted.rows == {"written": 2}


def test_what_cannot_be_written_is_lost_and_counted(tmp_path: Path) -> None:
    counted, said = Counted(), Kept()
    folder = tmp_path / "log"
    log = PredictionLog(folder, LogSettings(1.0), counted, said)
    folder.rmdir()
    noted(log, made.model(made.TABLE), 1, 2, 3)
    log.close()
    assert counted.rows == {"lost": 3}
    assert [line["event"] for line in said.lines] == ["prediction log not written"]


def test_no_answer_waits_for_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.serving.prediction_log._QUEUED_REQUESTS", 3)
    monkeypatch.setattr(PredictionLog, "_work", lambda log: None)  # it never gets round to it
    counted = Counted()
    log, model = PredictionLog(tmp_path, LogSettings(1.0), counted, Kept()), made.model(made.TABLE)
    for number in range(5):
        noted(log, model, number)
    assert counted.rows == {"lost": 2}
