"""Whether the gate can have given a verdict: every one that it gives passes, and one that was edited does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.gate.evidence import Other, Unknown
from pipeline.gate.following import require_given
from pipeline.recipe.recipe import GateParams
from pipeline.records.verdict import Matched, Verdict
from tests.gate.given import ANCHOR, BOUNDS, CHAMPION, IDS, LABELS, PRIMARY, ROWS, TASK, check_of, judged, other, rule

OFF = {"none": "a test"}
SMALL = rule(bounds={**PRIMARY, "parameters": {"maximum": 1000}})
RULES = {
    "better": rule(),
    "refresh": rule("refresh"),
    "margin": rule("margin", margin=0.02, slice_margin=0.12),
    "all bounds": rule(bounds={**BOUNDS, "slices": {"class": {"cat": {"minimum": {"recall": 0.5}}}}}),
    "few parameters": SMALL,
    "too many parameters": rule(bounds={**PRIMARY, "parameters": {"maximum": 999}}),
    "off": rule(bounds={"minimum": {"accuracy": OFF}}, total_margin=OFF, slice_margins={"class": {"cat": OFF}}),
    "unjudged": rule(
        "refresh", slice_margins={"class": {"cat": 0.002}}, unjudged={"class": {"cat": "few cats"}}, total_margin=0.02
    ),
}


def hold(verdict: Verdict, gate: GateParams, **changed: Any) -> None:
    """Hold a verdict, as it stands in its file, to a recipe."""
    read = Verdict.from_json(json.loads(json.dumps(verdict.to_json())), "verdict.json")
    by: dict[str, Any] = {"seed": 1, "code": {}, "ids": IDS, "labels": LABELS, "parameters": 1000, **changed}
    require_given(read, gate, TASK, **by)


@pytest.mark.long
@pytest.mark.parametrize("gate", RULES.values(), ids=RULES)
@given(champion=st.tuples(*[st.integers(0, 100)] * 2), anchor=st.tuples(*[st.integers(0, 100)] * 2))
@settings(max_examples=10, deadline=None)
def test_what_the_gate_gives_it_can_have_given(
    gate: GateParams, champion: tuple[int, int], anchor: tuple[int, int]
) -> None:
    hold(judged(gate, champion=other(CHAMPION, *champion), anchor=other(ANCHOR, *anchor)), gate)
    hold(judged(gate, champion=other(CHAMPION, *champion), anchor=other(CHAMPION, *champion)), gate)


@pytest.mark.long
@pytest.mark.parametrize("gate", RULES.values(), ids=RULES)
def test_a_first_model_and_one_that_cannot_be_compared_are_what_the_gate_gives(gate: GateParams) -> None:
    hold(judged(gate, champion=None, anchor=None), gate)
    hold(judged(gate, champion=Other(CHAMPION, Unknown("gone")), anchor=other(ANCHOR, 0, 0)), gate)
    hold(judged(gate, champion=None), gate)
    hold(judged(gate, predictions=Unknown("gone")), gate)
    hold(judged(gate, metrics=Unknown("gone"), served=Unknown("gone")), gate)


def edited(verdict: Verdict, **checks: dict[str, Any] | None) -> Verdict:
    """A verdict with some of its checks changed, or taken out; its outcome follows from them."""
    kept = [
        check.changed(**changed) if changed else check
        for check in verdict.checks
        if (changed := checks.get(check.name.replace(".", "_"), {})) is not None
    ]
    passes = all(check.has_passed for check in kept)
    values = {"checks": tuple(kept), "outcome": "promote" if passes else "refuse"}
    return verdict.changed(**values, moves_anchor=verdict.moves_anchor and passes)


REFUSED = judged(champion=other(CHAMPION, won=30, lost=25), anchor=other(ANCHOR, won=20, lost=60))
PASSES = {"outcome": "pass", "figure": 9.0}


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (edited(REFUSED, step={"outcome": "pass", "figure": 0.01}, total=PASSES), "says of step what its counts do"),
        (edited(judged(), step={"outcome": "fail"}), "says of step what its counts do not say"),
        (edited(judged(), total={"figure": 9.0}), "says of total what its counts do not say"),
        (edited(REFUSED, step={"outcome": "pass", "figure": 0.01}, total=None), "has no check total"),
        (edited(REFUSED, step=None, total=None), "has no check step"),
        (edited(judged(), slice_class_cat=None), "has no check slice.class.cat"),
        (edited(judged(), minimum_accuracy=None), "has no check minimum.accuracy"),
        (edited(judged(), parity=None), "has no check parity"),
        (edited(judged(), predictions={"bound": 10, "figure": 10}), "check predictions that is held to 10, not 2000"),
        (edited(judged(), minimum_accuracy={"bound": 0.1}), "check minimum.accuracy that is held to 0.1, not 0.7"),
        (edited(judged(), minimum_accuracy={"figure": 0.6}), "check minimum.accuracy that passes with 0.6, bound 0.7"),
        (edited(judged(), parity={"figure": 0.1}), "check parity that passes with 0.1, bound 0.0001"),
        (edited(judged(), slice_class_cat={"figure": 0.1}), "check slice.class.cat that passes with 0.1, bound 1.64"),
        (edited(judged(), slice_class_cat={"outcome": "off"}), "check slice.class.cat that is not off in the recipe"),
        (judged().changed(moves_anchor=False), "says of the anchor what its counts do not say"),
        (
            judged(anchor=other(ANCHOR, won=30, lost=20)).changed(moves_anchor=True),
            "says of the anchor what its counts do not say",
        ),
        (
            edited(REFUSED.changed(against_champion=Matched(rows=ROWS, won=90, lost=2)), total=PASSES),
            "says of step what its counts do not say",
        ),
        (judged().changed(against_champion=Matched(rows=50, won=40, lost=2)), "does not compare all 2000 test rows"),
        (judged().changed(against_champion=None, against_anchor=None), "promotes a candidate that was not compared"),
        (judged().changed(anchor=CHAMPION), "has two outcomes of the match with the same model"),
        (judged(champion=None, anchor=None).changed(moves_anchor=False), "says of a first model that it is not the"),
        (
            judged().changed(checks=(*judged().checks, check_of(judged(), "step").changed(name="mine"))),
            "has a check that nobody asks for: mine",
        ),
        (judged().changed(checks=(*judged().checks, judged().checks[0])), "has a check that nobody asks for"),
        (judged(rule(error=0.1)), "was given by another rule, seed, task or code"),
        (judged().changed(rule="refresh"), "was given by another rule, seed, task or code"),
    ],
)  # fmt: skip
def test_what_was_edited_is_told(forged: Verdict, why: str) -> None:
    with pytest.raises(DataError, match=f"^the verdict .*{why}.*run again, and the gate judges anew$"):
        hold(forged, rule())


def test_the_parameters_are_those_of_the_candidate() -> None:
    verdict = judged(SMALL)
    hold(verdict, SMALL)
    with pytest.raises(DataError, match="does not say how many parameters the candidate has: 2000"):
        hold(verdict, SMALL, parameters=2000)
    with pytest.raises(DataError, match="has no check parameters"):
        hold(edited(verdict, parameters=None), SMALL)
    with pytest.raises(DataError, match="check parameters that is held to 5000, not 1000"):
        hold(edited(verdict, parameters={"bound": 5000}), SMALL)


def test_a_verdict_by_other_code_seed_or_rows_is_not_that_of_this_recipe() -> None:
    changed: dict[str, Any]
    for changed in ({"seed": 2}, {"code": {"pipeline/gate/paired.py": "sha256:1"}}):
        with pytest.raises(DataError, match="another rule, seed, task or code"):
            hold(judged(), rule(), **changed)
    for changed in ({"labels": 1 - LABELS}, {"ids": [f"other-{each}" for each in IDS]}):
        with pytest.raises(DataError, match="other rows than those of the test part"):
            hold(judged(), rule(), **changed)


def test_a_check_that_is_off_in_the_recipe_is_off_for_its_reason() -> None:
    gate = RULES["off"]
    verdict = judged(gate)
    assert check_of(verdict, "total").outcome == "off"
    for name in ("total", "minimum_accuracy", "slice_class_cat"):
        with pytest.raises(DataError, match="that is off in the recipe"):
            hold(edited(verdict, **{name: {"sentence": "another reason"}}), gate)
