"""The card of a model says what the run's records say, and where they end."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError, UsageError
from pipeline.models import stored
from pipeline.records.architecture import Architecture, Predicted, TargetScale
from pipeline.records.digests import digest_bytes
from pipeline.records.identity import Identity
from pipeline.records.metrics import MetricsReport
from pipeline.records.model_card import CARD_FILE, CardPart, ModelCard
from pipeline.records.verdict import GateCheck, Matched, Verdict
from pipeline.registry import by_hand
from pipeline.registry.card import Rows, card_of, how_to_use
from pipeline.registry.fetch import fetch_card
from pipeline.registry.versions import CARD
from pipeline.storage.record_files import write_record
from tests.models.made import architecture, column, image, text
from tests.registry.local_registry import LocalRegistry

CHAMPION = Identity(name="pets", version=3, digest="sha256:c4")
FIGURES = {"rows": 400, "accuracy": 0.91234, "cross_entropy": 0.25}
METRICS = MetricsReport(
    task="classification",
    primary="accuracy",
    test=FIGURES,
    train={**FIGURES, "rows": 4000, "accuracy": 0.99},
    overfit=0.0777,
    slices={
        "class": {"no": {"rows": 300, "recall": 0.99}, "yes": {"rows": 100, "recall": 0.7}},
        "carrier": {"AA": {"rows": 12, "accuracy": 0.5}, "UA": {"rows": 388, "accuracy": 0.95}},
    },
    without_near_duplicates={**FIGURES, "rows": 393, "accuracy": 0.9},
)
RECIPE: dict[str, Any] = {
    "task": {"name": "classification", "settings": {}},
    "data": {"source": {"name": "csv"}, "path": "samples/flights", "roles": {"slices": ["carrier"]}},
    "ingest": {"as_of": "2026-11-22"},
    "split": {"method": "time"},
}
ROWS = Rows(
    parts={"test": 400, "train": 4000, "validation": 500}, copies=8000, left_out={"equal": 12, "no label": 1200}
)
MIXED = architecture(
    image((8, 6, 3)),
    text(),
    column("category", "carrier", ["AA", "AA", "UA"]),
    column("number", "delay", ["1", "3", "3"], unit="min", low=0.0, missing="median"),
    column("number", "hour", ["5", "7", "9"]),
    classes=("yes", "no"),
)


def verdict(champion: Identity | None = CHAMPION) -> Verdict:
    checks = [
        GateCheck(name="minimum.accuracy", figure=0.8901, bound=0.85, outcome="pass", sentence="accuracy holds"),
        GateCheck(name="slice.carrier.(other)", figure=None, bound=None, outcome="off", sentence="too few rows"),
    ]
    given = Verdict.of(checks, "accuracy holds; proven better", "sha256:0a", champion)
    matched = Matched(rows=400, won=60, lost=20) if champion else None
    return given.changed(rule="better", against_champion=matched, anchor=champion)


def stored_of(made: Architecture) -> stored.StoredArchitecture:
    return stored.StoredArchitecture.model_validate({**dict(made), "parameters": 12345, "weights": "sha256:1"})


def made_card(**changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "name": "pets",
        "recipe": RECIPE,
        "architecture": stored_of(MIXED),
        "metrics": METRICS,
        "verdict": verdict(),
        "rows": ROWS,
        "lineage": {"ratchet.git_commit": "c0ffee", "ratchet.recipe_digest": "sha256:7", "ratchet.other": "x"},
    }
    return card_of(**{**values, **changes})


def part(card: ModelCard, title: str) -> CardPart:
    return next(each for each in card.parts if each.title == title)


def test_what_the_model_is_and_takes() -> None:
    what = part(made_card(), "What it is")
    assert what.facts["answers"] == "2 classes: yes, no"
    assert what.facts["parameters"] == "12 345"
    assert what.facts["read by"] == "the likeliest class"
    assert what.tables[0].rows == (
        ("image", "image", "a picture of any size (colour), made 8 × 6"),
        ("body", "text", "a text"),
        ("carrier", "category", "a text"),
        ("delay", "number", "a number in min"),
        ("hour", "number", "a number"),
    )


def test_a_learned_threshold_is_said_and_whence_it_is() -> None:
    learned = METRICS.changed(learned={"threshold": 0.3125})
    said = part(made_card(metrics=learned), "What it is").facts["read by"]
    assert said == "class no from probability 0.3125 on, learned on the validation part"
    given = {**RECIPE, "task": {"name": "classification", "settings": {"threshold": 0.2}}}
    assert part(made_card(recipe=given), "What it is").facts["read by"] == "class no from probability 0.2 on"


def test_a_number_has_its_unit_and_no_classes() -> None:
    number = architecture(
        column("number", "hour", ["5", "7"]),
        task="regression",
        classes=(),
        target=TargetScale(mean=3.0, deviation=2.0),
        predicts=Predicted(column="arr_delay", unit="min"),
    )
    figures = {"rows": 400, "mae": 12.5}
    metrics = MetricsReport(
        task="regression", primary="mae", test=figures, train=figures, overfit=0.0, slices={}, units={"mae": "min"}
    )
    card = made_card(architecture=stored_of(number), metrics=metrics)
    what, quality = part(card, "What it is"), part(card, "How good it is")
    assert (what.facts["answers"], what.facts["predicts"]) == ("a number in min", "arr_delay")
    assert "read by" not in what.facts
    assert quality.tables[0].rows[0][:2] == ("MAE (min)", "12.5")


def test_which_data_it_has_learned_from() -> None:
    data = part(made_card(), "Data")
    assert data.facts == {
        "source": "csv",
        "path": "samples/flights",
        "as of": "2026-11-22",
        "split": "time",
        "changed copies learned from": "8 000",
    }
    assert [table.rows for table in data.tables] == [
        (("train", "4 000"), ("validation", "500"), ("test", "400")),
        (("equal", "12"), ("no label", "1 200")),
    ]


def test_how_good_it_is_with_limits_slices_and_whom_it_met() -> None:
    quality = part(made_card(), "How good it is")
    figures, classes, carriers = quality.tables
    assert figures.columns == ("metric", "test, 400 rows", "at worst", "bound", "training, 4 000 rows")
    assert figures.rows == (
        ("accuracy", "0.9123", "0.8901", "0.85", "0.99"),
        ("cross-entropy (nats a row)", "0.25", "–", "–", "0.25"),
        ("overfit", "0.0777", "–", "–", "–"),
    )
    assert [row[0] for row in classes.rows] == ["yes", "no"]  # the worst first
    assert carriers.rows[0] == ("AA", "12", "0.5")
    assert quality.facts["compared with"] == "pets v3 (sha256:c4)"
    assert quality.facts["against it"] == "60 rows won, 20 lost of 400"
    first = part(made_card(verdict=verdict(champion=None)), "How good it is").facts
    assert first["compared with"] == "nobody: the first model"


def test_a_metric_that_is_better_the_lower_has_its_highest_slice_first() -> None:
    slices = {"carrier": {"AA": {"rows": 9, "mae": 1.0}, "UA": {"rows": 9, "mae": 5.0}}}
    metrics = METRICS.changed(task="regression", slices=slices)
    assert [row[0] for row in part(made_card(metrics=metrics), "How good it is").tables[1].rows] == ["UA", "AA"]


def test_where_nothing_was_left_out_nothing_is_said_of_it() -> None:
    said = part(made_card(rows=replace(ROWS, left_out={"equal": 0, "no label": 0})), "Limits").sentences
    assert not [sentence for sentence in said if "left out" in sentence]


def test_where_it_ends() -> None:
    said, terms = part(made_card(), "Limits").sentences, len((MIXED.features[1].fitted or {})["vocabulary"])
    assert said == (
        "It was judged on 400 test rows, which split time has set aside, and on nothing else.",
        "It was not judged on rows like the 1 212 that were left out.",
        "Its smallest slice, carrier AA, has 12 test rows.",
        "Not checked: slice.carrier.(other) (too few rows).",
        "7 test rows look like a training row; without them its accuracy is 0.9.",
        "image: a picture is read at 8 × 6 pixels; finer details are lost.",
        f"body: {terms} terms are known; what else a text says is not read.",
        "carrier: 2 values are known; every other one is the same unknown value to the model.",
        "delay: a value below 0 has no answer; a missing one counts as 3.",
        "hour: a value that is missing has no answer.",
        "Nothing is known of inputs made to mislead it, nor of data that have changed since.",
    )
    undeclared = {**RECIPE, "data": {**RECIPE["data"], "roles": {}}}
    assert any("No slices are declared" in each for each in part(made_card(recipe=undeclared), "Limits").sentences)


def test_the_lineage_is_that_of_the_version() -> None:
    assert part(made_card(), "Lineage").facts == {
        "commit": "c0ffee",
        "recipe": "sha256:7",
        "champion before it": "pets v3 (sha256:c4)",
    }


def test_it_is_asked_by_its_own_features() -> None:
    card = made_card()
    export, serve, asked = how_to_use(card).commands
    assert (export, serve) == ("ratchet export pets --to served", "ratchet serve served")
    row = json.loads(shlex.split(asked)[-1])
    assert row == {"image": "BASE64", "body": "a text", "carrier": "AA", "delay": 3.0, "hour": 7.0}
    assert how_to_use(card).sentences
    one = made_card(architecture=stored_of(architecture(image())))
    assert how_to_use(one).commands[2].startswith("curl --data-binary @picture.png")
    assert how_to_use(one.changed(version=7)).commands[0] == "ratchet export pets@7 --to served"


def test_a_name_of_the_data_is_one_word_of_the_command() -> None:
    hostile = column("category", "carrier", ["'; rm -rf / #"])
    asked = how_to_use(made_card(architecture=stored_of(architecture(hostile)))).commands[2]
    assert json.loads(shlex.split(asked)[-1]) == {"carrier": "'; rm -rf / #"}


def test_of_many_slices_the_worst_are_told() -> None:
    slices = {"carrier": {f"c{each}": {"rows": 10, "accuracy": each / 100} for each in range(90)}}
    table = part(made_card(metrics=METRICS.changed(slices=slices)), "How good it is").tables[1]
    assert table.title == "By carrier, the worst 20 of 90"
    assert [row[0] for row in table.rows] == [f"c{each}" for each in range(20)]


@pytest.fixture
def published(registry: LocalRegistry, tmp_path: Path) -> LocalRegistry:
    """A version with a card, and one of before there were any."""
    folder = tmp_path / "bundle"
    write_record(folder / CARD_FILE, made_card())
    registry.add(1, "sha256:old")
    tag = digest_bytes((folder / CARD_FILE).read_bytes())
    registry.add(2, "sha256:0a", location=str(folder), tags={CARD: tag}, aliases=["champion"])
    return registry


def test_a_version_s_card_comes_back_with_its_number(published: LocalRegistry) -> None:
    assert by_hand.card(published.store, "pets", "champion") == made_card(version=2)


def test_a_version_of_before_has_none(published: LocalRegistry) -> None:
    version = published.reader.version("pets", 1)
    assert version is not None
    assert fetch_card(published.store, published.reader, version) is None
    with pytest.raises(UsageError, match="pets v1 has no model card: an earlier Ratchet has registered it"):
        by_hand.card(published.store, "pets", "1")


def test_a_card_that_was_changed_is_not_believed(published: LocalRegistry, tmp_path: Path) -> None:
    write_record(tmp_path / "bundle" / CARD_FILE, made_card(rows=Rows(parts={})))
    with pytest.raises(DataError, match="pets v2 is damaged: its model card is no longer the one"):
        by_hand.card(published.store, "pets", "2")
