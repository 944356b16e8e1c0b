"""The file of a frozen split: what is written is read back, and what does not fit the recipe is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.data.frozen_split import HASHES, FrozenSplit, find_frozen, read_frozen
from pipeline.errors import RatchetError, UsageError
from pipeline.recipe.recipe import SplitParams

STRATIFIED = SplitParams(method="stratified", train=0.7, validation=0.1, test=0.2, frozen="mine")
SOURCE = SplitParams(method="source", train=0.9, validation=0.1, test=0.0, frozen="mine")
CLASSES = ["a", "b"]
pairs = st.sets(st.integers(1, HASHES - 1), min_size=2, max_size=2).map(lambda pair: (min(pair), max(pair)))
names = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=9)


@given(st.dictionaries(names, pairs, max_size=4), st.integers(0, 2**63 - 1))
@example({"0E0": (1, 2)}, 0)  # a number to some readers of YAML
def test_what_is_written_is_read_back(tmp_path_factory, thresholds, seed):
    folder = tmp_path_factory.getbasetemp()
    frozen = FrozenSplit.of(STRATIFIED, seed, thresholds)
    (folder / "mine.yaml").write_bytes(frozen.text.encode())

    assert read_frozen(folder, STRATIFIED, list(thresholds)) == frozen


def test_one_that_is_not_named_is_not_read(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("?")

    assert read_frozen(tmp_path, STRATIFIED.model_copy(update={"frozen": None}), CLASSES) is None


def test_one_that_is_not_there_is_refused_with_the_command(tmp_path: Path):
    assert find_frozen(tmp_path, "mine") is None
    with pytest.raises(
        UsageError, match=r"splits/mine\.yaml does not exist; bring it back from git, or .*`ratchet split freeze --new`"
    ):
        read_frozen(tmp_path, STRATIFIED, CLASSES)


@pytest.mark.parametrize(
    ("now", "key"),
    [
        (
            STRATIFIED.model_copy(update={"train": 0.6, "validation": 0.2}),
            "split.train: splits/mine.yaml was frozen with",
        ),
        (STRATIFIED.model_copy(update={"validation": 0.2, "test": 0.1}), "split.validation: "),
        (SOURCE, "split.method: "),
    ],
)
def test_one_of_other_shares_is_refused(tmp_path: Path, now: SplitParams, key: str):
    (tmp_path / "mine.yaml").write_text(FrozenSplit.of(STRATIFIED, 1, {}).text)

    with pytest.raises(UsageError, match=key):
        read_frozen(tmp_path, now, CLASSES)


def test_a_class_that_the_recipe_has_not_is_refused_with_the_nearest(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(FrozenSplit.of(STRATIFIED, 1, {"trouser": (1, 2)}).text)

    with pytest.raises(
        UsageError, match=r"class 'trouser' is not in data\.classes \(did you mean 'trousers'\?\); rename"
    ):
        read_frozen(tmp_path, STRATIFIED, ["trousers", "coat"])


def test_a_seed_of_its_own_is_said_and_the_same_is_not():
    frozen = FrozenSplit.of(STRATIFIED, 1, {})

    assert frozen.seed_in_force(2, "mine") == "splits/mine.yaml divides rows by its own seed, 1, not by the recipe's, 2"
    assert frozen.seed_in_force(1, "mine") == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[1, 2]", "[2, 1]"),
        ("[1, 2]", "[0, 2]"),
        ("[1, 2]", f"[1, {HASHES + 1}]"),
        ("[1, 2]", "[1, 2, 3]"),
        ("[1, 2]", "[1.0, 2.0]"),
        ("[1, 2]", "null"),
        ("[1, 2]", "[1, 1]"),  # no validation row
        ("[1, 2]", f"[1, {HASHES}]"),  # no test row
        ("seed: 1", "seed: -1"),
        ("method: stratified", "method: hash"),
        ("method: stratified", "method: source"),  # a row that is none of the source's test rows would be one
        ("seed: 1\n", ""),
        ("seed: 1", "sed: 1"),
    ],
)
def test_a_damaged_one_is_one_line_that_names_the_file(tmp_path: Path, old: str, new: str):
    text = FrozenSplit.of(STRATIFIED, 1, {}).text.replace("thresholds: {}", "thresholds: {a: [1, 2]}")
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new))

    with pytest.raises(RatchetError, match=r"^splits/mine\.yaml: [^\n]+$"):
        read_frozen(tmp_path, STRATIFIED, CLASSES)


def test_what_is_no_yaml_is_one_line(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("[")

    with pytest.raises(RatchetError, match=r"^splits/mine\.yaml:2: [^\n]+$"):
        read_frozen(tmp_path, STRATIFIED, CLASSES)
