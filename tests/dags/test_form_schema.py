"""The form's schema, made once and kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dags import form
from pipeline.recipe.recipe import Recipe


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
