"""Nothing stale: change any one default in code, and a stage runs again; other words alone, and none does.

Each time the complete recipe is made by a process that reads the changed code.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from compileall import compile_dir
from contextlib import suppress
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.errors import UsageError
from pipeline.recipe.changing import apply_overrides
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.resolving import checked, complete
from pipeline.recipe.slots import Choice, Feature, Slot, choices
from tests.recipe.conftest import ROOT, SLOTS
from tests.recipe.defaults_in_code import Default, defaults_in, literal, with_other_words
from tests.recipe.leaves import at, is_name, leaves, other_values
from tests.recipe.test_nothing_stale import COMPLETE, DECIDES_NOTHING, SHIPPED, runs_again

RECIPE_FILE = ROOT / "pipeline/recipe/recipe.py"
MEMBERS = [(slot, slot.file(name)) for slot in SLOTS for name in slot.names()]

_OTHER_DEFAULTS = {
    "augment.steps": "(Choice(name='warp'),)",
    "gate.maximum": "lambda: {'cross_entropy': 0.5}",
    "outliers": "Outliers(method='zscore', bound=3.0, action='clip')",
}

# Members of slots are in these recipes: those of the configs, and configs with other members put in.
_TABLE = {"target": "arr_delay", "known_at": {"before": ["hour"]}}
_ONE_NUMBER: dict[str, Any] = {
    "data.features": {"hour": {"kind": "number"}},
    "data.roles": {},
    "split": {"method": "hash", "train": 0.6, "validation": 0.1, "test": 0.3},
}
_PUT_IN: list[tuple[str, dict[str, Any]]] = [
    ("fashion_mnist", {}),
    *((file.stem, {}) for file in sorted((ROOT / "configs").glob("*.yaml"))),
    ("fashion_mnist", {"augment.steps": [{"name": "colour"}], "data.features.image.settings.channels": 3}),
    ("flights_delay", {**_ONE_NUMBER, "data.source": {"name": "parquet", "settings": _TABLE}}),
    (
        "flights_delay",
        {
            **_ONE_NUMBER,
            "data.source": {
                "name": "jdbc",
                "settings": {**_TABLE, "url": "jdbc:sqlite:x.db", "watermark": {"column": "hour"}},
            },
            "ingest.as_of": "2026-11-22",
        },
    ),
    ("flights_late", {"augment": {"copies": 1, "steps": [{"name": "jitter", "settings": {"deviation": 0.1}}]}}),
    (
        "spam",
        {
            "data.source": "text_folder",
            "data.features": {"text": {"kind": "text"}},
            "data.roles": {},
            "split.method": "hash",
        },
    ),
    *(
        ("spam", {"data.features": {"text": {"kind": "text"}}, "model": {"name": model}})
        for model in ("text_cnn", "gru", "mlp")
    ),
]
# A table of one number whose recipe says nothing of roles and equal rows.
_PLAIN_TABLE = ("flights_delay", {**_ONE_NUMBER, "data.equal_rows": {}, "data.source.settings.joins": []})
# Defaults that no other value can replace while all else stays.
_NEVER_ALONE = {
    "data.roles.group": "split.method: grouped must follow",
    "feature kind category: fill": "missing: constant must follow",
    "feature kind number: fill": "missing: constant must follow",
    "source jdbc: watermark": "without one there is no recipe",
    "source jdbc: user_variable": "the password's follows",
    "source jdbc: password_variable": "the user's follows",
}


def with_members(name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the complete recipe of a config with other members put in."""
    layers = recipe_layers(ROOT, f"configs/{name}.yaml")
    return complete(checked(apply_overrides(layers.values, asked, "x"), "x"))


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


def groups(group: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the class of each group of keys of a recipe, and the prefix of its keys."""
    yield type(group).__name__, prefix
    for name in type(group).model_fields:
        if isinstance(inner := getattr(group, name), BaseModel) and not isinstance(inner, Choice | Feature):
            yield from groups(inner, f"{prefix}{name}.")


PREFIXES = dict(groups(Recipe.model_validate(COMPLETE)))


def of_recipe(default: Default) -> str:
    """Return the key that a default in recipe.py is of."""
    return PREFIXES.get(default.kind, "gate.") + default.field


def test_every_default_of_the_recipe_decides_and_is_tracked(copy: Path) -> None:
    text = RECIPE_FILE.read_text()
    cases: dict[str, tuple[Path, str, dict[str, Any]]] = {}
    for default in defaults_in(RECIPE_FILE):
        key = of_recipe(default)
        values = with_members(*_PLAIN_TABLE) if key.startswith(("data.roles", "data.equal_rows")) else COMPLETE
        if key in DECIDES_NOTHING or key in _NEVER_ALONE or not _is_accepted_by_default(values, key):
            continue
        cases[key] = (RECIPE_FILE, default.replaced(text, _other_default(values, key)), without(values, key))
    assert {
        "gate.maximum",
        "gate.slices",
        "gate.confidence",
        "gate.parity.tolerance",
        "train.optimizer",
        "ingest.as_of",
        "data.equal_rows.duplicates",
        "data.roles.slices",
    } <= set(cases)
    found = resolve(copy, list(cases.values()))
    for (key, (_, _, values)), changed in zip(cases.items(), found, strict=True):
        before = complete(checked(values, "x"))
        assert at(changed["values"], key) != at(before, key), key
        assert runs_again(before, changed["values"]), key


def _is_accepted_by_default(complete_values: dict[str, Any], key: str) -> bool:
    """Whether a recipe without the key is one: of a default that lets no recipe through, nothing comes."""
    try:
        checked(without(complete_values, key), "x")
    except UsageError:
        return False
    return True


def _other_default(complete_values: dict[str, Any], key: str) -> str:
    value = at(complete(checked(without(complete_values, key), "x")), key)
    if key in _OTHER_DEFAULTS:
        return _OTHER_DEFAULTS[key]
    if isinstance(value, dict) and set(value) == {"name", "settings"}:
        name = f"{key}.name"
        other = next(iter(other_values(complete_values, name)), None)
        return (
            f"Choice(name={other!r})"
            if other
            else f"Choice(name={value['name']!r}, settings={_other_settings(complete_values, key)})"
        )
    return literal(other_values(complete_values, key)[0])


def _other_settings(complete_values: dict[str, Any], key: str) -> str:
    setting = next(leaf for leaf in leaves(complete_values) if leaf.startswith(f"{key}.settings."))
    return repr({setting.rpartition(".")[2]: other_values(complete_values, setting)[0]})


def in_use(slot: Slot, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield complete recipes that name a member, and the key of its choice there."""
    for values in (with_members(*each) for each in _PUT_IN):
        chosen = [each for each in choices(checked(values, "x")) if each.slot == slot]
        named = [each for each in chosen if each.choice.name == name]
        yield from ((each.key, values) for each in named)
        if chosen and not named:
            key = chosen[0].key
            other = {f"{key}.{chosen[0].choice.label}": name, f"{key}.settings": {}}
            with suppress(UsageError):
                yield key, complete(checked(apply_overrides(values, other, "x"), "x"))


def test_every_default_of_every_member_of_a_slot_decides_and_is_tracked(copy: Path) -> None:
    cases, keys, unchanged = [], [], []
    for slot, file in MEMBERS:
        for default in defaults_in(file):
            if default.kind != "Settings":
                continue
            for choice, values in in_use(slot, file.stem):
                key = f"{choice}.settings.{default.field}"
                if others := _not_by_default(values, key):
                    keys.append((key, values))
                    expression = _OTHER_DEFAULTS.get(default.field) or literal(others[0])
                    cases.append((file, default.replaced(file.read_text(), expression), without(values, key)))
                    break
            else:
                unchanged.append(f"{slot.what} {file.stem}: {default.field}")
    assert {*unchanged, "data.roles.group"} == set(_NEVER_ALONE)
    assert len(cases) > 80
    for (key, values), changed in zip(keys, resolve(copy, cases), strict=True):
        before, now = complete(checked(without(values, key), "x")), changed["values"]
        assert at(now, key) != at(before, key), key
        assert runs_again(before, now), key


def _not_by_default(values: dict[str, Any], key: str) -> list[Any]:
    """Return values that a recipe may have at a key and has not by default; none where it needs one."""
    with suppress(UsageError):
        by_default = at(complete(checked(without(values, key), "x")), key)
        return [value for value in (*other_values(values, key), at(values, key)) if value != by_default]
    return []


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
