"""Whatever is missing or damaged, there is a page; it says what is wrong and takes nothing for a promotion."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.report.reading import shown

PARTS = [
    "params.yaml",
    "dvc.lock",
    "models",
    "data",
    "data/raw",
    "data/quarantine",
    "data/split",
    "data/prepared/validation",
    "reports",
    "reports/verdict.json",
    "reports/registration.json",
    "reports/metrics.json",
    "reports/run.json",
    "reports/plots",
    "reports/plots/roc.svg",
    "reports/predictions",
    "reports/predictions/validation",
    "reports/contracts/raw",
]
ROOT = Path(__file__).parents[2]
RECORDS = ["verdict.json", "registration.json", "metrics.json", "run.json", "contracts/raw/result.json"]


@pytest.mark.long
@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_does_not_take_the_others_with_it(project: Path, part: str) -> None:
    path = project / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert "Made by Ratchet" in shown(project)


@pytest.mark.long
@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_record_is_named(project: Path, name: str) -> None:
    (project / "reports" / name).write_bytes(b'{"outcome": 3, "stages": 3}')

    assert f"{Path(name).name}: " in shown(project)


def test_a_damaged_verdict_is_never_taken_for_a_promotion(project: Path) -> None:
    (project / "reports" / "verdict.json").write_bytes(b"{")
    text = shown(project)

    assert "■ Unreadable" in text
    assert "✓ Promote" not in text


@pytest.mark.long
@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ("reports/predictions/validation/part-00000.parquet", "do not match the digest"),
        ("reports/predictions/validation/manifest.json", "not valid JSON"),
        ("data/prepared/validation/manifest.json", "no pictures"),
        ("data/raw/manifest.json", "manifest.json: not valid JSON"),
        ("reports/plots/roc.svg", "the picture is not SVG"),
        ("params.yaml", "params.yaml"),
        ("models/candidate/architecture.json", "○ Out of date"),
        ("dvc.yaml", "■ Unreadable The graph cannot be read: dvc.yaml"),
    ],
)
def test_a_damaged_file_is_said(project: Path, damaged: str, said: str) -> None:
    (project / damaged).write_bytes(b"\x00damaged")

    assert said in shown(project)


def test_a_project_without_a_run_has_not_been_judged(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    text = shown(tmp_path)

    assert "○ Not judged yet" in text
    assert "Not evaluated yet." in text
    assert "Not checked yet." in text
    assert "No data has been taken in yet." in text


def test_rows_that_are_lost_on_the_way_are_marked(project: Path) -> None:
    shutil.copy(project / "data" / "split" / "manifest.json", project / "data" / "raw" / "manifest.json")

    assert "✗ do not add up" in shown(project)
