"""What the page says first: the verdict, or why none counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.graph import Graph, parse_graph
from pipeline.records.contract_result import ContractResult, ExpectationResult
from pipeline.records.run import RunReport, StageRun
from pipeline.records.verdict import GateCheck, Verdict
from pipeline.report.headline import Headline, headline
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import Section
from tests.report.reading import edit, shown

CHECK = GateCheck(name="minimum.accuracy", figure=0.9, bound=0.8, outcome="pass", sentence="accuracy 0.9 is enough")
PROMOTED = Verdict.of([CHECK], "accuracy 0.9 is enough", "sha256:new", None)
REFUSED = Verdict.of([CHECK.changed(outcome="fail")], "accuracy 0.7 is below 0.8", "sha256:new", None)
HELD = ContractResult(suite="raw", rows=1, outcome="pass", expectations=(), data_digest="d")
BROKEN = HELD.changed(
    outcome="fail",
    expectations=(ExpectationResult(type="t", column=None, kwargs={}, outcome="fail", observed=0),),
)
STOPPED = RunReport(stages=(StageRun(name="train", what="a worker was lost", outcome="failed"),))


MAKES = {"makes": {"verdict": "verdict.json", "candidate": "model"}}
GRAPH = parse_graph({"stages": {"s": {"cmd": "x", "outs": ["verdict.json", "model"], "meta": MAKES}}}, {})
WHOLE, NEW = Section(GRAPH), Section("sha256:new")
NOTHING = Section[Any](None)


def said(
    verdict: Section[Verdict],
    *,
    run: Section[RunReport] = NOTHING,
    contract: ContractResult | None = HELD,
    candidate: Section[str] = NEW,
    graph: Section[Graph] = WHOLE,
) -> Headline:
    files = RunFiles(
        root=Path(),
        graph=graph,
        recipe=NOTHING,
        run=run,
        verdict=verdict,
        registration=NOTHING,
        metrics=NOTHING,
        contracts={"raw": Section(contract)},
        candidate=candidate,
    )
    return headline(files)


@pytest.mark.parametrize(
    ("verdict", "kind", "sentence"),
    [
        (Section(PROMOTED), "promote", "Accuracy 0.9 is enough"),
        (Section(REFUSED), "refuse", "Accuracy 0.7 is below 0.8"),
        (Section(None), "none", "There is no verdict, so nothing has been promoted."),
        (Section(None, "verdict.json: not valid JSON"), "stopped", "The verdict cannot be read: verdict.json: not"),
    ],
)
def test_the_verdict_is_the_headline_and_without_one_nothing_is_let_through(
    verdict: Section[Verdict], kind: str, sentence: str
) -> None:
    found = said(verdict)

    assert found.kind == kind
    assert found.sentence.startswith(sentence)


def test_a_stage_that_failed_counts_for_more_than_a_verdict_and_a_broken_contract() -> None:
    found = said(Section(PROMOTED), run=Section(STOPPED), contract=BROKEN)

    assert (found.kind, found.sentence) == ("stopped", "The run stopped at train: a worker was lost")


def test_a_broken_contract_counts_for_more_than_a_verdict() -> None:
    found = said(Section(PROMOTED), contract=BROKEN)

    assert found.sentence == "The contract on raw data does not hold: 1 of its expectations failed."


def test_a_contract_that_was_not_checked_leaves_the_verdict_standing() -> None:
    assert said(Section(PROMOTED), contract=None).kind == "promote"


@pytest.mark.parametrize("verdict", [PROMOTED, REFUSED])
def test_a_verdict_about_another_candidate_is_out_of_date(verdict: Verdict) -> None:
    assert said(Section(verdict), candidate=Section("sha256:other")).kind == "outdated"


def test_a_verdict_about_a_candidate_that_is_damaged_does_not_count() -> None:
    found = said(Section(PROMOTED), candidate=Section(None, "models/candidate/weights.safetensors: damaged"))

    assert (found.kind, found.sentence.rpartition(": ")[2]) == ("outdated", "damaged")


def test_a_verdict_of_a_run_of_which_nobody_knows_how_it_ended_does_not_count() -> None:
    assert said(Section(PROMOTED), run=Section(None, "run.json: damaged")).word == "Unreadable"
    assert said(Section(PROMOTED), graph=Section(None, "dvc.yaml: damaged")).word == "Unreadable"


def test_the_stage_that_failed_is_said_though_the_graph_is_damaged() -> None:
    found = said(NOTHING, run=Section(STOPPED), graph=Section(None, "dvc.yaml: damaged"))

    assert found.sentence == "The run stopped at train: a worker was lost"


def test_where_no_stage_judges_that_is_said() -> None:
    graph = parse_graph({"stages": {"s": {"cmd": "x"}}}, {})

    assert said(NOTHING, graph=Section(graph)).sentence == "No stage makes a verdict, so nothing has been promoted."


def test_the_verdict_comes_first_then_why(whole_project: Path) -> None:
    text = shown(whole_project)

    assert text.index("✓ Promote") < text.index("Accuracy 0.8") < text.index("fashion_mnist v4 is champion")
    assert text.index("fashion_mnist v4 is champion") < text.index("0 of 9 checks failed")
    assert text.index("0 of 9 checks failed") < text.index("share of rows classified correctly")


def test_a_refusal_shows_the_failed_checks_before_the_others(project: Path) -> None:
    def refuse(verdict: Any) -> None:
        verdict |= {"outcome": "refuse", "reason": "cross-entropy 0.812 is above 0.6"}
        verdict["checks"][2] |= {"outcome": "fail", "figure": 0.812}

    edit(project / "reports" / "verdict.json", refuse)
    text = shown(project)

    assert "✗ Refuse Cross-entropy 0.812 is above 0.6" in text
    assert text.index("✗ fail maximum.cross_entropy 0.8120 0.6000") < text.index("✓ pass minimum.accuracy")


def test_a_failed_contract_stops_the_page_from_repeating_an_earlier_verdict(project: Path) -> None:
    def fail(result: Any) -> None:
        result["outcome"] = "fail"
        result["expectations"][1] |= {
            "outcome": "fail",
            "observed": "37 of 800 rows unexpected",
            "unexpected_rows": 37,
            "offending_rows": [{"id": "id-1", "source": "cats/1.png", "row": 0}, {"id": "id-2"}],
            "listing": "rows-02.csv",
        }

    edit(project / "reports" / "contracts" / "raw" / "result.json", fail)
    text = shown(project)

    assert text.index("■ Stopped The contract on raw data does not hold") < text.index("is an earlier one")
    assert "37 of 800 rows unexpected" in text
    assert "rows cats/1.png: 0, id-2 and 35 more in rows-02.csv" in text
    assert "✓ Promote" not in text


def test_a_run_that_stopped_says_at_which_stage(project: Path) -> None:
    edit(
        project / "reports" / "run.json",
        lambda run: run["stages"][7].update(outcome="failed", what="a worker was lost"),
    )

    assert "■ Stopped The run stopped at train: a worker was lost" in shown(project)


def test_a_verdict_about_another_model_does_not_count(project: Path) -> None:
    edit(project / "reports" / "verdict.json", lambda verdict: verdict.update(candidate="sha256:other"))
    text = shown(project)

    assert "○ Out of date" in text
    assert "✓ Promote" not in text


@pytest.mark.parametrize("checks", [[], [{**CHECK.to_json(), "outcome": "fail"}]])
def test_a_promotion_that_its_checks_do_not_carry_is_not_shown_as_one(project: Path, checks: list[Any]) -> None:
    edit(project / "reports" / "verdict.json", lambda verdict: verdict.update(checks=checks))
    text = shown(project)

    assert (
        "■ Unreadable The verdict cannot be read: reports/verdict.json: its outcome 'promote' contradicts its checks"
        in text
    )
    assert "✓ Promote" not in text
