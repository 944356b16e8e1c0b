"""The file of a frozen split: what is written is read back, and what does not fit the recipe is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.data.frozen_split import HASHES, FrozenSplit, file_of, find_frozen, read_frozen
from pipeline.errors import RatchetError, UsageError
from pipeline.recipe.recipe import SplitParams
from tests.ranges import assert_ranges

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


@pytest.mark.parametrize(
    ("pair", "is_taken"),
    [
        ((1, 2), True),
        ((1, HASHES - 1), True),
        ((HASHES - 2, HASHES - 1), True),
        ((0, 1), False),
        ((2, 1), False),
        ((1, HASHES + 1), False),
    ],
)
def test_thresholds_are_from_1_to_all_hashes_the_lower_first(pair, is_taken):
    if is_taken:
        assert FrozenSplit.of(STRATIFIED, 1, {"a": pair}).thresholds == {"a": pair}
    else:
        with pytest.raises(ValidationError, match=r"class 'a': two numbers are needed, each from 1 to 2\^64, the"):
            FrozenSplit.of(STRATIFIED, 1, {"a": pair})


def test_with_given_test_rows_no_hash_makes_another():
    assert FrozenSplit.of(SOURCE, 1, {"a": (1, HASHES)}).method == "source"
    with pytest.raises(ValidationError, match=r"class 'a': with method source the second number is 2\^64"):
        FrozenSplit.of(SOURCE, 1, {"a": (1, HASHES - 1)})


def test_a_seed_has_63_bits_and_shares_are_shares():
    given = FrozenSplit.of(STRATIFIED, 1, {}).model_dump()
    share = (0.0, 1.0, -0.1, 1.1)
    assert_ranges(FrozenSplit, given, seed=(0, 2**63 - 1, -1, 2**63), train=share, validation=share, test=share)
    for key in given:
        with pytest.raises(ValidationError):
            FrozenSplit.model_validate({name: value for name, value in given.items() if name != key})


def test_a_frozen_split_has_what_the_recipe_says_of_it():
    found = FrozenSplit.of(STRATIFIED, 5, {"a": (1, 2)})

    assert found.model_dump() == {
        "method": "stratified",
        "seed": 5,
        "train": 0.7,
        "validation": 0.1,
        "test": 0.2,
        "thresholds": {"a": (1, 2)},
    }


def test_the_file_says_what_it_is_and_keeps_the_order_and_the_names_of_the_classes():
    text = FrozenSplit.of(STRATIFIED, 5, {"ß": (3, 4), "a": (1, 2)}).text

    assert text.startswith("# Written by `ratchet split freeze`; commit it, and leave it as it is.")
    body = text[text.index("method:") :]
    assert body.splitlines()[:6] == [
        "method: stratified",
        "seed: 5",
        "train: 0.7",
        "validation: 0.1",
        "test: 0.2",
        "thresholds:",
    ]
    assert body.index('"ß":') < body.index("a:")


@pytest.mark.parametrize("key", ["method", "train", "validation", "test"])
def test_each_thing_that_a_split_was_frozen_with_must_be_so_still(key):
    changed = {"method": "source", "train": 0.6, "validation": 0.2, "test": 0.3}
    frozen = FrozenSplit.of(STRATIFIED, 1, {})
    now = STRATIFIED.model_copy(update={key: changed[key]})

    frozen.require_made_from(STRATIFIED, CLASSES, "mine")
    with pytest.raises(
        UsageError,
        match=rf"^split\.{key}: splits/mine\.yaml was frozen with .*, and the recipe says {changed[key]}; put it back",
    ):
        frozen.require_made_from(now, CLASSES, "mine")


def test_classes_have_their_thresholds_in_the_order_in_which_they_are_asked_for():
    frozen = FrozenSplit.of(STRATIFIED, 1, {"a": (1, 2), "b": (3, 4)})

    assert frozen.of_classes(["b", "a"], "mine") == [(3, 4), (1, 2)]
    assert file_of("mine") == "splits/mine.yaml"


def test_a_link_that_leads_nowhere_is_no_missing_file(tmp_path: Path):
    (tmp_path / "mine.yaml").symlink_to("nowhere")

    with pytest.raises(RatchetError, match=r"^splits/mine\.yaml"):
        find_frozen(tmp_path, "mine")
