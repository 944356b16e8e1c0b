"""Nights as those of the fortnight (`make fortnight`), on few pictures: a first model, and a poisoned one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.report.figures import unbroken
from tests.system.fortnight import NIGHTS, SAMPLE, Fortnight


def test_nights_end_as_they_must_and_each_has_its_line_in_the_ledger(tmp_path: Path) -> None:
    fortnight = Fortnight(tmp_path, SAMPLE)
    poison = replace(NIGHTS[0], name="poisoned", is_poisoned=True, outcome="refused", fails="step")
    seen = [fortnight.spend(night) for night in (NIGHTS[0], poison)]

    assert all(each.is_right for each in seen), seen
    first, poisoned = seen
    assert first.champion is not None
    assert poisoned.champion == first.champion
    assert poisoned.reason.startswith("accuracy 0.")
    assert unbroken(poisoned.reason.split(";")[0]) in (fortnight.project.root / "reports" / "index.html").read_text()
    lines = fortnight.ledger()
    assert [(line["number"], line["outcome"]) for line in lines] == [(1, "promote"), (2, "refuse")]
    assert not lines[1]["moves_anchor"]
