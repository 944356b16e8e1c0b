"""Whatever a recipe shows of a model that cannot be built is refused with the recipe, before any work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.resolving import checked
from pipeline.recipe.strict_yaml import parse_yaml

ROOT = Path(__file__).parents[3]
IMAGE = {"raw_height": 28, "raw_width": 28, "channels": 1, "height": 28, "width": 28}
NAN, INFINITE = float("nan"), float("inf")

BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("cnn", {"filter": [8]}, "unknown key 'model.settings.filter' (did you mean 'model.settings.filters'?)"),
    ("cnn", {"units": [8]}, "unknown key 'model.settings.units'"),
    ("cnn", {"filters": []}, "model.settings.filters"),
    ("cnn", {"filters": [0]}, "model.settings.filters.0"),
    ("cnn", {"filters": [-8]}, "model.settings.filters.0"),
    ("cnn", {"filters": [8, 4097]}, "model.settings.filters.1"),
    ("cnn", {"filters": [8.5]}, "model.settings.filters.0"),
    ("cnn", {"filters": ["8"]}, "model.settings.filters.0"),
    ("cnn", {"filters": [True]}, "model.settings.filters.0"),
    ("cnn", {"filters": [8] * 9}, "model.settings.filters"),
    ("cnn", {"filters": 8}, "model.settings.filters"),
    ("cnn", {"filters": "8"}, "model.settings.filters"),
    ("cnn", {"filters": {"0": 8}}, "model.settings.filters"),
    ("cnn", {"filters": None}, "model.settings.filters"),
    ("cnn", {"kernel": 0}, "model.settings.kernel"),
    ("cnn", {"kernel": 16}, "model.settings.kernel"),
    ("cnn", {"kernel": [3, 3]}, "model.settings.kernel"),
    ("cnn", {"dense": 0}, "model.settings.dense"),
    ("cnn", {"dense": 65_537}, "model.settings.dense"),
    ("cnn", {"dense": 1.5}, "model.settings.dense"),
    ("cnn", {"dropout": 1.0}, "model.settings.dropout"),
    ("cnn", {"dropout": -0.1}, "model.settings.dropout"),
    ("cnn", {"dropout": NAN}, "model.settings.dropout"),
    ("cnn", {"dropout": "none"}, "model.settings.dropout"),
    ("mlp", {"filters": [8]}, "unknown key 'model.settings.filters'"),
    ("mlp", {"unit": [8]}, "unknown key 'model.settings.unit' (did you mean 'model.settings.units'?)"),
    ("mlp", {"units": []}, "model.settings.units"),
    ("mlp", {"units": [0]}, "model.settings.units.0"),
    ("mlp", {"units": [8] * 17}, "model.settings.units"),
    ("mlp", {"units": [65_537]}, "model.settings.units.0"),
    ("mlp", {"units": 8}, "model.settings.units"),
    ("mlp", {"dropout": INFINITE}, "model.settings.dropout"),
    ("mlp", {"dropout": True}, "model.settings.dropout"),
    ("mlp", {"dropout": None}, "model.settings.dropout"),
    ("resnet", {"filters": [8]}, "unknown key 'model.settings.filters'"),
    ("resnet", {"block": [1]}, "unknown key 'model.settings.block' (did you mean 'model.settings.blocks'?)"),
    ("resnet", {"blocks": []}, "model.settings.blocks"),
    ("resnet", {"blocks": [1, 0]}, "model.settings.blocks.1"),
    ("resnet", {"blocks": [65]}, "model.settings.blocks.0"),
    ("resnet", {"blocks": [1] * 7}, "model.settings.blocks"),
    ("resnet", {"blocks": 3}, "model.settings.blocks"),
    ("resnet", {"width": 0}, "model.settings.width"),
    ("resnet", {"width": 1025}, "model.settings.width"),
    ("resnet", {"width": 1.5}, "model.settings.width"),
    ("resnet", {"momentum": 1.0}, "model.settings.momentum"),
    ("resnet", {"momentum": -0.1}, "model.settings.momentum"),
    ("resnet", {"momentum": NAN}, "model.settings.momentum"),
    ("mlp", {"embedding": 0}, "model.settings.embedding"),
    ("mlp", {"embedding": 1025}, "model.settings.embedding"),
    ("text_cnn", {"width": [3]}, "unknown key 'model.settings.width' (did you mean 'model.settings.widths'?)"),
    ("text_cnn", {"widths": []}, "model.settings.widths"),
    ("text_cnn", {"widths": [0]}, "model.settings.widths.0"),
    ("text_cnn", {"widths": [32]}, "model.settings.widths.0"),
    ("text_cnn", {"widths": [3, 3]}, "model.settings.widths: each width once"),
    ("text_cnn", {"widths": [1] * 9}, "model.settings.widths"),
    ("text_cnn", {"filters": 0}, "model.settings.filters"),
    ("text_cnn", {"filters": 4097}, "model.settings.filters"),
    ("text_cnn", {"embedding": 1025}, "model.settings.embedding"),
    ("text_cnn", {"dropout": 1.0}, "model.settings.dropout"),
    ("gru", {"unit": 8}, "unknown key 'model.settings.unit' (did you mean 'model.settings.units'?)"),
    ("gru", {"units": 0}, "model.settings.units"),
    ("gru", {"units": 4097}, "model.settings.units"),
    ("gru", {"both": 1}, "model.settings.both"),
    ("gru", {"embedding": 0}, "model.settings.embedding"),
    ("gru", {"dropout": -0.1}, "model.settings.dropout"),
    ("joined", {"filters": []}, "model.settings.filters"),
    ("joined", {"filters": [4097]}, "model.settings.filters.0"),
    ("joined", {"phrases": 0}, "model.settings.phrases"),
    ("joined", {"widths": [3, 3]}, "model.settings.widths: each width once"),
    ("joined", {"dense": [0]}, "model.settings.dense.0"),
    ("joined", {"dense": [8] * 17}, "model.settings.dense"),
    ("joined", {"dropout": NAN}, "model.settings.dropout"),
    ("joined", {"embedding": 1025}, "model.settings.embedding"),
    # Each in its range, and absurd together.
    ("mlp", {"units": [65_536, 65_536]}, "model: would have 4,347,133,962 weights, above 2,147,483,648"),
    ("cnn", {"filters": [4096, 4096], "kernel": 15}, "model: would have 3,788,649,162 weights, above 2,147,483,648"),
    ("resnet", {"width": 1024, "blocks": [1] * 6}, "model: would have 20,043,592,714 weights, above 2,147,483,648"),
    ("joined", {"dense": [65_536, 65_536]}, "model: would have 4,299,971,338 weights, above 2,147,483,648"),
]


def recipe_with(**model: Any) -> dict[str, Any]:
    return {**parse_yaml(ROOT / PARAMS_FILE), "model": model}


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source delivers a second image."""
    from pipeline.data.sources import idx

    monkeypatch.setattr(idx, "FEATURES", {"image": "image", "depth": "image"})


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as error:
        checked(values, PARAMS_FILE)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("name", "settings", "said"), BROKEN, ids=str)
def test_broken_settings_are_refused_in_one_line_by_their_key(name: str, settings: dict[str, Any], said: str) -> None:
    assert said in refused(recipe_with(name=name, settings=settings))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("mpl", "model: no architecture 'mpl' in pipeline/models/architectures (did you mean 'mlp'?)"),
        (
            "stored",
            "model: no architecture 'stored' in pipeline/models/architectures (valid: cnn, gru, joined, mlp, resnet, "
            "text_cnn)",
        ),
    ],
)
def test_an_architecture_that_no_file_is_called_is_refused_with_the_nearest(model: str, said: str) -> None:
    assert said in refused(recipe_with(name=model))


@pytest.mark.parametrize("name", ["cnn", "resnet"])
@pytest.mark.usefixtures("several")
def test_two_images_are_one_too_many_to_convolve_but_not_for_a_perceptron(name: str) -> None:
    values = recipe_with(name=name)
    values["data"]["features"]["depth"] = {"kind": "image", "settings": IMAGE}

    assert refused(values) == (
        f"params.yaml: model: {name} convolves exactly one image, but of data.features there are 2: image, depth; "
        "mlp takes any"
    )
    checked(values | {"model": "mlp"}, PARAMS_FILE)


@pytest.mark.parametrize("name", ["cnn", "resnet"])
def test_without_an_image_there_is_nothing_to_convolve(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.data.features import image

    monkeypatch.setattr(image, "shape", lambda settings: (28,))

    assert f"{name} convolves exactly one image, but of data.features there is none in image" in refused(
        recipe_with(name=name)
    )


def with_text(name: str, **text: Any) -> dict[str, Any]:
    """Return a recipe with an image and a text, and a model."""
    values = recipe_with(name=name)
    values["data"]["features"]["body"] = {"kind": "text", "settings": text}
    return values


@pytest.fixture
def pictures_and_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source delivers a text beside the image."""
    from pipeline.data.sources import idx

    monkeypatch.setattr(idx, "FEATURES", {"image": "image", "body": "text"})


@pytest.mark.parametrize("name", ["cnn", "resnet"])
@pytest.mark.usefixtures("pictures_and_texts")
def test_ids_are_for_models_that_learn_vectors_of_them(name: str) -> None:
    assert refused(with_text(name)) == (
        f"params.yaml: model: {name} takes no feature of kind text as ids, as 'body' is; joined and mlp take any"
    )
    checked(with_text(name, form="tfidf", most=100), PARAMS_FILE)
    checked(with_text("joined"), PARAMS_FILE)
    checked(with_text("mlp"), PARAMS_FILE)


@pytest.mark.parametrize("name", ["text_cnn", "gru"])
@pytest.mark.usefixtures("pictures_and_texts")
def test_a_model_of_texts_needs_one_in_ids_and_takes_no_image(name: str) -> None:
    assert refused(with_text(name)) == (
        f"params.yaml: model: {name} takes no image, and 'image' is one; joined takes texts and images"
    )
    assert refused(with_text(name, form="tfidf")) == (
        f"params.yaml: model: {name} reads texts in form ids, of which data.features has none: image (image), "
        "body (text); try mlp"
    )
    values = with_text(name)
    del values["data"]["features"]["image"]
    values["augment"] = {"copies": 1, "steps": [{"name": "word_swap", "settings": {"probability": 0.1}}]}
    checked(values, PARAMS_FILE)


@pytest.mark.usefixtures("pictures_and_texts")
def test_vectors_of_a_large_vocabulary_count_before_any_work() -> None:
    values = with_text("text_cnn", most=200_000)
    del values["data"]["features"]["image"]
    values["augment"] = {"copies": 0}
    values["model"]["settings"] = {"embedding": 1024}
    checked(values, PARAMS_FILE)
    values["data"]["features"] |= {f"more_{n}": {"kind": "text", "settings": {"most": 200_000}} for n in range(10)}
    from pipeline.data.sources import idx

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(idx, "FEATURES", dict.fromkeys(values["data"]["features"], "text"))
        assert "model: would have 2,261,496,522 weights" in refused(values)


@pytest.mark.parametrize("step", ["word_dropout", "word_swap"])
@pytest.mark.usefixtures("pictures_and_texts")
def test_a_step_that_changes_terms_needs_them_in_their_order(step: str) -> None:
    values = with_text("mlp", form="tfidf", most=100)
    values["augment"] = {"copies": 1, "steps": [{"name": step, "settings": {"probability": 0.1}}]}
    assert refused(values) == (
        f"params.yaml: augment.steps.0: {step} changes the terms of a text in form ids, and data.features.body is in "
        "form tfidf, which has no order; take it out of augment.steps, or choose form ids"
    )
    values["data"]["features"]["body"]["settings"] = {}
    checked(values, PARAMS_FILE)


@pytest.mark.parametrize("name", ["class", "self"])
def test_a_feature_that_no_served_model_can_take_by_its_name_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.data.sources import idx

    monkeypatch.setattr(idx, "FEATURES", {name: "image"})
    values = recipe_with(name="mlp")
    values["data"]["features"] = {name: {"kind": "image", "settings": IMAGE}}

    assert f"data.features.{name}: a served model cannot have an input called '{name}'" in refused(values)


def test_a_kernel_larger_than_what_is_left_of_the_image_is_fine() -> None:
    checked(recipe_with(name="cnn", settings={"filters": [2] * 8, "kernel": 15}), PARAMS_FILE)


def test_a_recipe_is_checked_without_what_airflows_environment_lacks() -> None:
    program = (
        "import sys; from pathlib import Path; from pipeline.recipe.resolving import load_checked;"
        "load_checked(Path(sys.argv[1]));"
        "print(sorted({'numpy', 'pyarrow', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program, ROOT], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
