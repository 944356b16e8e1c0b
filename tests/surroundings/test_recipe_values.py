"""Every value of a recipe survives the way into a run: as our reader and as DVC's reads it there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import load_yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.run import RunRequest
from pipeline.runs import opening
from tests.surroundings.small import Small

AS_SCALARS = (  # what YAML 1.1 or 1.2 reads as something else than text
    *(
        "1e5",
        "1E+5",
        "1e-6",
        ".5",
        "1.",
        "+1",
        "-0",
        "0o17",
        "0O17",
        "017",
        "0x1F",
        "0b1",
        "1_000",
        "1:30",
        "190:20:30",
    ),
    *("no", "No", "off", "y", "Y", "yes", "true", "TRUE", "null", "Null", "~", "", ".nan", ".inf", "-.INF", "=", "<<"),
    *("2026-11-22", "2026-11-22T10:00:00Z", "2001-12-14 21:59:43.10 -5", "0.1.2", "1,000", "NaN", "Infinity"),
)
ODD = (
    *(" leading", "trailing ", "  ", "\t", "tab\there", "a\nb", "\n", "a\r\nb", "a\rb", "trailing\n", "\n\n leading"),
    *(
        "a: b",
        "a:b",
        ":",
        "a #b",
        "#",
        "- a",
        "-",
        "--- ",
        "...",
        "? a",
        "?",
        "[a]",
        "{a}",
        "{{a}}",
        "${seed}",
        "%TAG",
        "@",
    ),
    *(
        "`",
        "&a",
        "*a",
        "!a",
        "!!int 3",
        "|",
        ">",
        "|-",
        "'",
        "''",
        '"',
        "\"'",
        "it's",
        "\\",
        "\\n",
        "a\\",
        "a,b",
        ",",
        "$",
    ),
    *(
        "🦆",
        "👩\u200d🚀",
        "é",
        "e\u0301",
        "学习",
        "\u202eabc",
        "\ufeff",
        "\ufeffa",
        "\u200b",
        "\xa0",
        "\x7f",
        "\x80",
        "\x85",
    ),
    *("\u2028", "a\u2028b", "\u2029", "\x00", "\x07", "\x1b[31m", "\x1f", "\ufffe", "\uffff", "\U0010ffff", "\ue000"),
    *("x" * 129, "x" * 5000, "long words " * 40, "é" * 200, " " * 100 + "x", "a" * 79 + " b", "\n".join("ab" * 40)),
)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(AS_SCALARS + ODD)
NAMES = ANY_TEXT.filter(str.strip)


def distinct(texts: Iterable[str]) -> list[str]:
    """Texts that may be class names beside each other: not blank, and different without their blanks."""
    return list({text.strip(): text for text in texts if text.strip()}.values())


NUMBERS = st.floats(min_value=1e-300, max_value=100) | st.sampled_from([1e-06, 1e-5, 0.1 + 0.2, 5e-324, 100.0, 1.0])


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A project in which nothing is ever run, and that stays as it is."""
    folder = tmp_path_factory.mktemp("values")
    shutil.copytree(template, folder / "project")
    return Small(folder / "project", {"TMPDIR": str(folder)})


def survives(project: Small, overrides: dict[str, Any]) -> None:
    """Open a run with these values; its recipe, there and beside its record, is what was asked for, read by either."""
    number = len(list((project.root / "runs").glob("*")))
    record = opening.open_run(project.root, RunRequest(id=f"r{number}", overrides=overrides), dict(os.environ))
    for folder in (project.root / ".ratchet" / "workspaces" / record.id, project.root / record.folder):
        path = folder / "params.yaml"
        for found in (parse_yaml(path), load_yaml(path), yaml.safe_load(path.read_text())):
            for key, value in overrides.items():
                at: Any = found
                for part in key.split("."):
                    at = at[part]
                assert at == value, key
                assert [type(each) for each in flat(at)] == [type(each) for each in flat(value)], key


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in (key, *flat(inner))]
    return [each for inner in value for each in flat(inner)] if isinstance(value, list) else [value]


def recipe_of(names: list[str], rate: float, seed: int) -> dict[str, Any]:
    bounds = {"minimum": {"f1": max(rate / 1000, 5e-324)}}  # 0 would bound nothing
    return {
        "data.classes": names,
        "seed": seed,
        "train.learning_rate": rate,
        "gate.slices": {"class": dict.fromkeys(names[:20], bounds)},
    }


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(NAMES, min_size=2, max_size=60, unique_by=str.strip),
    rate=NUMBERS,
    seed=st.integers(min_value=0, max_value=2**63 - 1),
)
@example(names=distinct(AS_SCALARS), rate=1e-06, seed=2**63 - 1)
@example(names=distinct(text for text in ODD if len(text) < 1000), rate=1.0, seed=0)
@example(names=distinct([*ODD, *AS_SCALARS]), rate=100.0, seed=1)
def test_every_value_survives_the_way_into_a_run(project: Small, names: list[str], rate: float, seed: int) -> None:
    survives(project, recipe_of(names, rate, seed))


@pytest.mark.parametrize("text", ["1e5", "0o17", "no", "~", "🦆"])
def test_a_class_of_an_odd_name_stays_text(project: Small, text: str) -> None:
    survives(project, {"data.classes": [text, "another"]})


def test_values_that_stand_in_the_file_survive_too(project: Small) -> None:
    path = project.root / "params.yaml"
    before = path.read_text()
    names = "['1e5', \"0o17\", 'no', \"~\", 🦆, \"\\x07\", ' x ', 'a: b', \"a\\nb\"]"
    classes = before[before.index("  classes:") : before.index("  features:")]
    try:
        path.write_text(before.replace(classes, f"  classes: {names}\n"))
        survives(project, {"seed": 5})
        run = max((project.root / "runs").iterdir(), key=lambda folder: int(folder.name[1:]))
        expected = ["1e5", "0o17", "no", "~", "🦆", "\x07", " x ", "a: b", "a\nb"]
        for found in (parse_yaml(run / "params.yaml"), load_yaml(run / "params.yaml")):
            assert list(found["data"]["classes"]) == expected
    finally:
        path.write_text(before)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_text_that_no_file_can_hold_is_refused_in_one_line(project: Small, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        survives(project, {"data.classes": [text, "another"]})
    assert "\n" not in str(caught.value)
    str(caught.value).encode()
