"""YAML as DVC reads it: what is ambiguous or dangerous is refused in one line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.errors import StorageError, UsageError
from pipeline.recipe.strict_yaml import dump_yaml, flow_yaml, parse_yaml, parse_yaml_text, parse_yaml_value


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


ODD = [
    *(
        "1e5",
        "0o17",
        "017",
        "0x1F",
        "1_000",
        "no",
        "NO",
        "on",
        "y",
        "Y",
        "~",
        "null",
        "Null",
        "",
        " ",
        "true",
        ".inf",
        ".NaN",
    ),
    *(
        "1:30",
        "12:30:45",
        "2026-11-22",
        "=",
        "<<",
        "<<: x",
        "- a",
        "? a",
        "a: b",
        "a #b",
        "#",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
    ),
    *(
        "'",
        '"',
        "\\",
        "\\n",
        "a\nb",
        "a\n",
        "\n",
        "\t",
        "a\tb",
        "a ",
        " a",
        "{}",
        "[]",
        "a, b",
        "%",
        "@",
        "`",
        "-",
        "--",
        "---",
    ),
    *(
        "...",
        "é",
        "😀",
        "\u2028",
        "\u00a0",
        "\x85",
        "\x7f",
        "\ufeff",
        "a\ufeffb",
        "\x00",
        "\x1b",
        "\ud7ff",
        "\ue000",
        "\uffff",
    ),
    *("0", "-0", "+1", "1.", ".5", "1e-6", "1E3", "0b1", "${data.path}", "x" * 500, "a b " * 100, "None", "nan", "inf"),
]
TEXTS = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.text("01e+-._:xob~yn \t\n#'\"", max_size=8),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


def as_dvc_reads(content: bytes) -> Any:
    """Read YAML as DVC does: by ruamel.yaml, version 1.2 of YAML."""
    return YAML(typ="safe").load(content.decode())


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types throughout."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("text", ODD)
def test_any_odd_text_is_written_so_that_both_readers_read_it_back(text: str) -> None:
    values = {"value": text, "list": [text], "group": {text: text}}
    written = dump_yaml(values)
    assert is_same(parse_yaml_text(written, "x"), values)
    assert is_same(as_dvc_reads(written), values)


@pytest.mark.long
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_whatever_is_written_is_read_back_by_us_and_by_dvc(values: dict[str, Any]) -> None:
    written = dump_yaml(values)
    assert is_same(parse_yaml_text(written, "x"), values)
    assert is_same(as_dvc_reads(written) or {}, values)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_whatever_is_written_on_one_line_is_read_back_by_us_and_by_dvc(values: dict[str, Any]) -> None:
    line = flow_yaml(values)
    assert "\n" not in line
    written = f"value: {line}\n".encode()
    assert is_same(parse_yaml_text(written, "x"), {"value": values})
    assert is_same(as_dvc_reads(written), {"value": values})


@pytest.mark.parametrize("value", [1e22, 1e-7, 5e-324, 1.7976931348623157e308, 1e16, 1.0, -0.0, 123456789.125, 1e5])
def test_numbers_keep_their_value_and_their_type(value: float) -> None:
    written = dump_yaml({"value": value})
    assert is_same(parse_yaml_text(written, "x"), {"value": value})
    assert is_same(as_dvc_reads(written), {"value": value})


def test_what_stands_twice_is_written_twice() -> None:
    inner = {"a": [1]}
    assert b"&" not in dump_yaml({"one": inner, "two": inner})


def test_plain_words_stay_plain_and_keys_stay_in_order() -> None:
    assert dump_yaml({"name": "fashion_mnist", "data": {"path": "samples/x", "classes": ["Ankle boot", "no"]}}) == (
        b'name: fashion_mnist\ndata:\n  path: samples/x\n  classes:\n  - Ankle boot\n  - "no"\n'
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("2026-13-45", "x:1: '2026-13-45' looks like a number or a date and is none; quote it if it is text"),
        ("0b_", "x:1: '0b_' looks like a number or a date and is none; quote it if it is text"),
        ("a: 1\nb: 0x" + "f" * 5000, "x:2: a number of 5002 digits is too long"),
        ("=", "x:1: '=' has a meaning of its own; quote it"),
        ("<<", "x:1: '<<' has a meaning of its own; quote it"),
        ("{true: 1}", "x:1: key true is not text; quote it"),
        ("a\x07", "x: not valid YAML: control characters are not allowed"),
    ],
)
def test_what_no_value_can_be_made_of_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_yaml_value(text, "x")
    assert str(caught.value) == line


def test_a_number_of_five_thousand_digits_is_one_short_line() -> None:
    with pytest.raises(UsageError, match="looks like a number or a date and is none"):
        parse_yaml_value("9" * 5000, "x")
