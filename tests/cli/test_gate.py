"""`ratchet gate explain`: a verdict in a paragraph."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.records.identity import Identity
from pipeline.records.registration import Registration
from pipeline.records.verdict import GateCheck, Verdict
from pipeline.storage.record_files import write_record
from tests.cli.given import answer, complaint
from tests.runs.kept import finished, make_project

ANCHOR, CHAMPION = (Identity(name="pets", version=version, digest=f"sha256:{version}") for version in (2, 3))
PASSED = GateCheck(name="minimum.accuracy", figure=0.9, bound=0.8, outcome="pass", sentence="accuracy is 0.9")
STEP = GateCheck(name="step", figure=0.4, bound=0.05, outcome="fail", sentence="9 rows won, 8 lost")
TOTAL = GateCheck(name="total", figure=2.0, bound=3.6, outcome="fail", sentence="it may be worse by 1 point")
OFF = GateCheck(name="slice.class.cat", figure=None, bound=None, outcome="off", sentence="few cats")


def say(project: Path, *checks: GateCheck, is_better: bool = False) -> None:
    """Write a verdict as the gate does."""
    reason = next((check.sentence for check in checks if not check.has_passed), checks[0].sentence)
    verdict = Verdict.of(
        checks, reason, "sha256:c", CHAMPION, anchor=ANCHOR, rule="better", shows="100 rows", is_better=is_better
    )
    write_record(project / "reports" / "verdict.json", verdict)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")


def test_a_refusal_says_every_check_that_failed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say(project, PASSED, STEP, TOTAL, OFF)
    assert answer(capsys, "gate", "explain") == (
        "Refused: 9 rows won, 8 lost. The candidate was judged by rule better against champion v3 and anchor v2; "
        "1 of 4 checks passed. It failed total, too: it may be worse by 1 point. slice.class.cat does not count: "
        "few cats. What these test rows can show: 100 rows.\n"
    )


@pytest.mark.parametrize(
    ("is_better", "said"),
    [(True, "It is the new anchor, to which all"), (False, "Anchor v2 stays: the candidate is not proven better")],
)
def test_a_promotion_says_what_becomes_of_the_anchor(
    project: Path, capsys: pytest.CaptureFixture[str], is_better: bool, said: str
) -> None:
    say(project, PASSED, is_better=is_better)
    words = answer(capsys, "gate", "explain")
    assert words.startswith("Promoted: accuracy is 0.9.")
    assert said in words


def test_it_says_how_often_these_very_test_rows_have_judged(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict.of(
        [PASSED], "accuracy is 0.9", "sha256:c", CHAMPION, test_digest="sha256:t", over_use="champion v3: no sign"
    )
    write_record(project / "reports" / "verdict.json", verdict)
    registration = Registration(
        outcome="promoted",
        name="pets",
        version=4,
        champion=None,
        sentence="",
        registry="local",
        line=12,
        verdicts=73,
        verdicts_on_rows=9,
        test="sha256:t",
    )
    write_record(project / "reports" / "registration.json", registration)
    counted = "These very test rows have given 9 verdicts so far."
    words = answer(capsys, "gate", "explain")
    assert "Champion v3: no sign." in words
    assert counted in words
    write_record(project / "reports" / "registration.json", registration.changed(test="sha256:other"))
    assert counted not in answer(capsys, "gate", "explain")


def test_the_verdict_of_a_run_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(project)
    finished(project, "r1")
    words = answer(capsys, "gate", "explain", "r1")
    assert words == (
        "Refused: it lost 0.1. The candidate was judged as a first model, by its bounds alone; 1 of 2 checks passed.\n"
    )
    assert json.loads(answer(capsys, "gate", "explain", "r1", "--json"))["reason"] == "it lost 0.1"


def test_without_a_verdict_it_says_what_makes_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "gate", "explain") == (
        2,
        "ratchet: reports/verdict.json does not exist; `ratchet run` makes a verdict\n",
    )
    make_project(project)
    finished(project, "r1", outcomes={"train": "failed"}, state="failed", outcome=None)
    code, said = complaint(capsys, "gate", "explain", "r1")
    assert (code, said) == (2, "ratchet: run r1 has no verdict; `ratchet runs show r1` says how far it came\n")
