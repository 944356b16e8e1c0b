"""The text of a drafted config."""

from __future__ import annotations

from pathlib import Path

from pipeline.drafting.config import Draft, config_text
from pipeline.recipe.configs import Config
from pipeline.recipe.settings import validate
from pipeline.recipe.strict_yaml import parse_yaml_text

LONG = [f"class number {number}" for number in range(9)]
RECIPE = {
    "name": "leaves",
    "data": {"source": "image_folder", "classes": ["0", "no", "1e5", "oak", "12:30", "ash, grey", "é"]},
    "augment": {"copies": 1, "steps": [{"name": "warp", "settings": {"flip": 0.5, "shift": 0.08}}] * 3},
    "gate": {"minimum": {"accuracy": 0.5}, "maximum": {}},
}


def text(**reasons: str) -> str:
    return config_text(Draft("leaves", "leaves: 3 rows", RECIPE, reasons, ("is it so?",)))


def test_it_is_read_back_as_it_was_meant_classes_that_look_like_numbers_too() -> None:
    config = validate(Config, parse_yaml_text(text(), "draft"), "draft")
    assert config.recipe == RECIPE
    assert config.schedule is None


def test_the_whole_of_a_draft() -> None:
    drafted = text(augment="so it is, " + "word " * 30, **{"gate.minimum": "at least that, " + "x" * 4 + " word" * 18})
    assert drafted == Path(__file__).with_name("drafted").joinpath("config.yaml").read_text()


def test_what_does_not_fit_stands_on_lines_of_its_own_and_a_scalar_on_its_key_s() -> None:
    recipe = {"name": "x " * 60, "none": {}, "data": {"classes": LONG}}
    lines = config_text(Draft("leaves", "leaves", recipe, {"data.classes": "a " * 60})).splitlines()
    assert lines[lines.index("recipe:") + 1 :] == [
        f'  name: "{recipe["name"]}"',
        "  none: {}",
        "  data:",
        f"    # {'a ' * 52}a",
        f"    # {'a ' * 6}a",
        "    classes:",
        *(f"      - {name}" for name in LONG),
    ]


def test_each_reason_stands_above_what_it_is_about() -> None:
    lines = text(augment="so it is", **{"gate.minimum": "at least that"}).splitlines()
    assert lines[lines.index("  # so it is") + 1] == "  augment:"
    assert lines[lines.index("    # at least that") + 1] == "    minimum: {accuracy: 0.5}"


def test_what_is_unsure_stands_at_its_top_and_no_comment_is_long() -> None:
    lines = text(augment="word " * 60).splitlines()
    assert "# Unsure: is it so?" in lines[:4]
    assert max(len(line) for line in lines if "#" in line) <= 112
