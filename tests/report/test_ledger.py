"""What the page says of the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.records.identity import Identity
from pipeline.records.registration import Registration
from pipeline.records.verdict import Matched, Verdict
from pipeline.report.ledger import Spent, spent
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import Section
from tests.report.reading import edit, shown

NOTHING = Section[Any](None)


ANCHOR = Identity(name="m", version=1, digest="sha256:a")


def files(
    recipe: dict[str, Any] | None,
    *,
    line: int | None = 7,
    verdicts: int | None = 3,
    test: str = "sha256:t",
    anchor: Identity | None = ANCHOR,
) -> RunFiles:
    registration = Registration(
        outcome="refused",
        name="m",
        version=2,
        champion=None,
        sentence="",
        registry="local",
        line=line,
        verdicts=verdicts,
        verdicts_on_rows=2,
        test=test,
    )
    verdict = Verdict.of([], "no check", "sha256:c", anchor, anchor=anchor, test_digest="sha256:t")
    return RunFiles(
        root=Path(),
        graph=NOTHING,
        recipe=Section(recipe),
        run=NOTHING,
        verdict=Section(verdict),
        registration=Section(registration),
        metrics=NOTHING,
        contracts={},
        candidate=NOTHING,
    )


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({}, Spent(7, 3, 3 / 365, 0.05, 2)),
        ({"gate.rule": "refresh"}, Spent(7, 3, 3 / 365, 0.05, 2)),
        (
            {"gate.rule.name": "better", "gate.rule.settings.verdicts": 30, "gate.rule.settings.error": 0.01},
            Spent(7, 3, 0.1, 0.01, 2),
        ),
        ({"gate.rule.name": "margin", "gate.rule.settings.margin": 0.02}, Spent(7, 3, on_rows=2)),
        ({"gate.rule": "nobodys"}, Spent(7, 3, on_rows=2)),
    ],
)
def test_the_share_of_the_error_that_is_spent_is_that_of_the_verdicts(recipe: dict[str, Any], expected: Spent) -> None:
    assert spent(files(recipe)) == expected


def test_a_registration_of_before_says_nothing(tmp_path: Path) -> None:
    assert spent(files({}, line=None, verdicts=None)) is None


def test_a_first_model_spends_nothing() -> None:
    assert spent(files({}, anchor=None)) == Spent(7, None, on_rows=2)


def test_what_other_test_rows_have_given_is_not_said_of_these() -> None:
    found = spent(files({}, test="sha256:other"))
    assert found is not None
    assert found.on_rows is None


def test_the_page_says_whom_the_candidate_met_and_what_the_test_rows_have_given(project: Path) -> None:
    def judge(values: dict[str, Any]) -> None:
        met = {
            "anchor": Identity(name="fashion_mnist", version=1, digest="sha256:a").to_json(),
            "rule": "better",
            "rule_digest": "sha256:r",
            "test_digest": "sha256:t",
            "against_champion": Matched(rows=400, won=30, lost=10).to_json(),
            "against_anchor": Matched(rows=400, won=40, lost=10).to_json(),
            "moves_anchor": True,
            "shows": "400 rows: a gain of 3 points would be found",
            "renewal": None,
            "over_use": "accuracy of champion v3: 0.9 on all 400 test rows",
        }
        values.update({"record_version": Verdict.VERSION, **met})

    edit(project / "reports" / "verdict.json", judge)
    edit(
        project / "reports" / "registration.json",
        lambda values: values.update(
            {
                "record_version": Registration.VERSION,
                "line": 12,
                "verdicts": 73,
                "verdicts_on_rows": 9,
                "test": "sha256:t",
            }
        ),
    )
    text = shown(project)
    assert "Judged by rule better against champion v3 and anchor v1" in text
    assert "once it is champion, it is the anchor" in text
    assert "What these test rows can show: 400 rows: a gain of 3 points would be found." in text
    assert "Line 12 of the ledger, and 73 verdicts against this anchor: 20 % of the error" in text
    assert "These very test rows have given 9 verdicts so far." in text
    assert "accuracy of champion v3: 0.9 on all 400 test rows." in text
    assert "anchor v1, the champion that was last proven better than the anchor before it" in text
    by_hand = "it stayed when ann promoted v3 by hand: approved"
    edit(project / "reports" / "registration.json", lambda values: values.update({"verdicts": 400, "anchor": by_hand}))
    assert "champion v3 and anchor v1 (it stayed when ann promoted v3 by hand: approved)." in shown(project)
    assert "100 % of the error that all of them together may have (5 %) is spent, and it covers no more" in shown(
        project
    )


def test_the_page_of_a_first_model_says_that_it_becomes_the_anchor(project: Path) -> None:
    first = {"champion": None, "anchor": None, "against_champion": None, "against_anchor": None}
    given = {**first, "rule": "better", "rule_digest": "sha256:r", "test_digest": "sha256:t", "moves_anchor": True}
    more = {"shows": "", "renewal": None, "over_use": ""}
    version = {"record_version": Verdict.VERSION}
    edit(project / "reports" / "verdict.json", lambda values: values.update({**given, **more, **version}))
    text = shown(project)
    assert "Judged by rule better. There never was a champion: once it is champion, it is the anchor." in text
    assert "proven better" not in text
