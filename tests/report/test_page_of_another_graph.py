"""The page where dvc.yaml is not the shipped one: it shows what there is, where dvc.yaml says that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.records.manifest import FileEntry, Manifest
from pipeline.report.page import render
from pipeline.storage.manifests import write_manifest
from tests.report.reading import PageReader, written

PARTS = {
    "verdict": "why",
    "metrics": "quality",
    "predictions": "mistakes",
    "plots": "curves",
    "near_duplicates": "near_duplicates",
    "card": "card",
    "exports": "exports",
}


def change(project: Path, act: Any) -> None:
    declared = yaml.safe_load((project / "dvc.yaml").read_text())
    for stage in declared["stages"].values():
        act(stage["meta"])
    (project / "dvc.yaml").write_text(yaml.safe_dump(declared))


def parts_of(project: Path) -> list[str]:
    return [value for name, value in PageReader(render(project)).attributes if name == "href" and value[0] == "#"]


@pytest.mark.long
@pytest.mark.parametrize(("role", "part"), PARTS.items())
def test_what_no_stage_makes_is_left_out(project: Path, role: str, part: str) -> None:
    assert f"#{part}" in parts_of(project)
    change(project, lambda meta: meta.get("makes", {}).pop(role, None))

    written(project)
    assert f"#{part}" not in parts_of(project)


@pytest.mark.long
@pytest.mark.parametrize(("key", "part"), [("rows", "data"), ("contract", "contracts")])
def test_what_no_stage_says_of_itself_is_left_out(project: Path, key: str, part: str) -> None:
    change(project, lambda meta: meta.pop(key, None))

    written(project)
    assert f"#{part}" not in parts_of(project)


def test_without_a_verdict_nothing_is_promoted(project: Path) -> None:
    change(project, lambda meta: meta.get("makes", {}).pop("verdict", None))

    assert "○ Not judged No stage makes a verdict, so nothing has been promoted." in written(project)


def test_rows_that_a_stage_holds_back_stand_in_the_picture_and_in_the_table(project: Path) -> None:
    assert "held back" not in written(project).replace("or held back because it has no label", "")
    declared = yaml.safe_load((project / "dvc.yaml").read_text())
    clean = declared["stages"]["clean"]
    clean["outs"].append("data/unlabelled")
    clean["meta"]["rows"]["held"] = "data/unlabelled"
    (project / "dvc.yaml").write_text(yaml.safe_dump(declared))
    entry = FileEntry(path="part-00000.parquet", rows=7, size_bytes=1, digest="sha256:0")
    write_manifest(project / "data" / "unlabelled", Manifest(rows=7, files=(entry,), columns={"id": "string"}))
    text = written(project)
    assert "7 held back" in text
    assert "in kept rejected held back by reason, by part" in text
    assert "✗ do not add up" in text  # of 1 215 rows, 1 200 are kept and 15 rejected


def test_without_a_registry_nothing_is_said_of_one(project: Path) -> None:
    assert "registry fashion_mnist" in written(project)
    for role in ("registration", "card"):
        change(project, lambda meta, role=role: meta.get("makes", {}).pop(role, None))

    assert "registry" not in written(project)


def test_what_stands_elsewhere_is_found_there(project: Path) -> None:
    declared = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(declared.replace("reports/verdict.json", "reports/judged.json"))
    (project / "reports" / "verdict.json").rename(project / "reports" / "judged.json")

    assert "✓ Promote" in written(project)


def test_a_reference_that_the_recipe_cannot_answer_hides_no_part(project: Path) -> None:
    (project / "params.yaml").write_text("name: another\n")

    assert "✓ Promote" in written(project)


def test_a_drawing_that_the_page_has_no_words_for_is_shown_too(project: Path) -> None:
    (project / "reports" / "plots" / "by_slice.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')

    assert "By slice." in written(project)


def test_a_graph_that_is_damaged_is_the_headline_and_the_reason_of_every_part(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: [")
    text = written(project)

    assert "■ Unreadable The graph cannot be read: dvc.yaml:2: " in text
    assert text.count("✗ cannot be shown: dvc.yaml, which says where it is, cannot be read") == 10
    assert "evaluate 12 000 images, 10 classes" in text  # what needs no graph is there
