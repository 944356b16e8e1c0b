"""Numbers written as text: which texts are numbers, and which ones.

The grammar is ours, so that no library's idea of a number decides: an optional sign, decimal digits, optionally a
fraction after the declared sign for it, optionally an exponent. `007`, `.5`, `5.` and `1e-3` are numbers; `nan`, `inf`,
`0x1F`, `1_000`, `1 000`, `1,000.5` and digits of other scripts are none. Blanks around a number are no part of it, and
a text of blanks alone is no value.

Every step is over whole columns. What is matched is read by Arrow, correctly rounded (fast_float: Lemire, Number
parsing at a gigabyte per second, 2021); −0.0 becomes 0.0.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.category_texts import OUTER_BLANKS

Decimal = Literal[".", ","]
# RE2: linear in the text, however long that is. `[0-9]`, since `\d` is a matter of options.
_GRAMMAR = r"^[+-]?([0-9]+({0}[0-9]*)?|{0}[0-9]+)([eE][+-]?[0-9]+)?$"
_GRAMMARS: dict[Decimal, str] = {".": _GRAMMAR.format(r"\."), ",": _GRAMMAR.format(",")}


class ReadNumbers(NamedTuple):
    """What texts hold, `[row]` each: `values` are float64, infinite where they are beyond it, NaN where there is none.

    A row that `is_blank` has no value; one that is neither blank nor `is_number` holds something else.
    """

    values: npt.NDArray[np.float64]
    is_blank: npt.NDArray[np.bool_]
    is_number: npt.NDArray[np.bool_]

    def at(self, places: npt.NDArray[Any]) -> ReadNumbers:
        """Return what the texts at these places hold, `[place]` each."""
        return ReadNumbers(self.values[places], self.is_blank[places], self.is_number[places])


def read_numbers(texts: pa.ChunkedArray | pa.Array, decimal: Decimal) -> ReadNumbers:
    """Return the numbers in a column of texts; null is no value."""
    bare, is_number = pc.ascii_trim_whitespace(texts), None
    is_number = _matches(bare, decimal)
    if not is_number.all():  # only now the blanks of other scripts: most columns have none
        bare = pc.replace_substring_regex(bare, OUTER_BLANKS, "")
        is_number = _matches(bare, decimal)
    is_blank = _bools(pc.equal(pc.binary_length(bare), 0).fill_null(True))
    plain = bare if is_number.all() else pc.if_else(pa.array(is_number), bare, None)
    if decimal == ",":
        plain = pc.replace_substring(plain, ",", ".")
    if pc.any(pc.starts_with(plain, "+")).as_py():
        plain = pc.utf8_ltrim(plain, "+")
    values = plain.cast(pa.float64()).fill_null(np.nan).to_numpy()
    return ReadNumbers(values + 0.0, is_blank, is_number)


def _matches(texts: pa.ChunkedArray | pa.Array, decimal: Decimal) -> npt.NDArray[np.bool_]:
    return _bools(pc.match_substring_regex(texts, _GRAMMARS[decimal]).fill_null(False))


def _bools(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = np.asarray(column.to_numpy(zero_copy_only=False), np.bool_)
    return found
