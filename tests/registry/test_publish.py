"""What a verdict asks for, given the registry as it is now. What is written then: tests/system."""

import json
from dataclasses import replace

import pytest

from pipeline.errors import DataError, TryAgain
from pipeline.models import stored
from pipeline.records.identity import Identity
from pipeline.registry import versions
from pipeline.registry.actor import Actor
from pipeline.registry.challenge import Challenge
from pipeline.registry.decision import anchor_after, decide
from pipeline.registry.publish import Candidate, register, require_judged
from pipeline.registry.versions import Version
from tests.registry.judged import add_line, judged, on_line

NEW = "sha256:new"


def version(number, digest, aliases=(), **tags):
    return Version("pets", number, "2026-11-01T00:00:00Z", "run", {versions.DIGEST: digest, **tags}, aliases)


def verdict(outcome="promote", champion=None, candidate=NEW, **values):
    return judged(candidate, champion, promotes=outcome == "promote", **values)


CHAMPION = version(1, "sha256:old", ("champion",))
FIRST = Challenge(None, None)
MET = Challenge(CHAMPION.identity, CHAMPION.identity)


def test_the_first_model_becomes_champion():
    step = decide(verdict(), None, None, FIRST)
    assert (step.outcome, step.makes_version, step.moves_alias) == ("promoted", True, True)


def test_a_better_model_replaces_the_champion_it_met():
    step = decide(verdict(champion=CHAMPION.identity), None, CHAMPION, MET)
    assert (step.outcome, step.makes_version, step.moves_alias) == ("promoted", True, True)
    assert step.sentence == "replaces v1"


def test_a_refused_candidate_is_recorded_once_and_moves_nothing():
    first = decide(verdict("refuse", CHAMPION.identity), None, CHAMPION, MET)
    second = decide(verdict("refuse", CHAMPION.identity), version(2, NEW), CHAMPION, MET)
    assert (first.outcome, first.makes_version, first.moves_alias) == ("refused", True, False)
    assert (second.outcome, second.makes_version, second.moves_alias) == ("refused", False, False)
    assert second.sentence == "refused: the reason; champion v1 stays"


@pytest.mark.parametrize("outcome", ["promote", "refuse"])
def test_the_champion_itself_is_left_alone(outcome):
    own = version(1, NEW, ("champion",))
    step = decide(verdict(outcome), own, own, FIRST)
    assert (step.outcome, step.is_recorded, step.makes_version, step.moves_alias) == ("kept", False, False, False)


def test_a_version_left_without_its_alias_by_a_kill_is_completed():
    step = decide(verdict(champion=CHAMPION.identity), version(2, NEW), CHAMPION, MET)
    assert (step.outcome, step.makes_version, step.moves_alias) == ("promoted", False, True)


@pytest.mark.parametrize(
    ("met", "now"),
    [
        (None, CHAMPION),
        (Identity(name="pets", version=1, digest="sha256:old"), None),
        (Identity(name="pets", version=1, digest="sha256:old"), version(2, "sha256:other", ("champion",))),
        (Identity(name="pets", version=1, digest="sha256:forged"), CHAMPION),
    ],
)
def test_a_champion_that_moved_since_the_verdict_asks_for_another_run(met, now):
    with pytest.raises(TryAgain, match="run again"):
        decide(verdict(champion=met), None, now, Challenge(*[now.identity if now else None] * 2))


@pytest.mark.parametrize("outcome", ["promote", "refuse"])
@pytest.mark.parametrize("missing", ["rule_digest", "test_digest"])
def test_a_verdict_that_an_earlier_ratchet_has_given_is_not_carried_out(outcome, missing):
    earlier = verdict(outcome, CHAMPION.identity).changed(**{missing: ""})
    with pytest.raises(TryAgain, match="as an earlier Ratchet's does not; run again"):
        decide(earlier, None, CHAMPION, MET)


def test_an_anchor_that_moved_since_the_verdict_asks_for_another_run():
    held = Challenge(CHAMPION.identity, Identity(name="pets", version=7, digest="sha256:held"))
    with pytest.raises(TryAgain, match="held to v1, but by now the anchor is v7; run again"):
        decide(verdict(champion=CHAMPION.identity), None, CHAMPION, held)


def test_nothing_is_promoted_where_nobody_knows_who_was_champion():
    with pytest.raises(TryAgain, match="judged against v1, but by now there is no champion; run again"):
        decide(verdict(champion=CHAMPION.identity), None, None, replace(MET, problem="the alias was removed"))


@pytest.mark.parametrize(
    ("anchor", "moves", "after"),
    [(None, False, "v2"), (CHAMPION.identity, True, "v2"), (CHAMPION.identity, False, "v1")],
    ids=["the first", "proven better", "not worse"],
)
def test_the_anchor_moves_to_the_first_model_and_to_one_proven_better(anchor, moves, after):
    promoted = version(2, NEW).identity
    found = anchor_after(verdict(champion=anchor, moves_anchor=moves), promoted)
    assert f"v{found.version}" == after


def test_a_refusal_does_not_care_whether_the_champion_moved():
    assert decide(verdict("refuse", None), version(2, NEW), CHAMPION, MET).outcome == "refused"


def test_a_version_that_a_person_rolled_back_is_not_promoted_again():
    left = version(2, NEW, **{versions.ROLLED_BACK: json.dumps({"by": "ann", "reason": "wrong labels"})})
    step = decide(verdict(champion=CHAMPION.identity), left, CHAMPION, MET)
    assert (step.outcome, step.makes_version, step.moves_alias) == ("kept", False, False)
    assert "rolled back by a person" in step.sentence


BEYOND = "its saved_model has 9 MiB, 5 may be on this machine"


def test_a_candidate_beyond_a_bound_of_the_machine_becomes_a_version_and_moves_nothing():
    first = decide(verdict(champion=CHAMPION.identity), None, CHAMPION, MET, BEYOND)
    assert (first.outcome, first.is_recorded, first.makes_version, first.moves_alias) == ("held", True, True, False)
    assert first.sentence == f"passed the gate, but {BEYOND} (export in execution.yaml); champion v1 stays"
    again = decide(verdict(champion=CHAMPION.identity), version(2, NEW), CHAMPION, MET, BEYOND)
    assert (again.outcome, again.makes_version, again.moves_alias) == ("held", False, False)
    then = decide(verdict(champion=CHAMPION.identity), version(2, NEW), CHAMPION, MET)
    assert (then.outcome, then.makes_version, then.moves_alias) == ("promoted", False, True)


def test_a_bound_of_the_machine_is_no_matter_for_the_champion_or_for_one_that_is_refused():
    own = version(1, NEW, ("champion",))
    assert decide(verdict(), own, own, FIRST, BEYOND).outcome == "kept"
    assert decide(verdict("refuse", CHAMPION.identity), None, CHAMPION, MET, BEYOND).outcome == "refused"


def candidate(folder, judged):
    def describe():
        raise AssertionError("a candidate is described only if a version has to be made")

    return Candidate("pets", folder, judged, lambda: None, describe)


def test_a_verdict_on_this_very_model_is_one(model):
    require_judged(candidate(model, verdict(candidate=stored.digest(model))))


def test_a_verdict_on_another_model_is_none(model):
    with pytest.raises(DataError, match="the verdict judges another model than model; run `dvc repro`"):
        require_judged(candidate(model, verdict()))


def test_a_model_that_was_damaged_since_is_not_the_one_judged(model):
    judged = candidate(model, verdict(candidate=stored.digest(model)))
    (model / stored.WEIGHTS_FILE).write_bytes(b"damaged")
    with pytest.raises(DataError, match="do not match the digest"):
        require_judged(judged)


def registered(registry, model, judged):
    """Register where there is nothing to do: no lock is taken, nothing is written, nobody is told to wait."""
    scratch, said = model.parent / "scratch", []
    found = register(registry.store, candidate(model, judged), Actor("ann", "now"), scratch, announce=said.append)
    assert not said
    assert not scratch.exists()
    assert not registry.store.lock.exists()
    return found


def test_a_candidate_that_is_the_champion_already_is_kept_without_a_write(registry, model):
    registry.add(1, NEW, aliases=["champion"])
    found = registered(registry, model, verdict())
    assert (found.outcome, found.version, found.sentence) == ("kept", 1, "v1 is the champion already")
    assert found.champion == Identity(name="pets", version=1, digest=NEW)


def test_a_refused_candidate_that_is_a_version_already_is_not_made_one_again(registry, model):
    registry.add(1, "sha256:old", aliases=["champion"])
    refused = verdict("refuse")
    registry.add(2, NEW, tags=on_line(add_line(registry, refused)))
    found = registered(registry, model, refused)
    assert (found.outcome, found.version, found.line, found.verdicts) == ("refused", 2, 1, 1)
    assert found.champion == Identity(name="pets", version=1, digest="sha256:old")


def test_a_champion_that_moved_is_noticed_before_anything_is_written(registry, model):
    registry.add(1, "sha256:other", aliases=["champion"])
    with pytest.raises(TryAgain, match="judged against no champion, but by now the champion is v1"):
        registered(registry, model, verdict())
    assert not registry.store.lock.exists()


def test_a_verdict_that_contradicts_the_ledger_is_not_carried_out(registry, model):
    registry.add(1, "sha256:old", aliases=["champion"])
    met = Identity(name="pets", version=1, digest="sha256:old")
    registry.add(2, NEW, tags=on_line(add_line(registry, verdict("refuse", met))))
    with pytest.raises(
        DataError,
        match=r"the verdict \(promote, 9 won, 2 lost\) contradicts line 1 of the ledger of pets \(refuse, 9 won, 2 "
        r"lost\) on the same models, rows and rule; run again; if both stay, `ratchet registry promote 2 --reason ",
    ):
        registered(registry, model, verdict(champion=met))
    assert not registry.store.lock.exists()


def test_a_champion_whose_line_the_gate_contradicts_is_named(registry, model):
    registry.add(1, "sha256:old")
    met = Identity(name="pets", version=1, digest="sha256:old")
    given = on_line(add_line(registry, verdict(champion=met)))
    registry.add(2, NEW, aliases=["champion"], tags={**given, "ratchet.met": "1 sha256:old"})
    assert registered(registry, model, verdict(champion=met)).sentence == "v2 is the champion already"
    assert registered(registry, model, verdict("refuse", met)).sentence == (
        "v2 is the champion already; but line 1 of the ledger says promote where the gate says refuse now, so one of "
        'the two is not true; `ratchet registry rollback --reason "…"` brings back who was champion before'
    )


def test_what_the_gate_cannot_have_given_is_refused_before_anything_is_written(registry, model):
    def refuse():
        raise DataError("not the gate's")

    judged = replace(candidate(model, verdict()), require_given=refuse)
    with pytest.raises(DataError, match="not the gate's"):
        register(registry.store, judged, Actor("ann", "now"), model.parent / "scratch")
    assert not registry.store.lock.exists()
