"""The first nights of the fortnight (`make fortnight`), on the sample: a first model, a better one, a poisoned one."""

from __future__ import annotations

from pathlib import Path

from pipeline.report.figures import unbroken
from tests.system.fortnight import NIGHTS, SAMPLE, Fortnight


def test_the_first_nights_end_as_they_must_and_each_has_its_line_in_the_ledger(tmp_path: Path) -> None:
    fortnight = Fortnight(tmp_path, SAMPLE)
    seen = [fortnight.spend(night) for night in NIGHTS[:3]]

    assert all(each.is_right for each in seen), seen
    first, better, poisoned = seen
    assert first.champion is not None
    assert better.champion is not None
    assert better.champion > first.champion
    assert poisoned.champion == better.champion
    assert poisoned.reason.startswith("accuracy 0.")
    assert unbroken(poisoned.reason.split(";")[0]) in (fortnight.project.root / "reports" / "index.html").read_text()
    lines = fortnight.ledger()
    assert [(line["number"], line["outcome"]) for line in lines] == [(1, "promote"), (2, "promote"), (3, "refuse")]
    assert [line["moves_anchor"] for line in lines[1:]] == [True, False]
