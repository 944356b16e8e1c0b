from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.report.page import number, render

HARM = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
PARTS = [
    "params.yaml",
    "dvc.lock",
    "models",
    "data",
    "data/raw",
    "data/quarantine",
    "data/split",
    "data/prepared/test",
    "reports",
    "reports/verdict.json",
    "reports/registration.json",
    "reports/metrics.json",
    "reports/run.json",
    "reports/plots",
    "reports/plots/roc.svg",
    "reports/predictions",
    "reports/contracts/raw",
]


class Reader(HTMLParser):
    """The elements, the visible text and the addresses of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._stack: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "style":
            self._stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._stack and self._stack[-1] == tag:
            self._stack.pop()
        self.text += " " if tag in ("td", "th", "dt", "dd") else ""

    def handle_data(self, data: str) -> None:
        if not self._stack:
            self.text += data


def shown(root: Path) -> str:
    return " ".join(Reader(render(root)).text.split())


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


def test_the_verdict_comes_first_then_why(whole_project: Path) -> None:
    text = shown(whole_project)

    assert text.index("✓ Promote") < text.index("Accuracy 0.8") < text.index("fashion_mnist v4 is champion")
    assert text.index("fashion_mnist v4 is champion") < text.index("0 of 9 checks failed")
    assert text.index("0 of 9 checks failed") < text.index("share of images classified correctly")


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
            "offending_ids": ["id-1"],
        }

    edit(project / "reports" / "contracts" / "raw" / "result.json", fail)
    text = shown(project)

    assert text.index("■ Stopped The contract on raw data does not hold") < text.index("is an earlier one")
    assert "37 of 800 rows unexpected" in text
    assert "offending ids id-1 and 36 more" in text
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


@pytest.mark.parametrize("change", [{"checks": []}, {"checks": [{"name": "a", "outcome": "fail"}]}])
def test_a_promotion_that_its_checks_do_not_carry_is_not_shown_as_one(project: Path, change: dict[str, Any]) -> None:
    edit(project / "reports" / "verdict.json", lambda verdict: verdict.update(change))
    text = shown(project)

    assert "■ Contradiction" in text
    assert "✓ Promote" not in text


def test_an_expectation_that_could_not_be_evaluated_says_why(project: Path) -> None:
    edit(
        project / "reports" / "contracts" / "prepared" / "result.json",
        lambda result: result["expectations"][0].update(outcome="error", observed=None, error="no such column"),
    )

    assert "✗ fail table row count to be between" in shown(project)
    assert "could not be evaluated: no such column" in shown(project)


def test_every_part_of_a_whole_run_is_there(whole_project: Path, answers: Any) -> None:
    page = render(whole_project)
    text = " ".join(Reader(page).text.split())

    assert page.count(b"<svg ") == 5
    assert page.count(b"data:image/png;base64,") == 24
    assert "12 exact duplicate" in text
    assert "no id and no image stands in two parts" in text
    assert text.count("✓ add up") == 3
    assert b'href="contracts/raw/documents/index.html"' in page
    assert "train.epochs=8" in text
    recipe = yaml.safe_load((whole_project / "params.yaml").read_text())
    assert f"train.learning_rate {recipe['train']['learning_rate']}" in text
    assert "evaluate 12 000 images, 10 classes 11.1 done" in text
    assert all(name in text for name in answers.classes)
    assert "cannot be shown" not in text
    assert not re.search(r"\bnan\b|None|Undefined", text)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_does_not_take_the_others_with_it(project: Path, part: str) -> None:
    path = project / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert "Made by Ratchet" in shown(project)


@pytest.mark.parametrize(
    "name", ["verdict.json", "registration.json", "metrics.json", "run.json", "contracts/raw/result.json"]
)
def test_a_damaged_record_is_named_and_never_taken_for_a_promotion(project: Path, name: str) -> None:
    for content in (b"", b"{", b"[]", b'{"outcome": 3, "stages": 3}', b"\xff\xfe", b"null"):
        (project / "reports" / name).write_bytes(content)
        text = shown(project)

        assert Path(name).name in text
        assert name != "verdict.json" or "✓ Promote" not in text


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        ("reports/predictions/test.parquet", "do not match the digest"),
        ("reports/predictions/manifest.json", "not valid JSON"),
        ("data/prepared/test/manifest.json", "no pictures"),
        ("data/raw/manifest.json", "manifest.json: not valid JSON"),
        ("reports/plots/roc.svg", "the picture is not SVG"),
        ("params.yaml", "params.yaml"),
        ("models/candidate/architecture.json", "✓ Promote"),
    ],
)
def test_a_damaged_file_is_said(project: Path, damaged: str, said: str) -> None:
    (project / damaged).write_bytes(b"\x00damaged")

    assert said in shown(project)


def test_an_empty_folder_has_not_been_judged(tmp_path: Path) -> None:
    text = shown(tmp_path)

    assert "○ Not judged yet" in text
    assert "Not evaluated yet." in text
    assert "Not checked yet." in text
    assert "No data has been taken in yet." in text


def test_rows_that_are_lost_on_the_way_are_marked(project: Path) -> None:
    shutil.copy(project / "data" / "split" / "manifest.json", project / "data" / "raw" / "manifest.json")

    assert "✗ do not add up" in shown(project)


def test_nothing_that_was_read_becomes_markup(project: Path) -> None:
    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {key if key in KEYS else key + HARM: poison(one) for key, one in value.items()}
        if isinstance(value, list):
            return [poison(one) for one in value]
        return value + HARM if isinstance(value, str) else value

    for name in ("verdict.json", "registration.json", "metrics.json", "run.json", "contracts/raw/result.json"):
        path = project / "reports" / name
        path.write_text(json.dumps(poison(json.loads(path.read_bytes()))))
    recipe = yaml.safe_load((project / "params.yaml").read_bytes())
    recipe["name"] += HARM
    recipe["model"]["settings"][HARM] = HARM
    (project / "params.yaml").write_text(yaml.safe_dump(recipe))
    edit_manifest_names(project)

    page = render(project)
    read = Reader(page)

    assert "script" not in read.elements
    assert read.elements.count("img") == page.count(b"data:image/png;base64,") == 24
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert "<script>alert('x')</script>" in read.text


def edit_manifest_names(project: Path) -> None:
    from pipeline.records.manifest import Manifest
    from pipeline.storage.manifests import read_manifest, write_manifest

    for folder, counts in {
        project / "reports" / "predictions": {"classes": [HARM, "coat" + HARM, "bag", "shirt"]},
        project / "data" / "quarantine": {"rejected": {HARM: 15}},
    }.items():
        old = read_manifest(folder, verify=False)
        write_manifest(folder, Manifest(old.rows, old.files, old.schema, counts))


def test_the_page_loads_nothing_and_forbids_itself_to(whole_project: Path) -> None:
    page = render(whole_project)
    addresses = [value for name, value in Reader(page).attributes if name in ("src", "href", "xlink:href", "action")]

    assert all(re.match(r"data:|#|contracts/", address) for address in addresses)
    assert not re.search(rb"https?://|@import|<script|<link rel=\"stylesheet|url\((?!#)", page)
    assert b"default-src 'none'" in page


def test_ids_of_inlined_pictures_do_not_clash(whole_project: Path) -> None:
    read = Reader(render(whole_project))
    ids = [value for name, value in read.attributes if name == "id"]
    references = {value[1:] for name, value in read.attributes if name == "href" and value.startswith("#")}

    assert len(ids) == len(set(ids))
    assert references <= set(ids)


def test_the_same_files_give_the_same_page(whole_project: Path) -> None:
    assert render(whole_project) == render(whole_project)


def test_the_page_is_made_without_heavy_libraries(whole_project: Path) -> None:
    heavy = ["tensorflow", "keras", "pyspark", "great_expectations", "mlflow", "matplotlib", "sklearn", "pandas"]
    script = (
        "import sys, pathlib; from pipeline.report.page import render; render(pathlib.Path(sys.argv[1]));"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(whole_project)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.891, "0.8910"),
        (-0.01, "−0.0100"),
        (2.4e-7, "2.4e−07"),
        (0.0, "0.0000"),
        (12000, "12\u202f000"),
        (True, "yes"),
        (None, "–"),
        ("≥ 0.85", "≥ 0.85"),
        ({"min": 0}, '{"min": 0}'),
    ],
)
def test_figures_are_written_for_people(value: Any, text: str) -> None:
    assert number(value) == text


KEYS = {
    *("outcome", "reason", "checks", "name", "figure", "bound", "sentence", "candidate", "champion", "version"),
    *("digest", "registry", "test", "train", "overfit", "classes", "rows", "accuracy", "macro_precision"),
    *("macro_recall", "macro_f1", "auc", "mcc", "cross_entropy", "calibration_error", "precision", "recall", "f1"),
    *("suite", "expectations", "type", "column", "kwargs", "observed", "offending_ids", "driver", "overrides"),
    *("started_at", "finished_at", "stages", "what", "seconds"),
}
