"""What each character of a text is to a model: kept, as itself or in lower case; dropped; or a separator.

The rule is made of Unicode's general categories (https://www.unicode.org/reports/tr44/#General_Category_Values):

    L letters, M marks, N numbers    kept; P punctuation and S symbols too, where tokens are characters
    Cf formats                       dropped: zero-width characters, marks of direction, soft hyphens
    everything else                  a separator: blanks, controls, what is not assigned

Lower case is that of a single character, by itself, and only where it is a single character: so no language and no
neighbour matters. The rule is made once, when a feature is fitted, and travels with what was fitted, character by
character: a later Unicode changes no model that there is. `models/tokens.py` does the same inside what is served.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

DROPPED, SEPARATOR = 0, ord(" ")
CODE_POINTS = sys.maxunicode + 1
_OF_WORDS, _OF_CHARACTERS = "LMN", "LMNPS"  # first letters of the categories that are kept
_BLOCK_CHARACTERS = 2**20  # read at a time: their copies stay small

Table = npt.NDArray[np.uint32]


@lru_cache(maxsize=4)
def rule(tokens: str, *, lowercase: bool) -> Mapping[str, Any]:
    """Return the rule for tokens that are `words` or `characters`, in plain values, which nobody may change.

    `kept` and `dropped` are ranges `[first, last]` of code points; `lower` are pairs of one and its lower case.
    """
    categories = [unicodedata.category(chr(code)) for code in range(CODE_POINTS)]
    of_tokens = _OF_WORDS if tokens == "words" else _OF_CHARACTERS
    kept = [code for code, category in enumerate(categories) if category[0] in of_tokens]
    dropped = [code for code, category in enumerate(categories) if category == "Cf"]
    is_kept = set(kept)
    lower = []
    for code in kept if lowercase else ():
        text = chr(code).lower()
        if len(text) == 1 and ord(text) != code and ord(text) in is_kept:
            lower.append([code, ord(text)])
    return {"unicode": unicodedata.unidata_version, "kept": _ranges(kept), "dropped": _ranges(dropped), "lower": lower}


def table(of: Mapping[str, Any]) -> Table:
    """Return what each code point becomes, `[code point] uint32`: a code point, DROPPED or SEPARATOR."""
    made = np.full(CODE_POINTS, SEPARATOR, np.uint32)
    for first, last in of["kept"]:
        made[first : last + 1] = np.arange(first, last + 1)
    for first, last in of["dropped"]:
        made[first : last + 1] = DROPPED
    if of["lower"]:
        upper, lower = np.array(of["lower"]).T
        made[upper] = lower
    return made


def _ranges(codes: Iterable[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def read(texts: Sequence[str], characters: Table) -> list[str]:
    """Return each text with every character as the table has it: words of kept ones, separated by blanks."""
    read_so_far: list[str] = []
    codes: npt.NDArray[Any]
    became: npt.NDArray[Any]
    for block in _blocks(texts):
        joined = "\n".join(block)
        ends = np.cumsum([len(text) + 1 for text in block[:-1]], dtype=np.int64) - 1
        if joined.isascii():
            codes, encoding = np.frombuffer(joined.encode("ascii"), np.uint8), "ascii"
            became = characters[:128].astype(np.uint8).take(codes)
        else:
            codes, encoding = np.frombuffer(joined.encode("utf-32-le"), "<u4"), "utf-32-le"
            became = characters.astype("<u4", copy=False).take(codes)
        became[ends] = ord("\n")  # no character becomes one, so it stands between texts alone
        read_so_far += became[became != DROPPED].tobytes().decode(encoding).split("\n")
    return read_so_far


def _blocks(texts: Sequence[str]) -> Iterable[Sequence[str]]:
    """Yield the texts in pieces of about as many characters as are read at a time."""
    start, characters = 0, 0
    for number, text in enumerate(texts):
        characters += len(text)
        if characters >= _BLOCK_CHARACTERS:
            yield texts[start : number + 1]
            start, characters = number + 1, 0
    if start < len(texts):
        yield texts[start:]
