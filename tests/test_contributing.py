"""CONTRIBUTING.md is true: each function of the reader's walk is there, and all that a slot's file may have is told."""

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


@pytest.mark.long
@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_each_step_of_the_walk_is_where_it_says(file: str, name: str) -> None:
    path = ROOT / file if file.startswith("dags/") else ROOT / "pipeline" / file
    assert name in names_in(path)


# -- what a file of a slot may have: whatever the code looks for in one

OPTIONAL = (ROOT / "CONTRIBUTING.md").read_text().partition("| slot | may have |")[2].partition("\n\n")[0]
LOOKED_INTO = re.compile(r"member|^file$|^kind$|^kind_of\(|^module$|\.settings\(")
EVERY_FILE_HAS = {"Settings", "Task"}


def looked_for() -> set[str]:
    """Return the names that the code looks for, by getattr and hasattr, in a slot's file or in its settings."""
    found = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        tree = ast.parse(path.read_bytes())
        texts = dict(constant for node in tree.body if isinstance(node, ast.Assign) for constant in constants(node))
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in ("getattr", "hasattr") and LOOKED_INTO.search(ast.unparse(node.args[0])):
                name = node.args[1]
                value = texts.get(name.id) if isinstance(name, ast.Name) else getattr(name, "value", None)
                found |= {value} if isinstance(value, str) else set()
    return found - EVERY_FILE_HAS


def constants(node: ast.Assign) -> list[tuple[str, object]]:
    """Return the names that a module gives to texts."""
    target, value = node.targets[0], node.value
    are_many = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
    pairs = zip(target.elts, value.elts, strict=True) if are_many else [(target, value)]
    return [
        (name.id, each.value) for name, each in pairs if isinstance(name, ast.Name) and isinstance(each, ast.Constant)
    ]


@pytest.mark.long
def test_whatever_a_slot_s_file_may_have_is_told() -> None:
    names = looked_for()
    assert {"copies_of", "TARGET", "learn", "recognise", "asks", "fewest_rows"} <= names
    assert sorted(name for name in names if not re.search(rf"`{name}\b", OPTIONAL)) == []
