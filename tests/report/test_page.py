"""The page of a whole run: every part of it, with its figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.report.page import render
from tests.evaluation.made_answers import MadeAnswers
from tests.report.reading import PageReader, edit, shown


@pytest.fixture(scope="module")
def page(whole_project: Path) -> bytes:
    return render(whole_project)


@pytest.fixture(scope="module")
def text(page: bytes) -> str:
    return PageReader(page).text


def test_every_part_of_a_whole_run_is_there(text: str) -> None:
    assert "cannot be shown" not in text
    assert not re.search(r"\bnan\b|None|Undefined", text)
    assert not re.search(r"Not (judged|evaluated|checked) yet", text)


def test_the_drawings_and_the_pictures_of_the_worst_mistakes_stand_in_the_page(page: bytes) -> None:
    assert page.count(b"<svg ") == 7
    assert page.count(b"data:image/png;base64,") == 24 + 2 * 12


def test_every_row_of_the_data_is_accounted_for(text: str) -> None:
    assert "12 exact duplicate" in text
    assert "no id and no content is in two parts" in text
    assert text.count("✓ add up") == 4
    assert "test rows rejected: 2 label outside the declared classes" in text
    assert "exact duplicate 12 train-images.gz: 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110" in text
    assert "label outside the declared classes column label 3 train-images.gz: 120, 130, 140" in text


def test_near_duplicates_are_counted_and_the_figures_without_them_stand_beside(text: str) -> None:
    assert "validation train 20 400 5.00 %" in text
    assert "test train 7 400 1.75 %" in text
    assert re.search(r"accuracy 0\.\d{4} 0\.\d{4} ", text)
    assert "all400 rows" in text.replace(" all 400", "all400")
    assert "393 rows" in text


def test_every_class_has_its_figures(text: str, answers: MadeAnswers) -> None:
    for name in answers.classes:
        assert re.search(rf"{name} 100 (0\.\d{{4}} ){{4}}", text), name


def test_the_contracts_lead_to_the_documents_of_great_expectations(page: bytes) -> None:
    assert b'href="contracts/raw/documents/index.html"' in page
    assert b'href="contracts/prepared/documents/index.html"' in page


def test_the_recipe_is_there_and_what_was_set_for_this_run(text: str, whole_project: Path) -> None:
    recipe = yaml.safe_load((whole_project / "params.yaml").read_text())

    assert "Set for this run alone: train.epochs=8" in text
    assert f"train.learning_rate {recipe['train']['learning_rate']}" in text


def test_rows_with_weights_are_told_to_count_once_in_every_figure(text: str, project: Path) -> None:
    said = "Each row counts once in every figure here and in the gate: its weight, column "
    assert said not in text
    recipe = yaml.safe_load((project / "params.yaml").read_text())
    recipe["data"]["roles"] = {"weight": "<b>passengers"}
    (project / "params.yaml").write_text(yaml.safe_dump(recipe))
    assert f"{said}<b>passengers, says how much is learned from it" in shown(project)


def test_a_training_that_was_not_exact_is_told_as_such(text: str, project: Path) -> None:
    assert "Not exact" not in text
    recipe = yaml.safe_load((project / "params.yaml").read_text())
    recipe["train"]["exact"] = False
    (project / "params.yaml").write_text(yaml.safe_dump(recipe))
    said = PageReader(render(project)).text
    assert "Not exact (train.exact): sums were added in the fastest order, so another number of workers" in said


def test_every_stage_has_its_time_and_how_it_ended(text: str) -> None:
    assert "evaluate 12 000 images, 10 classes 1.0 11.1 88 – – done" in text


def test_the_memory_of_sparks_jvm_stands_beside_the_stages_own(text: str) -> None:
    assert "clean 12 000 images, 10 classes 1.0 5.1 82 1 401 – done" in text


def test_what_the_time_went_into_is_drawn_and_said(page: bytes, text: str) -> None:
    assert page.count(b'<rect class="startup"') == page.count(b'<rect class="work"') == 2 * 12  # stages, whole run
    for words in ("start-up 12.0 s", "work 1 min 31 s", "waiting 3 min 51 s", "in all 5 min 34 s"):
        assert words in text


def test_a_run_that_says_nothing_of_times_has_no_time_line(project: Path) -> None:
    edit(project / "reports" / "run.json", _as_version_3)
    text = shown(project)
    assert "Where the time went" not in text
    assert "cannot be shown" not in text
    assert "evaluate 12 000 images, 10 classes 11.1 done" in text


def _as_version_3(run: dict[str, Any]) -> None:
    run["record_version"] = 3
    for name in [name for name in run if name.endswith("seconds")]:
        del run[name]
    run["stages"] = [{name: stage[name] for name in ("name", "what", "seconds", "outcome")} for stage in run["stages"]]


def test_an_expectation_that_could_not_be_evaluated_says_why(project: Path) -> None:
    edit(
        project / "reports" / "contracts" / "prepared" / "result.json",
        lambda result: result["expectations"][0].update(outcome="error", observed=None, error="no such column"),
    )

    text = shown(project)

    assert "✗ fail table row count to be between" in text
    assert "could not be evaluated: no such column" in text


def test_who_asked_for_the_run_and_why_is_said(project: Path) -> None:
    edit(project / "reports" / "run.json", lambda run: run.update(asked_by="ann", reason="new season"))

    assert "Requested by ann: new season" in shown(project)


def test_the_same_files_give_the_same_page(whole_project: Path) -> None:
    assert render(whole_project) == render(whole_project)
