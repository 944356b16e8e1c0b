"""What came of a run is found where its dvc.yaml says, whatever the files are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.graph import parse_graph
from pipeline.records.training_history import EpochRecord, Training, history_csv
from pipeline.records.verdict import Verdict
from pipeline.runs import outcome
from pipeline.storage.record_files import write_record

REFUSED = Verdict.of([], "worse than v1", "sha256:new", None)
JUDGES = parse_graph({"stages": {"a": {"cmd": "x", "outs": ["b.json"], "meta": {"makes": {"verdict": "b.json"}}}}}, {})
JUDGES_NOT = parse_graph({"stages": {"a": {"cmd": "x"}}}, {})


def test_a_verdict_is_found_by_its_role(tmp_path: Path) -> None:
    write_record(tmp_path / "b.json", REFUSED)
    assert outcome.verdict_of(tmp_path, JUDGES) == outcome.find_verdict(tmp_path, JUDGES) == REFUSED


def test_a_verdict_that_should_be_there_and_is_not_is_no_missing_role(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"b\.json: cannot be read"):
        outcome.verdict_of(tmp_path, JUDGES)
    assert outcome.find_verdict(tmp_path, JUDGES) is None


def test_where_no_stage_has_a_role_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert outcome.verdict_of(tmp_path, JUDGES_NOT) is None
    assert outcome.find_registration(tmp_path, JUDGES_NOT) is None
    with pytest.raises(UsageError, match="no stage makes the metrics"):
        outcome.metrics_of(tmp_path, JUDGES_NOT)


TRAINS = parse_graph(
    {
        "stages": {
            "prepare": {"cmd": "x", "outs": ["data"]},
            "train": {"cmd": "x", "deps": ["data"], "outs": ["model"], "meta": {"makes": {"candidate": "model"}}},
            "look": {"cmd": "x", "deps": ["data"], "outs": ["looked"]},
            "measure": {"cmd": "x", "deps": ["model"], "outs": ["metrics"]},
        }
    },
    {},
)


def trained(folder: Path) -> None:
    """Leave what training leaves beside its candidate: the second epoch was the best."""
    epochs = [
        EpochRecord(epoch=number, learning_rate=0.1, train={"loss": 9.0, "top_1": 9.0}, validation=figures)
        for number, figures in ((1, {"loss": 0.5, "top_1": 0.25}), (2, {"loss": 0.25, "top_1": 0.75}))
    ]
    (folder / "model").mkdir()
    (folder / "model" / "history.csv").write_text(history_csv(tuple(epochs)))
    training = Training(best_epoch=2, chosen_by="loss", epochs=2, steps_per_epoch=1, images_per_epoch=1, rows={})
    write_record(folder / "model" / "training.json", training)


@pytest.mark.parametrize("stage", ["train", "measure"])
def test_a_run_that_stopped_after_training_says_how_good_its_candidate_is_on_the_validation_part(
    tmp_path: Path, stage: str
) -> None:
    trained(tmp_path)
    assert outcome.stopped_after(tmp_path, TRAINS, stage) == (
        f"stopped after {stage}, as asked: on the validation part, at epoch 2: loss 0.2500, top 1 0.7500"
    )


@pytest.mark.parametrize("stage", ["prepare", "look"])
def test_a_run_that_stopped_before_training_says_where(tmp_path: Path, stage: str) -> None:
    trained(tmp_path)  # by an earlier run
    assert outcome.stopped_after(tmp_path, TRAINS, stage) == f"stopped after {stage}, as asked"


def test_where_nothing_is_trained_there_are_no_figures(tmp_path: Path) -> None:
    assert outcome.stopped_after(tmp_path, JUDGES_NOT, "a") == "stopped after a, as asked"


def test_figures_that_are_damaged_are_told(tmp_path: Path) -> None:
    trained(tmp_path)
    (tmp_path / "model" / "history.csv").write_text("epoch\n1\n")
    with pytest.raises(DataError, match=r"history\.csv: not a training history"):
        outcome.stopped_after(tmp_path, TRAINS, "train")
