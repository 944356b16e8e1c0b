"""A compressed file gives what went into it, however it is read, and never more than it may."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.unpacking import Unpacked
from pipeline.errors import DataError

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "none": lambda content: content,
}
CONTENTS = st.one_of(st.binary(max_size=2000), st.integers(0, 3_000_000).map(bytes))


def unpacked(content: bytes, largest_bytes: int = 10**9, ratio: int = 10**6) -> Unpacked:
    return Unpacked(io.BytesIO(content), "here", largest_bytes, ratio)


@given(kind=st.sampled_from(sorted(PACK)), contents=st.lists(CONTENTS, min_size=1, max_size=3), data=st.data())
def test_streams_one_after_the_other_are_read_in_pieces_of_any_size(
    kind: str, contents: list[bytes], data: st.DataObject
) -> None:
    expected = b"".join(contents)
    stream = unpacked(b"".join(map(PACK[kind], contents)))
    if kind == "none" and expected[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7"):
        return
    found = b""
    for _ in range(3):
        size = data.draw(st.integers(0, len(expected) + 10))
        piece = stream.read(size)
        assert len(piece) == min(size, len(expected) - len(found))
        found += piece
    assert found + stream.read(len(expected) + 1) == expected
    assert stream.read(1) == b""
    assert stream.skip(10) == 0


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
@given(content=st.binary(min_size=1, max_size=500), data=st.data())
def test_a_stream_that_is_cut_off_is_never_taken_for_whole(kind: str, content: bytes, data: st.DataObject) -> None:
    packed = PACK[kind](content)
    cut = packed[: data.draw(st.integers(2, len(packed) - 1))]
    with pytest.raises(DataError, match=r"here: (truncated|its compressed stream is damaged)"):
        unpacked(cut).read(len(content) + 1)


@pytest.mark.parametrize("kind", PACK)
def test_what_may_come_out_is_bounded_to_the_byte(kind: str) -> None:
    packed = PACK[kind](bytes(1000))
    assert unpacked(packed, largest_bytes=1000).read(2000) == bytes(1000)
    with pytest.raises(DataError, match="here: unpacks to more than 999 bytes; if it is to be trusted, raise"):
        unpacked(packed, largest_bytes=999).read(2000)


def test_xz_may_not_declare_any_memory() -> None:
    def declaring(size_bytes: int) -> Unpacked:
        quickly_made = {"mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}
        return unpacked(
            lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": size_bytes, **quickly_made}])
        )

    assert declaring(2**27).read(1) == b"x"
    with pytest.raises(DataError, match=r"here: its compressed stream is damaged: Memory usage limit"):
        declaring(2**28).read(1)


@pytest.mark.long
@pytest.mark.parametrize("kind", PACK)
def test_as_many_bytes_are_passed_over_as_are_asked_for_and_there(kind: str) -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(160_000))  # more than two pieces
    stream = unpacked(PACK[kind](content))
    assert stream.skip(300_000) == 300_000
    assert stream.read(4) == content[300_000:300_004]
    assert stream.skip(10**6) == len(content) - 300_004


def test_sixty_four_mebibytes_may_come_out_whatever_the_ratio() -> None:
    stream = unpacked(gzip.compress(bytes(2**26 + 1), 1), ratio=1)
    assert stream.skip(2**26) == 2**26
    with pytest.raises(DataError, match="here: unpacks to more than 1 times its size"):
        stream.skip(1)
    plain = unpacked(b"x" * 100, ratio=0)
    assert plain.read(100) == b"x" * 100
