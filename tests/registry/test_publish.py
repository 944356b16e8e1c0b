"""What a verdict asks for, given the registry as it is now."""

import json

import pytest

from pipeline.errors import TryAgain
from pipeline.records.identity import Identity
from pipeline.records.verdict import GateCheck, Verdict
from pipeline.registry import versions
from pipeline.registry.publish import decide
from pipeline.registry.versions import Version

NEW = "sha256:new"


def version(number, digest, aliases=(), **tags):
    return Version("pets", number, "2026-11-01T00:00:00Z", "run", {versions.DIGEST: digest, **tags}, aliases)


def verdict(outcome="promote", champion=None):
    check = GateCheck("predictions", 1, 1, "pass" if outcome == "promote" else "fail", "seen")
    return Verdict(outcome, "the reason", (check,), NEW, champion)


CHAMPION = version(1, "sha256:old", ("champion",))


def test_the_first_model_becomes_champion():
    step = decide(verdict(), None, None)
    assert (step.outcome, step.makes_version, step.moves_alias) == ("promoted", True, True)


def test_a_better_model_replaces_the_champion_it_met():
    step = decide(verdict(champion=CHAMPION.identity), None, CHAMPION)
    assert (step.outcome, step.makes_version, step.moves_alias) == ("promoted", True, True)
    assert step.sentence == "replaces v1"


def test_a_refused_candidate_is_recorded_once_and_moves_nothing():
    first = decide(verdict("refuse", CHAMPION.identity), None, CHAMPION)
    second = decide(verdict("refuse", CHAMPION.identity), version(2, NEW), CHAMPION)
    assert (first.outcome, first.makes_version, first.moves_alias) == ("refused", True, False)
    assert (second.outcome, second.makes_version, second.moves_alias) == ("refused", False, False)
    assert second.sentence == "refused: the reason; champion v1 stays"


@pytest.mark.parametrize("outcome", ["promote", "refuse"])
def test_the_champion_itself_is_left_alone(outcome):
    step = decide(verdict(outcome), version(1, NEW, ("champion",)), version(1, NEW, ("champion",)))
    assert (step.outcome, step.makes_version, step.moves_alias) == ("kept", False, False)


def test_a_version_left_without_its_alias_by_a_kill_is_completed():
    step = decide(verdict(champion=CHAMPION.identity), version(2, NEW), CHAMPION)
    assert (step.outcome, step.makes_version, step.moves_alias) == ("promoted", False, True)


@pytest.mark.parametrize(
    ("met", "now"),
    [
        (None, CHAMPION),
        (Identity("pets", 1, "sha256:old"), None),
        (Identity("pets", 1, "sha256:old"), version(2, "sha256:other", ("champion",))),
        (Identity("pets", 1, "sha256:forged"), CHAMPION),
    ],
)
def test_a_champion_that_moved_since_the_verdict_asks_for_another_run(met, now):
    with pytest.raises(TryAgain, match="run again"):
        decide(verdict(champion=met), None, now)


def test_a_refusal_does_not_care_whether_the_champion_moved():
    assert decide(verdict("refuse", None), version(2, NEW), CHAMPION).outcome == "refused"


def test_a_version_that_a_person_rolled_back_is_not_promoted_again():
    left = version(2, NEW, **{versions.ROLLED_BACK: json.dumps({"by": "ann", "reason": "wrong labels"})})
    step = decide(verdict(champion=CHAMPION.identity), left, CHAMPION)
    assert (step.outcome, step.makes_version, step.moves_alias) == ("kept", False, False)
    assert "rolled back by a person" in step.sentence


def test_the_same_event_twice_in_a_row_is_told_once():
    once = versions.history_tag([], {"event": "promoted", "at_utc": "1", "by": "ann"})
    twice = versions.history_tag(json.loads(once), {"event": "promoted", "at_utc": "2", "by": "ann"})
    other = versions.history_tag(json.loads(once), {"event": "promoted", "at_utc": "2", "by": "bob"})
    assert json.loads(twice) == json.loads(once)
    assert len(json.loads(other)) == 2
