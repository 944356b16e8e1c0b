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
    quickly_made = {"mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}
    content = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 2**30, **quickly_made}])
    with pytest.raises(DataError, match=r"here: its compressed stream is damaged: Memory usage limit"):
        unpacked(content).read(1)
