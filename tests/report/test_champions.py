"""The page of the champions: every version, its figures, why, and who was champion when, whatever its tags hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.records.run import CHAMPIONS_FILE
from pipeline.report.champions import page_of_version, render_champions
from pipeline.report.champions_chart import Move, Plotted, chart_of
from pipeline.runs.champions_page import write_champions
from tests.registry.local_registry import LocalRegistry
from tests.report.finished_project import ROOT
from tests.report.reading import PageReader

NOW = "2026-11-29T00:10:00+00:00"
HARM = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def event(what: str, day: int, by: str = "ann", reason: str = "better") -> dict[str, str]:
    return {"event": what, "at_utc": f"2026-11-{day:02}T03:00:00Z", "by": by, "reason": reason}


def tags(figure: float, outcome: str, *events: dict[str, str], **others: str) -> dict[str, str]:
    return {
        "ratchet.metrics": json.dumps({"accuracy": figure, "rows": 400}),
        "ratchet.outcome": outcome,
        "ratchet.reason": f"because of {figure}",
        "ratchet.history": json.dumps(events),
        **{f"ratchet.{key}": value for key, value in others.items()},
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def page(home: Path, registry: LocalRegistry) -> str:
    return render_champions(home, registry.store, registry.reader, NOW).decode()


def test_a_version_is_shown_with_its_figure_verdict_reason_person_and_a_link_to_its_run(
    home: Path, registry: LocalRegistry
) -> None:
    kept = home / "runs" / "r 1" / "attempts" / "2" / "reports" / "index.html"
    kept.parent.mkdir(parents=True)
    kept.write_text("")
    registry.add(1, "sha256:1", tags=tags(0.8, "promote", event("registered", 1), event("promoted", 1), run="r 1"))
    registry.add(
        2,
        "sha256:2",
        tags=tags(0.7, "refuse", event("registered", 2, "ben"), event("promoted by hand", 3, "cyd", "must go out")),
        aliases=["champion"],
    )
    said = page(home, registry)
    for expected in ("was champion", "because of 0.8", "champion, by hand", "0.7000", ">ben<", "by cyd: must go out"):
        assert expected in said
    assert '<a href="../runs/r%201/attempts/2/reports/index.html">r 1</a>' in said
    assert "★ v2</b> is champion since 2026-11-03 03:00:00 UTC, by cyd" in said


def test_a_promotion_by_hand_says_which_anchor_stays_who_left_it_and_why(home: Path, registry: LocalRegistry) -> None:
    first = {**event("promoted", 1), "anchor": "1 sha256:1"}
    second = {**event("promoted by hand", 2, "cyd", "must go out"), "anchor": "1 sha256:1"}
    registry.add(1, "sha256:1", tags=tags(0.8, "promote", first, anchor="1 sha256:1"))
    registry.add(2, "sha256:2", tags=tags(0.7, "refuse", second, anchor="1 sha256:1"), aliases=["champion"])
    said = page(home, registry)
    assert "by cyd: must go out (the anchor stays v1)" in said
    assert "Candidates are held to anchor v1: it stayed when cyd promoted v2 by hand: must go out." in said


def test_an_alias_that_another_tool_has_moved_is_told_with_what_a_person_can_do(
    home: Path, registry: LocalRegistry
) -> None:
    registry.add(1, "sha256:1", tags=tags(0.8, "promote", anchor="1 sha256:1"), aliases=["champion"])
    registry.add(2, "sha256:2", tags=tags(0.9, "promote", anchor="2 sha256:2"))
    registry.tag("pets", "ratchet.last_champion", "2 sha256:2")
    said = page(home, registry)
    assert "Nobody is compared, and nothing is promoted: another tool has moved the alias" in said
    assert "Candidates are held to anchor v2: the champion that was last proven better" in said


def test_every_model_of_the_registry_is_there_also_without_champion_and_without_anything_of_ours(
    home: Path, registry: LocalRegistry
) -> None:
    registry.add(1, "sha256:1", name="a", tags=tags(0.8, "refuse", event("registered", 1)))
    registry.add(1, name="b")
    read = PageReader(page(home, registry).encode())
    assert {"section"} <= set(read.elements)
    said = page(home, registry)
    assert said.count("No version is champion.") == 2
    assert "No version has a figure to draw." in said


def test_nothing_registered_is_said(home: Path, registry: LocalRegistry) -> None:
    assert "Nothing has been registered yet." in page(home, registry)


@pytest.mark.parametrize("damage", ["{", "[1]", '{"accuracy": "x"}', '{"accuracy": NaN}', "null", '"x"'])
@pytest.mark.parametrize("tag", ["metrics", "history", "rolled_back"])
def test_a_damaged_tag_takes_at_most_its_own_version_with_it(
    home: Path, registry: LocalRegistry, tag: str, damage: str
) -> None:
    registry.add(1, "sha256:1", tags=tags(0.8, "promote", event("registered", 1)))
    registry.add(2, "sha256:2", tags={**tags(0.9, "promote"), f"ratchet.{tag}": damage}, aliases=["champion"])
    said = page(home, registry)
    assert "because of 0.8" in said
    assert "★ v2</b> is champion" in said


def test_nothing_that_was_read_becomes_markup_or_leads_anywhere_else(home: Path, registry: LocalRegistry) -> None:
    harmful = {key: value + HARM for key, value in event("registered", 1).items()}
    values = {
        "ratchet.metrics": json.dumps({"accuracy" + HARM: 0.5}),
        "ratchet.history": json.dumps([harmful, event("promoted by hand", 2, HARM, HARM)]),
        "ratchet.reason": HARM,
        "ratchet.run": "../../" + HARM,
        "ratchet.photograph": HARM,
    }
    registry.add(1, "sha256:1", name=HARM, tags=values, aliases=["champion"])
    said = page(home, registry)
    read = PageReader(said.encode())
    assert "script" not in read.elements
    assert "img" not in read.elements
    assert "default-src 'none'" in said


def test_a_server_has_a_page_for_each_version_and_its_address_no_credentials() -> None:
    assert page_of_version("http://mlflow:5000/team", "a b/c", 3) == (
        "http://mlflow:5000/team/#/models/a%20b%2Fc/versions/3"
    )
    assert page_of_version("local", "a", 3) == page_of_version("http://mlflow", "a", None) == ""


def plotted(*figures: float) -> list[Plotted]:
    return [Plotted(n, f"2026-11-{n:02}", figure, "promoted", "") for n, figure in enumerate(figures, 1)]


def moved(*versions: tuple[int, int]) -> list[Move]:
    return [Move(f"2026-11-{day:02}", version) for day, version in versions]


def test_the_line_steps_when_the_alias_moves_forth_and_back() -> None:
    chart = chart_of(plotted(0.5, 0.7), moved((1, 1), (2, 2), (3, 1)), champion=1)
    assert chart is not None
    first, second = chart.marks
    assert chart.line == (
        f"M{first.x} {first.y}H{second.x}V{second.y}H{(second.x + second.x - first.x):.1f}V{first.y}H{chart.right}"
    )
    assert first.y > second.y


def test_the_line_ends_at_the_champion_that_another_tool_has_made() -> None:
    chart = chart_of(plotted(0.5, 0.7), moved((1, 1)), champion=2)
    assert chart is not None
    assert chart.line.endswith(f"V{chart.marks[1].y}H{chart.right}")


@pytest.mark.parametrize("figures", [(0.5,), (0.0, 0.0), (-1e300, 1e300), (1e-12, 2e-12)])
def test_any_figures_have_a_place_on_the_chart(figures: tuple[float, ...]) -> None:
    chart = chart_of(plotted(*figures), [], champion=None)
    assert chart is not None
    assert all(0 <= mark.y <= chart.bottom and chart.left <= mark.x <= chart.right for mark in chart.marks)
    assert len({tick.text for tick in chart.figures}) > 1


def test_of_very_many_moments_the_latest_are_drawn_and_the_rest_is_counted() -> None:
    many = [Plotted(n, f"{n:06}", 0.5, "refused", "") for n in range(1000)]
    chart = chart_of(many, [Move("000001", 1)], champion=1)
    assert chart is not None
    assert (len(chart.marks), chart.left_out) == (120, 880)
    assert chart.line.startswith("M")


@pytest.mark.long
def test_it_is_written_into_the_projects_folder_without_mlflow_and_tensorflow(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.runs.champions_page import write_champions;"
        "write_champions(Path.cwd()); print(sorted({'mlflow', 'tensorflow', 'sqlalchemy'} & sys.modules.keys()))"
    )
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=variables, capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert "Nothing has been registered yet." in (project / CHAMPIONS_FILE).read_text()


def test_a_registry_that_cannot_be_read_is_a_warning(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "registry").mkdir()
    (project / "registry" / "mlflow.db").write_text("certainly no database")
    write_champions(project)
    assert capsys.readouterr().err.startswith(f"warning: {CHAMPIONS_FILE} is not brought up to date: model registry")
    assert not (project / CHAMPIONS_FILE).exists()
