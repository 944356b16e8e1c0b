"""What the gate judges by is gathered; what of it cannot be had is Unknown, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import DataError, TryAgain
from pipeline.gate.evidence import Answers, Comparison, Evidence, Unknown
from pipeline.gate.gathering import ModelQueries, gather
from pipeline.models import stored
from pipeline.records.architecture import Architecture
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.records.identity import Identity
from pipeline.storage.record_files import write_record
from pipeline.storage.shards import Rows
from tests.gate.given import CLASSES, LABELS, METRICS, ROWS, RULE, TASK, answers, probabilities

SERVED = probabilities()[:4]


@dataclass
class Left:
    """What the stages before have left, and how the models answer."""

    root: Path
    answers: Answers = field(default_factory=answers)
    predict: Callable[[Path], npt.NDArray[np.float32]] = lambda _: probabilities()
    serve: Callable[[], npt.NDArray[np.float32]] = lambda: SERVED

    def in_words(self, error: Exception) -> str:
        return str(error).replace(f"{self.root}/", "")

    def gathered(self) -> Evidence:
        return gather(
            candidate=self.root / "candidate",
            champion=self.root / "champion",
            metrics=self.root / "metrics.json",
            test=Rows(list(self.answers.ids), LABELS, {"image": np.zeros((ROWS, 2, 2, 1), np.uint8)}),
            answers=self.answers,
            queries=ModelQueries(self.predict, self.serve, self.in_words),
            rule=RULE,
            task=TASK,
            seed=1,
        )


def store(folder: Path, weight: float) -> str:
    """Store a tiny model; return its digest."""
    architecture = Architecture(name="mlp", settings={}, task="classification", features=(), classes=CLASSES)
    stored.save_weights(folder, architecture, {"dense/kernel": np.full((2, 2), weight, np.float32)})
    return stored.digest(folder)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    store(tmp_path / "candidate", 1.0)
    champion = Identity(name="pets", version=3, digest=store(tmp_path / "champion", 2.0))
    write_record(tmp_path / "champion" / CHAMPION_FILE, Champion(identity=champion, registry="local"))
    write_record(tmp_path / "metrics.json", METRICS)
    return Left(tmp_path)


def why(figure: object) -> str:
    """Return why a figure is not known."""
    assert isinstance(figure, Unknown)
    return figure.why


def test_what_is_there_is_known(left: Left) -> None:
    found = left.gathered()
    assert found.candidate == stored.digest(left.root / "candidate")
    assert found.metrics == METRICS
    assert found.predictions is left.answers
    assert list(found.test_ids) == list(left.answers.ids)
    np.testing.assert_array_equal(found.test_labels, LABELS)
    np.testing.assert_array_equal(found.served, SERVED)


def test_the_champion_is_named_and_compared_with(left: Left) -> None:
    found = left.gathered()
    assert found.champion == Identity(name="pets", version=3, digest=stored.digest(left.root / "champion"))
    assert isinstance(found.comparison, Comparison)
    assert (found.comparison.overall.rows, found.comparison.overall.difference) == (ROWS, 0)


def test_the_champion_is_asked_before_the_export(left: Left) -> None:
    asked: list[str] = []
    left.predict = lambda folder: asked.append(folder.name) or probabilities()
    left.serve = lambda: asked.append("export") or SERVED
    left.gathered()
    assert asked == ["champion", "export"]


def test_a_first_candidate_is_compared_with_nobody(left: Left) -> None:
    write_record(left.root / "champion" / CHAMPION_FILE, Champion(identity=None, registry="local"))
    found = left.gathered()
    assert (found.champion, found.comparison) == (None, None)


def test_missing_metrics_are_unknown(left: Left) -> None:
    (left.root / "metrics.json").unlink()
    assert why(left.gathered().metrics) == "metrics.json: cannot be read: No such file or directory"


def test_a_damaged_champion_is_unknown_and_still_named(left: Left) -> None:
    weights = left.root / "champion" / stored.WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    found = left.gathered()
    assert why(found.comparison).startswith("champion/weights.safetensors: its bytes do not match the digest")
    assert found.champion is not None


def test_a_champion_of_which_nothing_was_fetched_is_unknown_with_the_reason(left: Left) -> None:
    write_record(
        left.root / "champion" / CHAMPION_FILE,
        Champion(identity=Identity(name="pets", version=3, digest="sha256:x"), registry="local", problem="it is gone"),
    )
    assert why(left.gathered().comparison) == "it is gone"


def test_an_export_that_does_not_answer_is_unknown_in_words_without_the_folder(left: Left) -> None:
    def serve() -> npt.NDArray[np.float32]:
        raise DataError(f"the exported model does not answer: {left.root}/exports/1: no signature")

    left.serve = serve
    found = left.gathered()
    assert why(found.served) == "the exported model does not answer: exports/1: no signature"
    assert isinstance(found.comparison, Comparison)


def test_what_says_nothing_about_a_model_is_raised(left: Left) -> None:
    def serve() -> npt.NDArray[np.float32]:
        raise TryAgain("the exported model did not answer within 300 s; run again")

    left.serve = serve
    with pytest.raises(TryAgain):
        left.gathered()
