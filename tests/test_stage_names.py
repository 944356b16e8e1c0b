"""Nothing outside dvc.yaml and pipeline/stages/ names a stage, or a file that a stage makes.

Read from the syntax trees: every string in the code that is not a docstring. Rooms that drive, show or schedule stages
may say neither. The phases' rooms name no stage; they may say a word of the field that is a stage's name, too, and in
an error the data set that it is about.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.graph import covers, load_graph

ROOT = Path(__file__).parents[1]
GRAPH = load_graph(ROOT)
NAMES = {stage.name for stage in GRAPH.stages}
MADE = {path for stage in GRAPH.stages for path in (*stage.outs, *stage.volatile)}
STAGES = ROOT / "pipeline" / "stages"
FILES = [
    path
    for room in ("pipeline", "dags")
    for path in sorted((ROOT / room).rglob("*.py"))
    if path.parent != STAGES or path.name == "context.py"
]

# Words of the field that are names of stages, too.
WORDS = {
    "train": "a part of the data; a group of the recipe",
    "champion": "the alias in the registry; a group of the recipe, and what its checks are called; an asset",
    "normalize": "a former group of the recipe",
    "split": "a group of the recipe",
    "augment": "a group of the recipe",
    "gate": "a group of the recipe",
}
PHASES = {
    *("contracts", "data", "evaluation", "export", "gate", "models", "recipe", "records", "registry", "storage"),
    "training",
}
# Outside of the phases, each with its reason.
SAID = {
    ("dags/derive.py", "champion"): "the asset that a success updates",
    ("pipeline/cli/gate.py", "gate"): "the command",
    ("pipeline/cli/registry.py", "champion"): "the alias",
    ("pipeline/cli/split.py", "split"): "the command",
    **{
        ("pipeline/drafting/writing.py", name): "a group of the recipe that is drafted; train a part, too"
        for name in ("ingest", "split", "augment", "train", "gate")
    },
    **{
        ("pipeline/drafting/table_init.py", name): "a group of the recipe that is drafted; train a part, too"
        for name in ("split", "augment", "train", "gate")
    },
    ("pipeline/drafting/table_choosing.py", "train"): "a share of the recipe that is drafted",
    ("pipeline/drafting/table_suites.py", "train"): "a part of the data",
    ("pipeline/drafting/choosing.py", "train"): "a share of the recipe that is drafted",
    ("pipeline/drafting/suites.py", "train"): "a part of the data",
    ("pipeline/report/flow_picture.py", "train"): "a part of the data, which has a colour",
    ("pipeline/runs/opening.py", "ingest"): "a group of the recipe: whether the source keeps snapshots",
    ("pipeline/registry/card.py", "ingest"): "a group of the recipe: as of when the source was taken",
    ("pipeline/report/champions.py", "champion"): "how a version stands",
    ("pipeline/graph.py", "champion"): "a role: the model in use, by files",
    ("pipeline/runs/freshness.py", "champion"): "that role",
    ("pipeline/runs/preflight.py", "champion"): "that role",
    ("pipeline/report/provenance.py", "champion"): "that role",
    ("pipeline/serving/roles.py", "champion"): "the role of a served version, and its label, as in the registry",
}


def strings_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every string of a file that is not a docstring, with its line."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def is_phase(file: str) -> bool:
    return file.removeprefix("pipeline/").partition("/")[0] in PHASES


def is_word_of(file: str, name: str) -> bool:
    return (file, name) in SAID or (is_phase(file) and name in WORDS)


@pytest.mark.long
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_names_a_stage_or_what_one_makes(path: Path) -> None:
    file = path.relative_to(ROOT).as_posix()
    found = [
        f"{file}:{line}: {text!r}"
        for line, text in strings_of(path)
        if (text in NAMES and not is_word_of(file, text))
        or (not is_phase(file) and any(covers(made, text) for made in MADE))
    ]
    assert found == []


def test_what_is_allowed_is_needed() -> None:
    assert set(WORDS) <= NAMES
    for file, name in SAID:
        assert any(text == name for _, text in strings_of(ROOT / file)), file


def test_a_stages_name_would_be_found() -> None:
    seen = {text for _, text in strings_of(STAGES / "gate.py")}
    assert "reports/verdict.json" in seen
    assert not any("Publish `reports" in text for text in seen)  # a docstring
