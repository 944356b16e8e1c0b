"""One file per model: recipe changes on top of the recipe in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.configs import competing, load_config, models, recipe_layers
from pipeline.recipe.resolving import checked

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_config_makes_a_valid_recipe(path: Path) -> None:
    config = load_config(path)
    assert config.description
    layers = recipe_layers(ROOT, f"configs/{path.name}")
    checked(layers.values, layers.where)


def test_a_config_changes_what_it_names_and_nothing_else() -> None:
    plain = recipe_layers(ROOT).values
    full = recipe_layers(ROOT, "configs/fashion_mnist_full.yaml").values
    assert full["data"]["path"] != plain["data"]["path"]
    assert full["data"]["classes"] == plain["data"]["classes"]
    assert full["gate"]["minimum"]["accuracy"] > plain["gate"]["minimum"]["accuracy"]


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("schedul: '@daily'\n")
    with pytest.raises(UsageError, match=r"x\.yaml: unknown key 'schedul' \(did you mean 'schedule'\?\)"):
        load_config(path)


def test_a_config_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'fashion_mnist\.yaml'\?"):
        load_config(ROOT / "configs" / "fashion_mnst.yaml")


def test_configs_that_publish_under_one_name_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "params.yaml").write_text("name: shipped\n")
    for name, text in {"a": "", "b": "recipe: {name: shipped}", "c": "recipe: {name: c}", "d": "recipe: ["}.items():
        (tmp_path / "configs" / f"{name}.yaml").write_text(text)
    assert models(tmp_path) == {
        "configs/a.yaml": "shipped", "configs/b.yaml": "shipped", "configs/c.yaml": "c",
    }  # fmt: skip
    [line] = competing(models(tmp_path))
    assert line.startswith("configs/a.yaml and configs/b.yaml publish under one model name, 'shipped', and so compete")


def test_the_shipped_configs_publish_under_names_of_their_own() -> None:
    assert competing(models(ROOT)) == []
