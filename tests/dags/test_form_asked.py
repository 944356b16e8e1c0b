"""What a filled-in form asks for: what differs from the recipe, as values that become that recipe."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags import form
from pipeline.errors import UsageError
from tests.dags.form_values import MEGABYTE, asked, asked_by_conf, filled_in, param, recipe, recipe_with


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
    classes=st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=5, unique_by=str.strip),
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
        ("data.image.channels=3", "overrides .*: unknown key; it is data.features.image.settings.channels now"),
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
        form.changes(filled_in(), recipe(), {"train.epoch": 3})


def test_an_endless_unknown_key_does_not_make_an_endless_error() -> None:
    with pytest.raises(UsageError) as caught:
        form.changes(filled_in(), recipe(), {MEGABYTE: 3})
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"train__learning_rate": float("nan")}, "train.learning_rate"),
        ({"train__warmup_epochs": float("inf")}, "train.warmup_epochs"),
        ({"model__settings__dropout": float("nan")}, "model.settings.dropout"),
        ({"gate__minimum": {"accuracy": float("nan")}}, "gate.minimum"),
        ({"overrides": ["gate.minimum.accuracy=.nan"]}, "gate.minimum.accuracy"),
        ({"overrides": ["ingest.as_of=2026-11-22"]}, "ingest.as_of"),  # a date without quotes is no text in YAML
    ],
)
def test_what_is_no_value_of_json_is_refused_by_its_key(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(UsageError, match=rf"^{key}: a finite number or a text in quotes is needed, not "):
        asked(**changes)


def test_another_file_is_asked_for_without_the_settings_of_the_one_that_is_left() -> None:
    changes = asked(train__optimizer__name="momentum")
    assert changes == {"train.optimizer.name": "momentum"}
    made = recipe_with(changes).train.optimizer
    assert (made.name, made.settings) == ("momentum", {})


def test_settings_of_another_file_are_lines_beside_its_name() -> None:
    lines = ["train.optimizer.settings.momentum=0.8", "augment.steps.2.settings.levels=2"]
    changes = asked(train__optimizer__name="momentum", augment__steps__2__name="noise", overrides=lines)
    made = recipe_with(changes)
    assert made.train.optimizer.settings == {"momentum": 0.8}
    assert (made.augment.steps[2].name, made.augment.steps[2].settings) == ("noise", {"levels": 2})


def test_a_setting_that_was_changed_goes_with_the_new_name_where_it_knows_it() -> None:
    changes = asked(train__optimizer__name="adamw", train__optimizer__settings__weight_decay=0.5)
    assert recipe_with(changes).train.optimizer.settings == {"weight_decay": 0.5}
    with pytest.raises(UsageError, match=r"unknown key 'train\.optimizer\.settings\.beta_1'"):
        recipe_with(asked(train__optimizer__name="sgd", train__optimizer__settings__beta_1=0.5))


def test_a_free_mapping_is_asked_for_as_a_whole_and_by_its_entries() -> None:
    assert asked(gate__minimum={"accuracy": 0.9}) == {"gate.minimum": {"accuracy": 0.9}}
    changes = asked(gate__minimum={"accuracy": 0.9}, overrides=["gate.minimum.auc=0.5"])
    assert recipe_with(changes).gate.minimum == {"accuracy": 0.9, "auc": 0.5}


def test_a_list_of_steps_is_a_line() -> None:
    assert recipe_with(asked(overrides=["augment.steps=[warp]"])).augment.steps[0].name == "warp"


@pytest.mark.parametrize(
    ("conf", "changes"),
    [
        ({"train.optimizer.name": "sgd"}, {"train.optimizer.name": "sgd"}),
        ({"train.optimizer": "sgd"}, {"train.optimizer": "sgd"}),
        (
            {"train.optimizer": {"name": "momentum", "settings": {"momentum": 0.5}}},
            {"train.optimizer": {"name": "momentum", "settings": {"momentum": 0.5}}},
        ),
        ({"gate.minimum.accuracy": 0.9}, {"gate.minimum.accuracy": 0.9}),
        ({"train.epochs": 3, "reason": "x"}, {"train.epochs": 3}),
    ],
)
def test_a_triggers_conf_may_have_any_key_of_the_recipe(conf: dict[str, Any], changes: dict[str, Any]) -> None:
    assert asked_by_conf(conf) == changes
    recipe_with(changes)


@pytest.mark.parametrize(
    "text", ["{{ var.value.secret }}", "$(touch injected)", "; rm -rf /", "a\nb: [", "'", "%s %(x)s", "\x00", "😀 ́"]
)
def test_injected_text_comes_out_as_the_same_text(text: str) -> None:
    for key in ("data.path", "reason"):
        assert param(key).resolve(text) == text
    changes = asked(data__path=text, reason=text)
    assert changes == {"data.path": text}
    assert recipe_with(json.loads(json.dumps(changes))).data.path == text
