"""Near-duplicates on the page: pairs of the validation and the training part, and never a test row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa

from pipeline.report.mistakes import png_uri
from pipeline.report.near_duplicates import Near, read_near
from pipeline.report.run_files import read_run_files
from pipeline.storage.artifacts import published_folder
from pipeline.storage.near_duplicates import SCHEMA, write_near_duplicates
from tests.evaluation.made_answers import MadeAnswers
from tests.report.reading import written


def near(project: Path) -> Near:
    found = read_near(read_run_files(project))
    assert found is not None
    return found


def rewrite(project: Path, table: pa.Table, why_not: str = "") -> None:
    with published_folder(project / "data" / "near_duplicates") as folder:
        write_near_duplicates(folder, [table], [], why_not=why_not)


def test_pairs_are_the_most_alike_then_the_least_with_their_own_pixels(
    whole_project: Path, answers: MadeAnswers
) -> None:
    pairs = near(whole_project).pairs
    assert [round(2000 * (1 - pair.likeness)) for pair in pairs] == [*range(6), *range(14, 20)]
    assert pairs[7].pictures == (png_uri(answers.pixels[15]),) * 2
    assert pairs[1].classes == (answers.classes[1], answers.classes[0])
    assert pairs[8].bits == 4


def test_the_figures_are_those_of_the_metrics_by_their_titles(whole_project: Path) -> None:
    report = json.loads((whole_project / "reports" / "metrics.json").read_text())
    found = near(whole_project)
    [accuracy] = [figure for figure in found.figures if figure.title == "accuracy"]
    assert accuracy.all == report["test"]["accuracy"]
    assert accuracy.without == report["without_near_duplicates"]["accuracy"]
    assert (found.rows, found.rows_without) == (400, 393)


def test_single_test_rows_are_never_shown(project: Path, answers: MadeAnswers) -> None:
    row = {"part": "test", "row": 0, "id": answers.ids[0], "label": 0, "bits": 0, "likeness": 1.0}
    row |= {"earlier_part": "train", "earlier_row": 0, "earlier_id": answers.ids[0], "earlier_label": 0}
    rewrite(project, pa.Table.from_pylist([row], schema=SCHEMA))
    shutil.rmtree(project / "data" / "prepared" / "test")
    assert (near(project).pairs, near(project).problem) == ((), "")
    assert "There is no pair to show: no validation row looks like a training row" in written(project)


def test_another_row_than_the_one_looked_at_is_refused(project: Path, answers: MadeAnswers) -> None:
    row = {"part": "validation", "row": 0, "id": answers.ids[0], "label": 0, "bits": 0, "likeness": 1.0}
    row |= {"earlier_part": "train", "earlier_row": 1, "earlier_id": answers.ids[0], "earlier_label": 0}
    rewrite(project, pa.Table.from_pylist([row], schema=SCHEMA))
    assert near(project).problem == "train: row 1 is not the one that was looked at; run again"
    assert "no pictures: train: row 1" in written(project)


def test_where_none_was_looked_for_the_page_says_why(project: Path) -> None:
    rewrite(project, SCHEMA.empty_table(), "all pictures are of one scene")
    assert "Near-duplicates were not looked for: all pictures are of one scene." in written(project)


def test_before_they_are_looked_for_there_are_none(project: Path) -> None:
    shutil.rmtree(project / "data" / "near_duplicates")
    assert read_near(read_run_files(project)) is None
    assert "Not looked for yet." in written(project)


def test_without_figures_the_page_says_that_none_can_be_measured(project: Path) -> None:
    path = project / "reports" / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "without_near_duplicates": None}))
    assert "Without them the test part cannot be measured" in written(project)
