"""The trigger form: one field a recipe key, checked by Airflow's own Param."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError
from hypothesis import given
from hypothesis import strategies as st

from dags import form
from pipeline.errors import UsageError
from pipeline.recipe.configs import load_config, recipe_values
from pipeline.recipe.recipe import Recipe, apply_overrides
from pipeline.recipe.settings import dotted_keys, validate

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
MEGABYTE = "x" * 10**6


@cache
def recipe(config: Path | None = None) -> Recipe:
    return validate(Recipe, recipe_values(ROOT, load_config(config) if config else None), "params.yaml")


def param(key: str) -> Param:
    field = form.fields(recipe())[key]
    return Param(field.default, description=field.description, **field.schema)


def filled_in(**changes: Any) -> dict[str, Any]:
    """The form as Airflow hands it to a task: every field, with what somebody has changed."""
    values = {key: field.default for key, field in form.fields(recipe()).items()}
    return values | {key.replace("__", "."): value for key, value in changes.items()}


def recipe_with(changes: dict[str, Any]) -> Recipe:
    """The recipe as `runs open` makes it from what was asked."""
    return validate(Recipe, apply_overrides(shipped(), changes, "override"), "params.yaml")


@cache
def shipped() -> dict[str, Any]:
    return recipe_values(ROOT, None)


def asked(**changes: Any) -> dict[str, Any]:
    return form.asked(filled_in(**changes), recipe(), {})


def test_every_key_of_the_recipe_is_a_field_and_so_are_the_runs_own_questions() -> None:
    keys = dotted_keys(Recipe)
    leaves = {key for key in keys if not any(other.startswith(f"{key}.") for other in keys)}
    assert set(form.fields(recipe())) == leaves | {"reason", "force", "overrides"}


def test_a_field_shows_the_recipes_value_its_meaning_and_its_place() -> None:
    epochs = form.fields(recipe())["train.epochs"]
    assert (epochs.default, epochs.description) == (recipe().train.epochs, "passes over the training part")
    assert (epochs.schema["title"], epochs.schema["section"]) == ("train.epochs", "train")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_what_every_shipped_config_says_is_accepted_by_its_own_form(config: Path) -> None:
    for key, field in form.fields(recipe(config)).items():
        assert Param(field.default, **field.schema).resolve() == field.default, key
    assert form.fields(recipe(config))["data.path"].default == recipe(config).data.path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.epochs", 1),
        ("train.epochs", 10_000),
        ("train.optimizer", "sgd"),
        ("train.learning_rate", 100),
        ("augment.shift", 0.999),
        ("data.image.channels", 3),
        ("ingest.as_of", "2026-11-22"),
        ("ingest.as_of", None),
        ("gate.minimum.auc", None),
        ("gate.minimum.mcc", -1),
        ("data.classes", ["cat", "dog"]),
        ("model.settings", {"dense": 8}),
        ("reason", None),
        ("force", True),
        ("overrides", None),
        ("overrides", ["model.settings.dense=8"]),
    ],
)
def test_a_value_in_range_is_accepted(key: str, value: object) -> None:
    assert param(key).resolve(value) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        # of another type
        ("train.epochs", "3"),
        ("train.epochs", 2.5),
        ("train.epochs", True),
        ("train.epochs", None),
        ("train.learning_rate", "0.1"),
        ("train.optimizer", None),
        ("name", 3),
        ("model.settings", "dense=8"),
        ("data.classes", "cat, dog"),
        ("data.classes", ["cat", 3]),
        ("force", "yes"),
        ("overrides", "train.epochs=3"),
        # out of range
        ("train.epochs", 0),
        ("train.epochs", 10_001),
        ("train.learning_rate", 0),
        ("augment.flip", 1.01),
        ("augment.shift", 1),
        ("gate.champion.confidence", 0.5),
        ("gate.champion.confidence", float("inf")),
        ("gate.minimum.mcc", -1.01),
        ("seed", 2**63),
        ("data.classes", ["cat"]),
        ("data.path", ""),
        # not one of the choices
        ("train.optimizer", "adamm"),
        ("split.method", ""),
        ("data.image.channels", 2),
        # no such form of text
        ("name", "Fashion"),
        ("name", "x" * 64),
        ("ingest.as_of", "yesterday"),
        ("ingest.as_of", "2026-13-01"),
        # without an end
        ("data.path", MEGABYTE),
        ("data.contracts", MEGABYTE),
        ("data.classes", ["cat", MEGABYTE]),
        ("model.name", MEGABYTE),
        ("reason", MEGABYTE),
        ("overrides", [MEGABYTE]),
        ("overrides", ["train.epochs=3"] * 101),
    ],
    ids=lambda value: f"{value!s:.24}",
)
def test_any_other_value_is_refused(key: str, value: object) -> None:
    with pytest.raises(ParamValidationError):
        param(key).resolve(value)


def test_every_text_of_the_form_has_an_end() -> None:
    def texts(schema: Any) -> list[Any]:
        inner = texts(schema["items"]) if "items" in schema else []
        is_free_text = "string" in schema.get("type", ()) and "enum" not in schema
        return [schema, *inner] if is_free_text else inner

    found = {key: texts(field.schema) for key, field in form.fields(recipe()).items()}
    assert found["data.path"]
    assert found["data.classes"]
    assert all("maxLength" in schema for schemas in found.values() for schema in schemas)


def test_reading_the_form_twice_gives_the_same_form() -> None:
    assert form.fields(recipe()) == form.fields(recipe())


def test_a_form_left_as_it_is_asks_for_nothing() -> None:
    assert asked() == {}


def test_only_what_differs_is_asked_for() -> None:
    assert asked(train__epochs=3, seed=recipe().seed, ingest__as_of="2026-11-22") == {
        "train.epochs": 3,
        "ingest.as_of": "2026-11-22",
    }


def test_why_and_whether_by_force_are_no_keys_of_the_recipe() -> None:
    assert asked(reason="the label fix", force=True) == {}


@given(
    epochs=st.integers(1, 10_000),
    rate=st.floats(0, 100, exclude_min=True),
    classes=st.lists(st.text(min_size=1), min_size=2, max_size=5, unique=True),
    path=st.text(min_size=1, max_size=100),
)
def test_whatever_the_form_accepts_becomes_that_recipe(epochs: int, rate: float, classes: list[str], path: str) -> None:
    changes = asked(train__epochs=epochs, train__learning_rate=rate, data__classes=classes, data__path=path)
    made = recipe_with(json.loads(json.dumps(changes)))
    assert (made.train.epochs, made.train.learning_rate) == (epochs, rate)
    assert (list(made.data.classes), made.data.path) == (classes, path)


def test_free_form_lines_are_read_as_the_recipe_is() -> None:
    lines = ["train.epochs=3", " train.learning_rate =1e-3", "model.settings.filters=[8, 16]", "data.path=a=b"]
    assert asked(overrides=lines) == {
        "train.epochs": 3,
        "train.learning_rate": 0.001,
        "model.settings.filters": [8, 16],
        "data.path": "a=b",
    }


def test_a_free_form_line_wins_over_its_field() -> None:
    assert asked(train__epochs=3, overrides=["train.epochs=5"]) == {"train.epochs": 5}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train.epochs", "overrides 'train.epochs': expected KEY=VALUE"),
        ("=3", "overrides '=3': expected KEY=VALUE"),
        ("", "overrides '': expected KEY=VALUE"),
        ("train.epocs=3", r"overrides train.epocs: unknown key \(did you mean 'train.epochs'\?\)"),
        ("$(touch injected)=3", "overrides .*: unknown key"),
        ("train.epochs=[3", r"overrides train.epochs:\d: "),
        ("train.epochs=!!python/object/apply:os.system [ls]", "YAML tags are not allowed"),
        ("model.settings.a=&x [*x]", "anchors and aliases are not used here"),
    ],
)
def test_a_free_form_line_that_is_none_is_refused(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked(overrides=[line])


def test_an_unknown_key_of_a_triggers_conf_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"conf train\.epoch: unknown key \(did you mean 'train\.epochs'\?\)"):
        form.asked(filled_in(), recipe(), {"train.epoch": 3})


def test_an_endless_unknown_key_does_not_make_an_endless_error() -> None:
    with pytest.raises(UsageError) as caught:
        form.asked(filled_in(), recipe(), {MEGABYTE: 3})
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"train__learning_rate": float("nan")}, "train.learning_rate"),
        ({"train__warmup_epochs": float("inf")}, "train.warmup_epochs"),
        ({"model__settings": {"dropout": float("nan")}}, "model.settings"),
        ({"overrides": ["gate.minimum.accuracy=.nan"]}, "gate.minimum.accuracy"),
        ({"overrides": ["ingest.as_of=2026-11-22"]}, "ingest.as_of"),  # a date without quotes is no text in YAML
    ],
)
def test_what_is_no_value_of_json_is_refused_by_its_key(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(UsageError, match=rf"^{key}: a finite number or a text in quotes is needed, not "):
        asked(**changes)


@pytest.mark.parametrize(
    "text", ["{{ var.value.secret }}", "$(touch injected)", "; rm -rf /", "a\nb: [", "'", "%s %(x)s", "\x00", "😀 ́"]
)
def test_injected_text_comes_out_as_the_same_text(text: str) -> None:
    for key in ("data.path", "reason"):
        assert param(key).resolve(text) == text
    changes = asked(data__path=text, reason=text)
    assert changes == {"data.path": text}
    assert recipe_with(json.loads(json.dumps(changes))).data.path == text


@pytest.mark.parametrize("text", ["{{ 1 }}", "$(touch injected)", "; rm -rf /", "a\nb"])
def test_injected_text_is_no_name_of_a_model(text: str) -> None:
    for key in ("name", "model.name"):
        with pytest.raises(ParamValidationError):
            param(key).resolve(text)


# -- the schema that is kept


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the kept schema, empty, in a process that has not asked for it yet."""
    monkeypatch.setattr(form, "_SCHEMAS", tmp_path / "kept")
    form._schema.cache_clear()
    yield tmp_path / "kept"
    form._schema.cache_clear()


def asked_anew() -> dict[str, Any]:
    form._schema.cache_clear()
    return form._schema()


def test_a_kept_schema_is_pydantics_with_its_order(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = json.dumps(form._schema())
    assert made == json.dumps(Recipe.model_json_schema())
    monkeypatch.setattr(Recipe, "model_json_schema", lambda: pytest.fail("it was kept"))
    assert json.dumps(asked_anew()) == made


def test_a_schema_of_other_types_is_not_taken(kept: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    form._schema()
    changed = tmp_path / "params.py"
    changed.write_text("# other types\n")
    monkeypatch.setattr(form.recipe_types, "__file__", str(changed))
    monkeypatch.setattr(Recipe, "model_json_schema", lambda: {"properties": {}})
    assert asked_anew() == {"properties": {}}
    assert len(list(kept.iterdir())) == 1  # the old one has gone


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[1]"])
def test_a_kept_schema_that_cannot_be_read_is_made_again(kept: Path, content: bytes) -> None:
    form._schema()
    [path] = kept.iterdir()
    path.write_bytes(content)
    assert asked_anew() == Recipe.model_json_schema()
    assert json.loads(path.read_bytes()) == Recipe.model_json_schema()


def test_without_a_place_to_keep_it_the_schema_is_made_each_time(kept: Path) -> None:
    kept.write_text("no folder")
    assert asked_anew() == asked_anew() == Recipe.model_json_schema()
