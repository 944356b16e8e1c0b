"""Nothing stale: change any one default in code, and a stage runs again; other words alone, and none does.

Each time the complete recipe is made by a process that reads the changed code.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from compileall import compile_dir
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.changing import apply_overrides
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.resolving import checked, complete
from pipeline.recipe.slots import Slot, choices
from tests.recipe.conftest import ROOT, SLOTS
from tests.recipe.defaults_in_code import Default, defaults_in, literal, with_other_words
from tests.recipe.leaves import at, is_name, leaves, other_values
from tests.recipe.test_nothing_stale import COMPLETE, DECIDES_NOTHING, SHIPPED, runs_again

RECIPE_FILE = ROOT / "pipeline/recipe/recipe.py"
MEMBERS = [(slot, slot.file(name)) for slot in SLOTS for name in slot.names()]

_OTHER_DEFAULTS = {
    "augment.steps": "(Choice(name='warp'),)",
    "gate.maximum": "lambda: {'cross_entropy': 0.5}",
}

# What a recipe must have for all settings of a member to have an effect.
_NEEDS = {"colour": {"data.features.image.settings.channels": 3}}

# Writes what stage resolve would, of the code in the folder it is run in, once for each line of its input: the file to
# write first, its text, the recipe, and whether digests of code are asked for. Each time in a process of its own,
# forked when what stays the same is loaded.
RESOLVE = """
import ast, json, os, sys
import pipeline.recipe.slots, pipeline.recipe.strict_yaml
if "recipe.py" not in sys.argv:
    import pipeline.recipe.resolving  # the files of slots are imported by those that name them
for line in sys.stdin:
    file, text, values, has_code = json.loads(line)
    before = open(file).read()
    open(file, "w").write(text)
    sys.stdout.flush()
    if os.fork() == 0:
        from pathlib import Path
        from pipeline.recipe.code_digest import code_digest
        from pipeline.recipe.resolving import checked, complete, named_files
        recipe = checked(values, "values")
        code = {str(path): code_digest(path) for path in named_files(recipe, Path(".")) if has_code}
        print(json.dumps({"values": complete(recipe), "code": code}), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, file
    open(file, "w").write(before)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    # Valid by content, not by time: a file changed twice in a second is another file each time.
    compile_dir(root / "pipeline", quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return root


def resolve(
    copy: Path, cases: list[tuple[Path, str, dict[str, Any]]], *, has_code: bool = False
) -> list[dict[str, Any]]:
    """Return the complete recipe for each file with another text, and the digests of code, in a copy of the code."""
    lines = [json.dumps([str(file.relative_to(ROOT)), text, values, has_code]) for file, text, values in cases]
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, *{file.name for file, _, _ in cases}],
        input="\n".join(lines),
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# -- defaults in code


def without(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a complete recipe without a key: what it says there is then the default of the code."""
    copied = json.loads(json.dumps(values))
    group = at(copied, key.rpartition(".")[0]) if "." in key else copied
    del group[key.rpartition(".")[2]]
    return dict(copied)


def of_recipe(default: Default) -> str:
    """Return the key that a default in recipe.py is of."""
    prefixes = {
        type(group).__name__: f"{name}."
        for name, group in [
            ("", Recipe.model_validate(COMPLETE)),
            *((name, getattr(Recipe.model_validate(COMPLETE), name)) for name in Recipe.model_fields),
            ("gate.parity", Recipe.model_validate(COMPLETE).gate.parity),
        ]
    }
    return (prefixes.get(default.kind, "gate.") + default.field).removeprefix(".")


def test_every_default_of_the_recipe_decides_and_is_tracked(copy: Path) -> None:
    text = RECIPE_FILE.read_text()
    cases: dict[str, tuple[Path, str, dict[str, Any]]] = {}
    for default in defaults_in(RECIPE_FILE):
        key = of_recipe(default)
        if key in DECIDES_NOTHING or not _is_accepted_by_default(key):
            continue
        cases[key] = (RECIPE_FILE, default.replaced(text, _other_default(key)), without(COMPLETE, key))
    assert {
        "gate.maximum",
        "gate.slices",
        "gate.confidence",
        "gate.parity.tolerance",
        "train.optimizer",
        "ingest.as_of",
    } <= set(cases)
    found = resolve(copy, list(cases.values()))
    for (key, (_, _, values)), changed in zip(cases.items(), found, strict=True):
        before = complete(checked(values, "x"))
        assert at(changed["values"], key) != at(before, key), key
        assert runs_again(before, changed["values"]), key


def _is_accepted_by_default(key: str) -> bool:
    """Whether a recipe without the key is one: of a default that lets no recipe through, nothing comes."""
    try:
        checked(without(COMPLETE, key), "x")
    except UsageError:
        return False
    return True


def _other_default(key: str) -> str:
    value = at(complete(checked(without(COMPLETE, key), "x")), key)
    if key in _OTHER_DEFAULTS:
        return _OTHER_DEFAULTS[key]
    if isinstance(value, dict) and set(value) == {"name", "settings"}:
        name = f"{key}.name"
        other = next(iter(other_values(COMPLETE, name)), None)
        return (
            f"Choice(name={other!r})" if other else f"Choice(name={value['name']!r}, settings={_other_settings(key)})"
        )
    return literal(other_values(COMPLETE, key)[0])


def _other_settings(key: str) -> str:
    setting = next(leaf for leaf in leaves(COMPLETE) if leaf.startswith(f"{key}.settings."))
    return repr({setting.rpartition(".")[2]: other_values(COMPLETE, setting)[0]})


def in_use(slot: Slot, name: str) -> tuple[str, dict[str, Any]]:
    """Return a complete recipe that names a member, and the key of its choice."""
    chosen = [each for each in choices(checked(COMPLETE, "x")) if each.slot == slot]
    key = next((each.key for each in chosen if each.choice.name == name), chosen[0].key)
    label = chosen[0].choice.label
    asked = {f"{key}.{label}": name, **_NEEDS.get(name, {})}
    return key, complete(checked(apply_overrides(COMPLETE, asked, "x"), "x"))


def test_every_default_of_every_member_of_a_slot_decides_and_is_tracked(copy: Path) -> None:
    cases, keys = [], []
    for slot, file in MEMBERS:
        for default in defaults_in(file):
            if default.kind != "Settings":
                continue
            choice, values = in_use(slot, file.stem)
            key = f"{choice}.settings.{default.field}"
            other = literal(other_values(without_default := values, key)[0])
            keys.append((key, without_default))
            cases.append((file, default.replaced(file.read_text(), other), without(values, key)))
    assert len(cases) > 20
    for (key, before), changed in zip(keys, resolve(copy, cases), strict=True):
        now = changed["values"]
        assert at(now, key) != at(complete(checked(without(before, key), "x")), key), key
        assert runs_again(before, {**now, "code": {}}), key


# -- words


def test_other_words_complete_the_same_recipe_with_the_same_digests(copy: Path) -> None:
    [before] = resolve(copy, [(RECIPE_FILE, RECIPE_FILE.read_text(), SHIPPED)], has_code=True)
    named = [
        file
        for slot, file in MEMBERS
        if any(is_name(key) and at(COMPLETE, key) == file.stem for key in leaves(COMPLETE))
    ]
    assert len(named) >= 8
    cases = [(file, with_other_words(file.read_text()), SHIPPED) for file in [RECIPE_FILE, *named]]
    for (file, text, _), after in zip(cases, resolve(copy, cases, has_code=True), strict=True):
        assert text != file.read_text()
        assert after == before, file
