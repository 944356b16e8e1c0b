"""Python batches are read, and no pickle is ever run."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.python_batches import Bytes, read_dictionary
from pipeline.errors import DataError

DATA = np.random.default_rng(0).integers(0, 256, (7, 12), np.uint8)
BATCH = {b"data": DATA, b"labels": [1, 2, 300, 4, 70_000, 6, 7], b"batch_label": b"one", "names": ["a", "é"]}


def batch_of_python_2(data: np.ndarray[Any, Any], labels: list[int]) -> bytes:
    """Return a batch as Python 2's cPickle wrote it, which today's pickle cannot: texts as `BINSTRING`."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value

    content = data.tobytes()
    shape = b"".join(b"M" + struct.pack("<H", side) for side in data.shape)
    kind = b"cnumpy\ndtype\nq\x05" + b"(" + text(b"u1") + b"K\0K\1tRq\x06" + b"(K\3" + text(b"|") + b"NNN" + (
        b"J\xff\xff\xff\xff" * 2
    ) + b"K\0tb"  # fmt: skip
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x02(cnumpy\nndarray\nq\x03K\0\x85" + text(b"b") + b"tR"
    state = b"(K\1" + shape + b"\x86" + kind + b"\x89" + text(content) + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}q\x01(" + text(b"data") + array + state + text(b"labels") + numbers + b"u."


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_batch_that_pickle_has_written_is_read(protocol: int) -> None:
    found = read_dictionary(pickle.dumps(BATCH, protocol), "here")
    assert found == {
        "data": Bytes((7, 12), DATA.tobytes()),
        "labels": BATCH[b"labels"],
        "batch_label": "one",
        "names": ["a", "é"],
    }


def test_a_batch_as_python_2_wrote_it_is_read() -> None:
    content = batch_of_python_2(DATA, [1, 2, 3])
    assert pickle.loads(content, encoding="latin1")["data"].tobytes() == DATA.tobytes()
    assert read_dictionary(content, "here") == {"data": Bytes((7, 12), DATA.tobytes()), "labels": [1, 2, 3]}


class Runs:
    """Whoever loads it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_something_is_refused_and_does_not(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({"data": Runs(tmp_path / "was run")}, protocol)
    with pytest.raises(DataError, match="here: refused"):
        read_dictionary(content, "here")
    assert not (tmp_path / "was run").exists()
    pickle.loads(content)
    assert (tmp_path / "was run").exists()


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        {"data": DATA.astype(np.int64)},
        {"data": np.asfortranarray(DATA)},
        {"data": {"inner": 1}},
        {"data": [[1]]},
        {"data": 1.5},
        {"data": "x" * 2000},
        dict.fromkeys(map(str, range(200))),
    ],
    ids=["a list", "whole numbers", "by columns", "a dictionary", "a list of lists", "a number", "a long text", "keys"],
)
def test_what_is_no_batch_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="here: "):
        read_dictionary(pickle.dumps(value, 2), "here")


def of(*instructions: bytes) -> object:
    """Return what a dictionary of `a` holds, as these instructions make it."""
    return read_dictionary(b"\x80\x02}U\x01a" + b"".join(instructions) + b"s.", "here")["a"]


def test_every_instruction_that_is_allowed_does_what_pickle_does() -> None:
    for value in (
        b"U\x03xyz",
        b"T\x03\0\0\0xyz",
        b"X\x03\0\0\0xyz",
        b"\x8c\x03xyz",
        b"C\x03xyz",
        b"B\x03\0\0\0xyz",
        b"J\x01\0\0\0",
        b"K\x05",
        b"M\x05\x01",
        b"\x8a\x01\x05",
        b"N",
        b"\x88",
        b"\x89",
        b"]K\x01a",
        b"](K\x01K\x02e",
        b"](e",
        b"](K\x07q\x01h\x01e",
        b"](K\x07r\x01\0\0\0j\x01\0\0\0e",
        b"](K\x07\x94h\x00e",
        b"](K\x07\x94K\x08\x94h\x01e",
    ):
        expected = pickle.loads(b"\x80\x02}U\x01a" + value + b"s.", encoding="latin1")["a"]
        assert of(value) == (expected.decode() if isinstance(expected, bytes) else expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02}", "pickle exhausted before seeing STOP"),
        (b"\x80\x02}U\x01aC\x03xyz\x85s.", "holds a tuple"),
        (b"\x80\x02}U\x01a)s.", "holds a tuple"),
        (b"\x80\x02}U\x01aU\x01b\x87s.", "IndexError"),
        (b"\x80\x02}U\x01aK\x01e.", "IndexError"),
        (b"\x80\x02K\x01K\x02a.", "a list is missing"),
        (b"\x80\x02]U\x01aK\x02s.", "a dict is missing"),
        (b"\x80\x02}K\x01b.", "is missing"),
        (b"\x80\x02}K\x01)R.", "no name"),
        (b"\x80\x02}U\x01ac_codecs\nencode\n(X\x01\0\0\0xX\x04\0\0\0utf8tRs.", "another encoding than latin1"),
        (b"\x80\x02}U\x01ac_codecs\nencode\n(X\x01\0\0\0xX\x06\0\0\0latin1lRs.", "refused: instruction LIST"),
    ],
)
def test_a_pickle_that_is_none_is_refused_with_its_reason(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"here: .*{message}"):
        read_dictionary(content, "here")


@pytest.mark.parametrize("letters", [1000, 1001])
def test_texts_of_a_thousand_letters_are_read_and_longer_ones_not(letters: int) -> None:
    content = pickle.dumps({"a": "x" * letters}, 2)
    if letters <= 1000:
        assert read_dictionary(content, "here") == {"a": "x" * 1000}
    else:
        with pytest.raises(DataError, match="a text of 1001 letters"):
            read_dictionary(content, "here")


@pytest.mark.parametrize("keys", [100, 101])
def test_a_hundred_keys_are_read_and_more_not(keys: int) -> None:
    content = pickle.dumps(dict.fromkeys(map(str, range(keys)), 1), 2)
    if keys <= 100:
        assert len(read_dictionary(content, "here")) == keys
    else:
        with pytest.raises(DataError, match="expected a dictionary of at most 100 keys"):
            read_dictionary(content, "here")


@pytest.mark.parametrize("shape", [(-7, -12), ("7", 12), (True, 84), [7, 12]])
def test_an_array_of_odd_sides_is_refused(shape: object) -> None:
    class Odd:
        def __reduce__(self) -> tuple[Any, ...]:
            function, arguments, (version, _, *rest) = DATA.__reduce__()
            return function, arguments, (version, shape, *rest)

    with pytest.raises(DataError, match="not in row-major order"):
        read_dictionary(pickle.dumps({"data": Odd()}, 2), "here")


def test_an_array_whose_content_is_no_bytes_is_refused() -> None:
    class Listed:
        def __reduce__(self) -> tuple[Any, ...]:
            function, arguments, (*state, content) = DATA.__reduce__()
            return function, arguments, (*state, list(content))

    with pytest.raises(DataError, match="without its bytes"):
        read_dictionary(pickle.dumps({"data": Listed()}, 2), "here")


def test_what_stands_in_it_many_times_does_not_multiply() -> None:
    row: list[Any] = [0] * 1000
    for _ in range(50):
        row = [row] * 1000  # 1000 ** 51 numbers, if it were written out
    with pytest.raises(DataError, match="here: no whole Python batch"):
        read_dictionary(pickle.dumps({"labels": row}, 2), "here")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_batch_is_an_error(share: float) -> None:
    content = pickle.dumps(BATCH, 2)
    with pytest.raises(DataError, match="here: no whole Python batch"):
        read_dictionary(content[: int(share * len(content))], "here")


@given(st.binary(max_size=100), st.data())
def test_any_bytes_are_read_or_refused(rest: bytes, data: st.DataObject) -> None:
    content = bytearray(pickle.dumps(BATCH, data.draw(st.sampled_from([2, 3, 4]))))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for each in (rest, bytes(content)):
        try:
            assert isinstance(read_dictionary(each, "here"), dict)
        except DataError as error:
            assert "here" in str(error)


DOUBLED = b")" + b"".join(b"q%ch%c\x86" % (number, number) for number in range(60))  # a tuple of 2 ** 60 tuples


@pytest.mark.long
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s.", "a key that is no text"),
        (b"\x80\x02}" + DOUBLED + b"K\x01s.", "a key that is no text"),
        (b"\x80\x02}(U\x01aK\x01K\x02K\x01u.", "a key that is no text"),
        (b"\x80\x04" + DOUBLED + b"X\x01\0\0\0a\x93.", "something is named that is no text"),
        (b"\x80\x04X\x05\0\0\0numpy" + DOUBLED + b"\x93.", "something is named that is no text"),
    ],
    ids=["a deep tuple", "a tuple that doubles", "a number", "a module that doubles", "a name that doubles"],
)
def test_only_texts_are_hashed(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_dictionary(content, "here")


def test_texts_make_no_more_bytes_than_the_pickle_has() -> None:
    text = b"X\xe8\x03\0\0" + b"x" * 1000 + b"X\x06\0\0\0latin1\x86q\x01"
    for times, message in ((1, "holds a bytes|a dictionary"), (3, "makes more bytes of texts than it has")):
        content = b"\x80\x02c_codecs\nencode\nq\x00" + text + b"h\x00h\x01R" * times + b"."
        with pytest.raises(DataError, match=message):
            read_dictionary(content, "here")


def test_an_array_has_no_more_sides_than_numpy_has() -> None:
    class Flat:
        def __init__(self, sides: int) -> None:
            self.sides = sides

        def __reduce__(self) -> tuple[Any, ...]:
            made, given_to, (version, _, kind, by_columns, content) = np.zeros(1, np.uint8).__reduce__()  # type: ignore[misc]
            return made, given_to, (version, (1,) * self.sides, kind, by_columns, content)

    most = {"data": Flat(64)}
    assert read_dictionary(pickle.dumps(most, 2), "here") == {"data": Bytes((1,) * 64, b"\0")}
    with pytest.raises(DataError, match="an array of 65 sides"):
        read_dictionary(pickle.dumps({"data": Flat(65)}, 2), "here")
