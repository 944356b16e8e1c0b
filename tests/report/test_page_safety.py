"""The page loads nothing and runs nothing, whatever was read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.report.page import render
from pipeline.storage.manifests import read_manifest, write_manifest
from tests.report.reading import PageReader

HARM = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
RECORDS = [
    "verdict.json",
    "registration.json",
    "metrics.json",
    "run.json",
    "contracts/raw/result.json",
    "card/model_card.json",
    "exports.json",
]
FREE_KEYS = (
    "kwargs",
    "observed",
    "slices",
    "class",
    "overrides",
    "facts",
    "refused",
)  # what they hold has keys of the user's


BOUND = ("outcome", "primary")  # one of a few words, or the name of something beside it


def poisoned(value: Any, *, has_free_keys: bool = False) -> Any:
    """Add harm to every text that a record is free to hold."""
    if isinstance(value, dict):
        return {
            key + HARM * has_free_keys: one if key in BOUND else poisoned(one, has_free_keys=key in FREE_KEYS)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [poisoned(one) for one in value]
    return value + HARM if isinstance(value, str) else value


def poison(project: Path) -> None:
    for name in RECORDS:
        path = project / "reports" / name
        path.write_text(json.dumps(poisoned(json.loads(path.read_bytes()))))
    recipe = yaml.safe_load((project / "params.yaml").read_bytes())
    recipe["name"] += HARM
    recipe["model"]["settings"][HARM] = HARM
    (project / "params.yaml").write_text(yaml.safe_dump(recipe))
    for folder, counts in {
        project / "reports" / "predictions" / "validation": {"classes": [HARM, "coat" + HARM, "bag", "shirt"]},
        project / "data" / "quarantine": {"rejected": {HARM: 15}},
    }.items():
        manifest = read_manifest(folder, verify=False)
        write_manifest(folder, manifest.changed(counts={**manifest.counts, **counts}))


def test_nothing_that_was_read_becomes_markup(project: Path) -> None:
    poison(project)

    page = render(project)
    read = PageReader(page)

    assert "script" not in read.elements
    assert read.elements.count("img") == page.count(b"data:image/png;base64,") == 24 + 2 * 12
    assert not [name for name, _ in read.attributes if name.startswith("on")]


def test_text_that_looks_like_markup_is_shown_as_text(project: Path) -> None:
    poison(project)
    text = PageReader(render(project)).text

    assert "cannot be" not in text  # every poisoned file was read
    for said in ("v4 is champion, in place of v3", "cross-entropy 0.41 is at most 0.6", "boot", "train.epochs", "raw"):
        assert f"{said}<script>alert('x')</script>" in text


def test_the_page_loads_nothing_and_forbids_itself_to(whole_project: Path) -> None:
    page = render(whole_project)
    addresses = [
        value for name, value in PageReader(page).attributes if name in ("src", "href", "xlink:href", "action")
    ]

    assert all(re.match(r"data:|#|contracts/|champions\.html$", address) for address in addresses)
    assert not re.search(rb"https?://|@import|<script|<link rel=\"stylesheet|url\((?!#)", page)
    assert b"default-src 'none'" in page


def test_ids_of_inlined_pictures_do_not_clash(whole_project: Path) -> None:
    read = PageReader(render(whole_project))
    ids = [value for name, value in read.attributes if name == "id"]
    references = {value[1:] for name, value in read.attributes if name == "href" and value.startswith("#")}

    assert len(ids) == len(set(ids))
    assert references <= set(ids)


@pytest.mark.long
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
