"""What the gate judges by is gathered; what of it cannot be had is Unknown, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import DataError, TryAgain
from pipeline.gate.evidence import Answers, Evidence, Other, Unknown
from pipeline.gate.gathering import ModelQueries, gather
from pipeline.models import stored
from pipeline.records.architecture import Architecture, Predicted
from pipeline.records.champion import ANCHOR_FILE, CHAMPION_FILE, Champion
from pipeline.records.identity import Identity
from pipeline.storage.record_files import write_record
from pipeline.storage.shards import Rows
from tests.gate.given import CLASSES, LABELS, METRICS, ROWS, TASK, answers, probabilities, scores

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
            anchor=self.root / "anchor",
            metrics=self.root / "metrics.json",
            test=Rows(list(self.answers.ids), LABELS, {"image": np.zeros((ROWS, 2, 2, 1), np.uint8)}),
            answers=self.answers,
            train=self.answers,
            queries=ModelQueries(self.predict, self.serve, self.in_words),
            task=TASK,
        )


def store(folder: Path, weight: float, predicts: Predicted | None = None) -> str:
    """Store a tiny model; return its digest."""
    architecture = Architecture(
        name="mlp", settings={}, task="classification", features=(), classes=CLASSES, predicts=predicts
    )
    stored.save_weights(folder, architecture, {"dense/kernel": np.full((2, 2), weight, np.float32)})
    return stored.digest(folder)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    store(tmp_path / "candidate", 1.0)
    champion = Identity(name="pets", version=3, digest=store(tmp_path / "champion", 2.0))
    anchor = Identity(name="pets", version=2, digest=store(tmp_path / "anchor", 3.0))
    write_record(tmp_path / "champion" / CHAMPION_FILE, Champion(identity=champion, registry="local"))
    write_record(tmp_path / "anchor" / ANCHOR_FILE, Champion(identity=anchor, registry="local"))
    write_record(tmp_path / "metrics.json", METRICS)
    return Left(tmp_path)


def why(figure: object) -> str:
    """Return why a figure is not known."""
    assert isinstance(figure, Unknown)
    return figure.why


def test_what_is_there_is_known(left: Left) -> None:
    found = left.gathered()
    assert found.candidate == stored.digest(left.root / "candidate")
    assert found.parameters == 4
    assert found.metrics == METRICS
    assert found.predictions is left.answers
    assert list(found.test_ids) == list(left.answers.ids)
    np.testing.assert_array_equal(found.test_labels, LABELS)
    np.testing.assert_array_equal(found.served, SERVED)


def test_champion_and_anchor_are_named_and_have_their_scores(left: Left) -> None:
    left.predict = lambda folder: probabilities(range(5) if folder.name == "champion" else range(9))
    found = left.gathered()
    assert found.champion is not None
    assert found.anchor is not None
    assert found.champion.identity == Identity(name="pets", version=3, digest=stored.digest(left.root / "champion"))
    assert found.anchor.identity == Identity(name="pets", version=2, digest=stored.digest(left.root / "anchor"))
    np.testing.assert_array_equal(found.champion.scores, scores(range(5)))
    np.testing.assert_array_equal(found.anchor.scores, scores(range(9)))


def asked(left: Left) -> list[str]:
    """Gather; return who was asked, in their order."""
    names: list[str] = []
    left.predict = lambda folder: names.append(folder.name) or probabilities()
    left.serve = lambda: names.append("export") or SERVED
    left.gathered()
    return names


def test_the_models_are_asked_before_the_export(left: Left) -> None:
    assert asked(left) == ["champion", "anchor", "export"]


@pytest.mark.parametrize("version", [2, 3])
def test_an_anchor_that_is_the_champions_model_is_not_asked_again(left: Left, version: int) -> None:
    same = Identity(name="pets", version=version, digest=stored.digest(left.root / "champion"))
    write_record(left.root / "anchor" / ANCHOR_FILE, Champion(identity=same, registry="local"))
    (left.root / "anchor" / stored.WEIGHTS_FILE).unlink()  # it is there once, as the champion
    assert asked(left) == ["champion", "export"]
    anchor = left.gathered().anchor
    assert anchor is not None
    assert anchor.identity == same
    np.testing.assert_array_equal(anchor.scores, scores(range(100)))


def test_a_first_candidate_meets_nobody(left: Left) -> None:
    write_record(left.root / "champion" / CHAMPION_FILE, Champion(identity=None, registry="local"))
    write_record(left.root / "anchor" / ANCHOR_FILE, Champion(identity=None, registry="local"))
    found = left.gathered()
    assert (found.champion, found.anchor) == (None, None)


@pytest.mark.parametrize(("role", "file"), [("champion", CHAMPION_FILE), ("anchor", ANCHOR_FILE)])
def test_one_that_nobody_knows_any_more_is_no_first_model(left: Left, role: str, file: str) -> None:
    write_record(left.root / role / file, Champion(identity=None, registry="local", problem="the alias was removed"))
    assert getattr(left.gathered(), role) == Other(None, Unknown("the alias was removed"))


def why_not_met(other: Other | None) -> str:
    """Return why a model's scores are not known."""
    assert other is not None
    return why(other.scores)


def test_one_that_predicts_something_else_than_the_candidate_is_not_met(left: Left) -> None:
    store(left.root / "candidate", 1.0, Predicted(column="delay", edges=(30.0,)))
    digest = store(left.root / "champion", 2.0, Predicted(column="delay", edges=(15.0,)))
    champion = Identity(name="pets", version=3, digest=digest)
    write_record(left.root / "champion" / CHAMPION_FILE, Champion(identity=champion, registry="local"))
    found = left.gathered()
    assert why_not_met(found.champion).startswith("it predicts 'delay' cut at 15, and the candidate 'delay' cut at 30")
    assert isinstance(found.anchor.scores, np.ndarray)  # type: ignore[union-attr] - one that says nothing of it is met


def test_missing_metrics_are_unknown(left: Left) -> None:
    (left.root / "metrics.json").unlink()
    assert why(left.gathered().metrics) == "metrics.json: cannot be read: No such file or directory"


def test_a_damaged_champion_is_unknown_and_still_named(left: Left) -> None:
    weights = left.root / "champion" / stored.WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    found = left.gathered()
    assert why_not_met(found.champion).startswith("champion/weights.safetensors: its bytes do not match the digest")
    assert found.champion is not None
    assert found.champion.identity is not None


def test_a_champion_of_which_nothing_was_fetched_is_unknown_with_the_reason(left: Left) -> None:
    write_record(
        left.root / "champion" / CHAMPION_FILE,
        Champion(identity=Identity(name="pets", version=3, digest="sha256:x"), registry="local", problem="it is gone"),
    )
    assert why_not_met(left.gathered().champion) == "it is gone"


def test_an_export_that_does_not_answer_is_unknown_in_words_without_the_folder(left: Left) -> None:
    def serve() -> npt.NDArray[np.float32]:
        raise DataError(f"the exported model does not answer: {left.root}/exports/1: no signature")

    left.serve = serve
    found = left.gathered()
    assert why(found.served) == "the exported model does not answer: exports/1: no signature"
    assert found.champion is not None
    assert not isinstance(found.champion.scores, Unknown)


def test_what_says_nothing_about_a_model_is_raised(left: Left) -> None:
    def serve() -> npt.NDArray[np.float32]:
        raise TryAgain("the exported model did not answer within 300 s; run again")

    left.serve = serve
    with pytest.raises(TryAgain):
        left.gathered()


def test_an_anchor_that_could_not_be_fetched_is_unknown_even_if_it_is_the_champion_s_model(left: Left) -> None:
    same = Identity(name="pets", version=3, digest=stored.digest(left.root / "champion"))
    write_record(
        left.root / "anchor" / ANCHOR_FILE, Champion(identity=same, registry="local", problem="its tag is damaged")
    )
    found = left.gathered().anchor
    assert found == Other(same, Unknown("its tag is damaged"))


def test_the_answers_to_the_training_rows_are_those_that_are_given(left: Left) -> None:
    train = answers(range(7))
    found = gather(
        candidate=left.root / "candidate",
        champion=left.root / "champion",
        anchor=left.root / "anchor",
        metrics=left.root / "metrics.json",
        test=Rows(list(left.answers.ids), LABELS, {"image": np.zeros((ROWS, 2, 2, 1), np.uint8)}),
        answers=left.answers,
        train=train,
        queries=ModelQueries(left.predict, left.serve, left.in_words),
        task=TASK,
    )
    assert found.train is train


@pytest.mark.parametrize("role", ["champion", "anchor"])
def test_where_one_is_named_and_the_other_never_was_the_one_is_asked(left: Left, role: str) -> None:
    file = {"champion": CHAMPION_FILE, "anchor": ANCHOR_FILE}[role]
    write_record(left.root / role / file, Champion(identity=None, registry="local"))
    [other_role] = {"champion", "anchor"} - {role}
    assert asked(left) == [other_role, "export"]
    assert getattr(left.gathered(), role) is None
