"""Opening a source: what a database is given in place of a folder's snapshots."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.data.opening import open_source, predicted
from pipeline.data.wanted import Wanted, WantedFeature
from pipeline.errors import UsageError
from pipeline.recipe.recipe import IngestParams
from pipeline.recipe.slots import Choice

AS_OF = "2026-11-01"


@pytest.mark.parametrize("snapshots", [True, False])
def test_a_date_is_the_database_s_to_know_where_nothing_keeps_snapshots(tmp_path: Path, snapshots: bool) -> None:
    (tmp_path / "query.sql").write_text("SELECT 1")
    settings = {"url": "jdbc:sqlite:a.db", "target": "z", "known_at": {"before": ["x"]}, "watermark": {"column": "at"}}
    asked = Wanted(("0", "1"), (WantedFeature("x", "number", "x"),), as_of=date.fromisoformat(AS_OF))
    ingest = IngestParams(as_of=AS_OF, snapshots=snapshots)
    open_source(Choice(name="jdbc", settings=settings), tmp_path, asked, ingest)
    (tmp_path / "a.jsonl").write_text("{}")
    with pytest.raises(UsageError, match=r"ingest\.as_of: "):
        open_source(Choice(name="jsonl", settings={"target": "z"}), tmp_path, asked, ingest)


def test_a_table_says_which_column_is_predicted_and_how_it_is_cut() -> None:
    target = {"column": "arr_delay", "edges": [29.5]}
    assert predicted(Choice(name="csv", settings={"target": target})) == {"target": target}
    assert predicted(Choice(name="jsonl", settings={"target": "z"})) == {"target": {"column": "z", "edges": []}}


@pytest.mark.parametrize("name", ["idx", "image_folder", "text_folder"])
def test_a_source_without_columns_says_nothing_of_them(name: str) -> None:
    assert predicted(Choice(name=name)) == {}
