"""Categories as texts: what of a text counts when it is compared with others.

Blanks around it are no part of it, and letters that Unicode writes in two ways are one (NFC): `é`, and `e` with an
accent. All else counts: case, blanks inside, leading zeros. A text of blanks alone is no value.
"""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

# What counts as blank is told by RE2, here and inside the served model: models/preprocessing/category.py.
OUTER_BLANKS = r"^[\s\v\p{Z}]+|[\s\v\p{Z}]+$"
LONGEST = 1000  # characters


def compared(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return texts as they are compared, null if there is none, and whether each is too long: those are null, too."""
    bare = pc.replace_substring_regex(texts, OUTER_BLANKS, "")
    is_long = pc.greater(pc.utf8_length(bare), LONGEST).fill_null(False)
    is_none = pc.or_(is_long, pc.equal(pc.binary_length(bare), 0).fill_null(True))
    return _composed(pc.if_else(is_none, pa.scalar(None, texts.type), bare)), is_long


def _composed(texts: pa.Array) -> pa.Array:
    """Return texts in NFC. Python's: what Arrow 25.0.1 calls so is NFD (apache/arrow#51225)."""
    is_other = pc.invert(pc.string_is_ascii(texts)).fill_null(False)
    if not pc.any(is_other).as_py():
        return texts
    others = [unicodedata.normalize("NFC", text) for text in texts.filter(is_other).to_pylist()]
    return pc.replace_with_mask(texts, is_other, pa.array(others, texts.type))
