"""Recipes that nobody should write: made by type and by key over the whole recipe, every slot's members included.

`make hostile` gives some hundreds of them to `ratchet run`, each in a process of its own:

    python -m tests.recipe.hostile --count 300

It prints a table of the exit codes and the slowest, and exits with 1 if one did not end as it must.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.recipe.resolving import checked, complete
from pipeline.recipe.settings import copied, set_dotted
from pipeline.recipe.slots import Slot
from pipeline.recipe.strict_yaml import dump_yaml, parse_yaml
from tests.recipe.conftest import SLOTS

LONGEST_S = 3.0
LONGEST_LINE = 300  # characters
EXIT_CODES = (2, 65, 74)
# What a recipe that happens to be valid is refused for, last of all before a run begins: the registry.
CLOSED = "registry/closed.db"
LOCK = (".ratchet", ".ratchet/run.lock")
PYTHONS_WORDS = re.compile(
    r"[Ii]nput should|instance of|valid (tuple|integer|number|string|dictionary|list|boolean)|"
    r"\b(tuple|dict|dictionary|None|True|False|NoneType|object at|\w+Error|\w+Exception)\b|<class|Value error|Traceback"
)
_SLOT_AT: Mapping[str, Slot] = dict(
    zip(
        ("task", "data.source", "data.features.image", "augment.steps.0", "model", "train.loss", "train.optimizer",
         "train.schedule"),
        SLOTS,
        strict=True,
    )
)  # fmt: skip
_WHOLE = st.sampled_from([0, 1, -1, 2, 3, 7, 255, 2**31, 2**53, 2**63, -(2**63), 2**200, 10**300]) | st.integers()
_REAL = st.sampled_from([0.0, -0.0, 0.5, 1.0, 1.5, -1e-9, 5e-324, 1e308, -1e308, 1e-308]) | st.floats()
_CHARACTERS = st.characters(exclude_categories=["Cs"])
_TEXT = st.sampled_from(
    [
        *(
            "",
            " ",
            "\t",
            "a\nb",
            "\x00",
            "\x1b[31m",
            "\u202eabc",
            "🦆",
            "é" * 400,
            "x" * 5000,
            "${seed}",
            "{{a}}",
            "null",
        ),
        *("true", "1e5", "0x1F", "-", "--", "*", "&a", "!x", "~", "#", "a: b", "%s%n", "' ; ls", "$(ls)", "../../x"),
    ]
) | st.text(_CHARACTERS, max_size=30)
_SCALAR = (
    st.none() | st.booleans() | _WHOLE | _REAL | _TEXT | st.sampled_from([date(2026, 11, 22), datetime(2026, 1, 1)])
)
_DEEP = st.integers(2, 180).map(lambda depth: json.loads("[" * depth + "]" * depth))
_ANY = _SCALAR | _DEEP | st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXT, inner, max_size=5), max_leaves=12
)  # fmt: skip
_PATHS = (
    *(".", "..", "/", "/dev", "/dev/null", "/dev/zero", "/proc", "~", "dvc.yaml", "params.yaml", "data", "data/raw"),
    *("reports", "models/candidate", ".git", ".ratchet", ".dvc", "pipeline", "no/where", "x" * 300, "a/" * 2000, "-"),
    *("digits/", "./digits", "digits/../digits", "digits\x00", "digits//", " digits", "digits/train-labels", "runs"),
)
_BY_KEY: Mapping[str, tuple[Any, ...]] = {
    "path": _PATHS,
    "contracts": (*_PATHS, "data_contracts", "data_contracts/other"),
    "name": ("../evil", "a" * 64, "__init__", "os", "Adam", "adam.py", "adam ", "class", "self", "1a", "ä", "a.b", "_"),
    "kind": ("../image", "__init__", "Image", "imgae", "image.py", "text"),
    "classes": ([0, 1], [True, False], [""] * 2, ["a", "a"], ["a", " a"], [" ", "a"], [[], []], ["x"] * 10_001),
    "as_of": ("2026-02-30", "0000-00-00", "2026-1-1", "tomorrow", date(2026, 11, 22), "2026-11-22T10:00"),
    "features": ({}, {"self": "image"}, {"id": "image"}, {"a": "image", "a_bytes": "image"}, {"image": None}),
    "steps": (["warp"] * 33, [[]], [{}], ["wrap"], [{"name": "noise"}], "warp"),
    "method": ("Source", "random", "hash", "stratified"),
    "slices": ({"class": {"bag": {}}}, {"colour": {}}, {"class": {"digit 0": {"minimum": {"recall": 2}}}}),
    "minimum": ({}, {"accuracy": 2.0}, {"accuracy": -1}, {"cross_entropy": 0.1}, {"acuracy": 0.5}),
    "maximum": ({"accuracy": 0.5}, {"cross_entropy": 1e308}, {"cross_entropy": -1}),
    "epochs": (0, 10**9, 1e3, "8", True),
    "batch_size": (0, 1, 3, 511, 65_537, 2**40),
    "virtual_workers": (0, 3, 512, 65_537, True),
    "warmup_epochs": (1e308, 5e-324, -0.0, True),
    "channels": (True, False, 1.0, 2, "1"),
    "filters": ([4096] * 8, [1] * 8, [2**31], [True], []),
    "units": ([65_536] * 16, [0], [1.0]),
    "dense": (65_536, 0, 1.0),
}


def _places(values: Any, prefix: str = "") -> Iterator[str]:
    entries = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for key, inner in entries:
        place = f"{prefix}.{key}".strip(".")
        yield place
        yield from _places(inner, place)


@dataclass(frozen=True)
class Hostile:
    """A recipe, and how it comes: as the text of `params.yaml`, of a config, or as `--set` words beside the file."""

    params: bytes | None = None
    config: bytes | None = None
    words: tuple[str, ...] = ()

    def write(self, root: Path) -> list[str]:
        """Write it into a project; return the words of its command."""
        words = ["run", *self.words]
        if self.params is not None:
            (root / "params.yaml").write_bytes(self.params)
        if self.config is not None:
            (root / "configs" / "hostile.yaml").write_bytes(self.config)
            words += ["--config", "configs/hostile.yaml"]
        return words


@st.composite
def recipes(draw: st.DrawFn, base: Mapping[str, Any]) -> Hostile:
    """Draw a recipe of which one to three places are others: a value, a key, a group, an entry, a slot's member."""
    values = copied(base)
    for key, slot in _SLOT_AT.items():
        if draw(st.integers(0, 9)) == 0:
            label = "kind" if key == "data.features.image" else "name"
            set_dotted(values, key, {label: draw(st.sampled_from(slot.names()))})
    said: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(sorted(_places(values))))
        group, _, key = place.rpartition(".")
        value = draw(st.sampled_from(_BY_KEY[key]) if key in _BY_KEY and draw(st.booleans()) else _ANY)
        if draw(st.integers(0, 4)) == 0 and not key.isdecimal():
            key = draw(st.sampled_from([key + "s", key[:-1] or "x", key.upper(), "", "settings", "name"]) | _TEXT)
            place = f"{group}.{key}".strip(".") if "." not in key else f"{group}.x".strip(".")
        set_dotted(values, place, value)
        said[place] = value
    way = draw(st.integers(0, 5))
    if way == 0:
        pairs = (f"{place}={json.dumps(value, default=str):.90000}" for place, value in said.items())
        pairs = (pair.replace("\x00", "") for pair in pairs)  # no word of a command can have one
        return Hostile(words=tuple(word for pair in pairs for word in ("--set", pair)))
    if way == 1:
        return Hostile(config=dump_yaml({"recipe": values}))
    content = dump_yaml(values)
    if way == 2:
        at = draw(st.integers(0, len(content)))
        odd = draw(
            st.sampled_from([b"\t", b"\xff", b"[" * 60_000, b"- ", b": ", b"'", b"{", b"\n---\n", b"&a ", b"? "])
        )
        content = content[:at] + odd + content[at + draw(st.integers(0, 30)) :]
    return Hostile(params=content)


def by_key(base: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every place of a recipe whose key has hostile values of its own, with each; and every choice without name.

    Those of the many names are left to chance.
    """
    for place in _places(base):
        key = place.rpartition(".")[2]
        for value in _BY_KEY.get(key, ()) if key not in ("name", "kind") else ():
            yield place, value
    yield from ((place, {}) for place in _SLOT_AT)


def close_registry(root: Path) -> None:
    """Let a project's registry be a file that is none: a recipe that happens to be valid does not begin to work."""
    path = root / CLOSED
    path.parent.mkdir(exist_ok=True)
    path.write_text("no database\n" * 100)
    execution = parse_yaml(root / "execution.yaml")
    execution["mlflow"]["uri"] = f"sqlite:///{CLOSED}"
    (root / "execution.yaml").write_bytes(dump_yaml(execution))


def photograph(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of everything in a project but the lock that any run holds."""
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__"]  # what Python keeps of code it has read
        for name in (*folders, *files):
            path = Path(folder, name)
            if (place := str(path.relative_to(root))) not in LOCK:
                status = path.lstat()
                found[place] = status.st_size, status.st_mtime_ns
    return found


def complaints(code: int, out: str, err: str, took_s: float, longest_s: float = LONGEST_S) -> list[str]:
    """Return what is wrong with the way in which a command has refused a recipe."""
    said = err.strip("\n")
    wrong = {
        f"exit code {code}": code not in EXIT_CODES,
        "not one line": "\n" in said or not said.startswith("ratchet: "),
        f"{len(said)} characters": len(said) > LONGEST_LINE,
        "something on standard output": bool(out),
        f"{took_s:.1f} s": took_s > longest_s,
        "words of Python": PYTHONS_WORDS.search(re.sub(r"'[^']*'", "''", said)) is not None,
    }
    return [what for what, is_so in wrong.items() if is_so]


def base_of(root: Path) -> dict[str, Any]:
    """Return the recipe that stands in a project, with every default written out."""
    return complete(checked(parse_yaml(root / "params.yaml"), "params.yaml"))


def draw_recipes(base: Mapping[str, Any], count: int, seed: int) -> list[Hostile]:
    """Return as many different recipes as asked for, the same ones for the same seed."""
    drawn: dict[Hostile, None] = {}

    @hypothesis.seed(seed)
    @settings(max_examples=2 * count, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
    @given(recipes(base))
    def collect(recipe: Hostile) -> None:
        drawn.setdefault(recipe)

    collect()
    return list(drawn)[:count]


def _campaign(root: Path, count: int, seed: int) -> int:
    from tests.system.project import make_project

    project = make_project(root)
    close_registry(root)
    params = (root / "params.yaml").read_bytes()
    codes: Counter[str] = Counter()
    times: list[tuple[float, str]] = []
    failures = 0
    for recipe in draw_recipes(base_of(root), count, seed):
        (root / "params.yaml").write_bytes(params)
        shutil.rmtree(root / "configs", ignore_errors=True)
        (root / "configs").mkdir()
        words = recipe.write(root)
        before, begun = photograph(root), time.monotonic()
        with project.start("ratchet", *words) as process:
            try:
                out, err = process.communicate(timeout=10 * LONGEST_S)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
        took_s = time.monotonic() - begun
        wrong = complaints(process.returncode, out, err, took_s)
        wrong += [f"changed: {sorted(changed)[:3]}" for changed in [_changes(before, photograph(root))] if changed]
        is_valid = CLOSED in err
        codes[f"{process.returncode}{' (a valid recipe: stopped by the closed registry)' if is_valid else ''}"] += 1
        times.append((took_s, err.strip()[:120]))
        if wrong:
            failures += 1
            print(f"{', '.join(wrong)}: {words[:4]!s:.200}\n    {err.strip()[-400:]}", flush=True)
    print(f"\n{len(times)} recipes, each in a process of its own, seed {seed}; {failures} did not end as they must")
    print("recipes  exit code")
    for text, number in codes.most_common():
        print(f"{number:7}  {text}")
    print("the slowest, seconds")
    for took_s, line in sorted(times, reverse=True)[:5]:
        print(f"{took_s:7.2f}  {line}")
    return int(failures > 0)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    return {name for name, _ in before.items() ^ after.items()}


def main() -> int:
    """Give hostile recipes to real processes; return the exit code."""
    parser = argparse.ArgumentParser(description="hostile recipes, each in a real `ratchet run`")
    parser.add_argument("--count", type=int, default=300, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="which")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        return _campaign(Path(folder) / "project", options.count, options.seed)


if __name__ == "__main__":
    sys.exit(main())
