"""The reader's walk in CONTRIBUTING.md is true: each function that it names is where it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WALK = (ROOT / "CONTRIBUTING.md").read_text().partition("## A reader's walk")[2].partition("\n## ")[0]
NAMED = [
    (match[1], name)
    for match in re.finditer(r"`([\w/]+\.py)`((?:[, ]+`[\w.]+`)+)", WALK)
    for name in re.findall(r"`([\w.]+)`", match[2])
]


def names_in(path: Path) -> set[str]:
    """Return the functions, classes and methods (`Class.method`) that a file defines."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found.update(f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef))
    return found


def test_the_walk_has_its_five_ways() -> None:
    assert len(re.findall(r"^\*\*One ", WALK, re.MULTILINE)) == 5
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_each_step_of_the_walk_is_where_it_says(file: str, name: str) -> None:
    path = ROOT / file if file.startswith("dags/") else ROOT / "pipeline" / file
    assert name in names_in(path)
