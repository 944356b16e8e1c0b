"""The file of a frozen split: what is written is read back, and what does not fit the recipe is refused in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.data.frozen_split import HASHES, FrozenSplit, file_of, find_frozen, read_frozen
from pipeline.data.instants import Instants
from pipeline.data.strata import Strata
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
    for key in given.keys() - {"quantiles", "edges", "instants"}:
        with pytest.raises(ValidationError):
            FrozenSplit.model_validate({name: value for name, value in given.items() if name != key})


def test_a_frozen_split_has_what_the_recipe_says_of_it():
    found = FrozenSplit.of(STRATIFIED, 5, {"a": (1, 2)})

    assert found.model_dump(exclude_none=True) == {
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


TIME = SplitParams(method="time", train=0.7, validation=0.1, test=0.2, frozen="mine")
EDGES = (-0.5, 12.5)
BINS: dict[str, tuple[int, int]] = dict.fromkeys(Strata.of_edges(EDGES).names, (1, 2))
OF_NUMBER = FrozenSplit.of(STRATIFIED, 1, BINS, edges=EDGES)
OF_TIME = FrozenSplit.of(TIME, 1, {}, instants=Instants(-1, 5))
edges_of = st.sets(st.floats(allow_nan=False, allow_infinity=False), max_size=5).map(lambda found: tuple(sorted(found)))


@given(edges_of, pairs)
@example((), (1, 2))
@example((1e16, 1e22), (1, 2))
def test_the_bins_of_a_number_are_read_back(tmp_path_factory, edges, pair):
    folder = tmp_path_factory.getbasetemp()
    frozen = FrozenSplit.of(STRATIFIED, 3, dict.fromkeys(Strata.of_edges(edges).names, pair), edges=edges)
    (folder / "mine.yaml").write_bytes(frozen.text.encode())

    assert read_frozen(folder, STRATIFIED, []) == frozen


def test_instants_are_read_back(tmp_path: Path):
    (tmp_path / "mine.yaml").write_bytes(OF_TIME.text.encode())

    found = read_frozen(tmp_path, TIME, CLASSES)
    assert found == OF_TIME
    assert found.instants_in_force == Instants(-1, 5)
    assert (OF_TIME.of_classes(CLASSES, "mine"), OF_TIME.in_order([])) == ([], OF_TIME)
    assert OF_NUMBER.instants_in_force is None


def test_each_file_says_what_it_holds():
    of_class = FrozenSplit.of(STRATIFIED, 1, {"a": (1, 2)})

    assert [each.holds for each in (of_class, OF_NUMBER, OF_TIME)] == ["classes", "bins", "instants"]
    assert "By class: " in of_class.text
    assert "By bin of the number" in OF_NUMBER.text
    assert "Rows before the first instant" in OF_TIME.text
    assert "quantiles: 10\nedges:\n- -0.5\n- 12.5\nthresholds:" in OF_NUMBER.text
    assert 'instants:\n- "1969-12-31T23:59:59.999999Z"\n- "1970-01-01T00:00:00.000005Z"\n' in OF_TIME.text


def test_the_bins_of_a_number_have_their_thresholds_whatever_classes_are_asked_for():
    assert OF_NUMBER.of_classes([], "mine") == [(1, 2)] * 3


@pytest.mark.parametrize(
    ("frozen", "params", "classes", "said"),
    [
        (
            OF_NUMBER,
            STRATIFIED,
            CLASSES,
            "data.classes: splits/mine.yaml was frozen for a number, and the target is cl",
        ),
        (
            FrozenSplit.of(STRATIFIED, 1, {"a": (1, 2)}),
            STRATIFIED,
            [],
            "was frozen for classes, and the target is a nu",
        ),
        (
            OF_NUMBER,
            STRATIFIED.model_copy(update={"quantiles": 4}),
            [],
            "split.quantiles: splits/mine.yaml was frozen with 10, and the recipe says 4",
        ),
        (
            OF_TIME,
            STRATIFIED,
            CLASSES,
            "split.method: splits/mine.yaml was frozen with time, and the recipe says strat",
        ),
    ],
)
def test_a_split_of_another_kind_is_refused(frozen, params, classes, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        frozen.require_made_from(params, classes, "mine")
    OF_TIME.require_made_from(TIME.model_copy(update={"quantiles": 4}), CLASSES, "mine")
    FrozenSplit.of(STRATIFIED, 1, {"a": (1, 2)}).require_made_from(
        STRATIFIED.model_copy(update={"quantiles": 4}), CLASSES, "mine"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edges": None}, "edges and quantiles are those of a number"),
        ({"quantiles": None}, "edges and quantiles are those of a number"),
        ({"method": "source", "test": 0.0}, "edges and quantiles are those of a number"),
        ({"edges": (12.5, -0.5)}, "edges: must be in order, each once"),
        ({"edges": (12.5, 12.5)}, "edges: must be in order, each once"),
        ({"edges": (12.5, 13.0)}, "thresholds: those of the bins between edges are needed: ≤ 12.5, 12.5 – 13, > 13"),
        ({"edges": (float("nan"), 1.0)}, "edges"),
        ({"thresholds": {**BINS, "> 12.5": (2, 1)}}, "bin '> 12.5': two numbers are needed"),
        ({"instants": OF_TIME.instants}, "instants are those of method time, which needs them"),
    ],
)
def test_what_a_file_of_a_number_cannot_hold_is_refused(changes, said):
    with pytest.raises(ValidationError, match=re.escape(said)):
        FrozenSplit.model_validate({**OF_NUMBER.model_dump(), **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"instants": None}, "instants are those of method time, which needs them"),
        ({"instants": (OF_TIME.instants[1], OF_TIME.instants[0])}, "instants: the first must be before the second"),
        ({"instants": (OF_TIME.instants[0], OF_TIME.instants[0])}, "instants: the first must be before the second"),
        ({"instants": ("2013-02-31T00:00:00.000000Z", OF_TIME.instants[1])}, "day is out of range for month"),
        ({"instants": ("2013-02-01", OF_TIME.instants[1])}, "instants"),
        ({"thresholds": {"a": (1, 2)}}, "thresholds and edges are none of method time"),
        ({"edges": (), "quantiles": 10}, "thresholds and edges are none of method time"),
    ],
)
def test_what_a_file_of_a_split_by_time_cannot_hold_is_refused(changes, said):
    with pytest.raises(ValidationError, match=re.escape(said)):
        FrozenSplit.model_validate({**OF_TIME.model_dump(), **changes})
