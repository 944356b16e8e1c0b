"""YAML as DVC reads it: what is ambiguous or dangerous is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StorageError, UsageError
from pipeline.recipe.strict_yaml import parse_yaml, parse_yaml_text, parse_yaml_value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: 1\nseed: 2\n", "params.yaml:2: key 'seed' appears twice"),
        ("data:\n  path: a\n  path: b\n", "params.yaml:3: key 'path' appears twice"),
        ("seed: !!python/object/apply:os.system [id]\n", "params.yaml:1: YAML tags are not allowed"),
        ("seed: !!int 3\n", "YAML tags are not allowed"),
        ("a: 1\nb: &x 1\nc: *x\n", "params.yaml:2: anchors and aliases"),
        ("a: {<<: {b: 1}}\n", "merge keys"),
        ("- 1\n", "must be a mapping"),
        ("a: [1\n", "params.yaml:"),
        ("1: x\n", "key 1 is not text"),
        ("a: 1\n---\nb: 2\n", "params.yaml:"),
        ("a: " + "x" * 2**20, "larger than 1048576 bytes"),
    ],
)
def test_dangerous_or_ambiguous_yaml_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        parse_yaml(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("depth", [300, 200_000])
def test_yaml_that_is_nested_too_deeply_is_refused(opening: str, depth: int) -> None:
    with pytest.raises(UsageError, match="x:1: nested too deeply"):
        parse_yaml_value(opening * depth, "x")


def test_a_long_list_is_not_deep() -> None:
    assert parse_yaml_text("a:\n" + "- [1]\n" * 1000, "x") == {"a": [[1]] * 1000}


def test_a_file_that_is_not_there_is_an_input_output_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"params\.yaml: cannot be read"):
        parse_yaml(tmp_path / "params.yaml")


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").touch()
    assert parse_yaml(tmp_path / "params.yaml") == {}


@pytest.mark.parametrize(("text", "number"), [("1e-6", 1e-6), ("1E3", 1000.0), ("-2.5e1", -25.0), ("+1e2", 100.0)])
def test_numbers_in_exponent_form_are_numbers_as_dvc_reads_them(text: str, number: float) -> None:
    assert parse_yaml_value(text, "--set") == number


@given(st.binary(max_size=200))
def test_any_bytes_are_a_mapping_or_one_line(content: bytes) -> None:
    try:
        assert isinstance(parse_yaml_text(content, "x"), dict)
    except UsageError as error:
        assert "\n" not in str(error)
