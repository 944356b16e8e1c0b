"""The proof that no name is in two parts, in eight bytes a name: so it holds for more rows than their names have room.

Names of different hashes are different. Where hashes are equal, which of different names almost none are, the names
themselves are compared: the proof is exact, whatever the hashes are.

It is of equal content. Rows of two parts that only look the same are proven of nothing here; they are counted by
`near_duplicates.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError

Hashes = npt.NDArray[np.uint64]
# Equal rows, if they are kept, may stand in two parts of a source; those of different targets may have thresholds of
# their own in a frozen split.
_ADVICE = {
    "content_digest": "where data.equal_rows keeps such rows, reject them: duplicates with split.method source, "
    "conflicts with a frozen split; otherwise run stage clean again",
    "group": "split.method grouped keeps a group's rows together; with another method give them to one part, or leave "
    "data.roles.group out",
}


@dataclass(frozen=True)
class Names:
    """A name of each row: their hashes, `[row]`, and how to read them once more, some at a time, with their hashes."""

    hashes: Hashes
    read: Callable[[], Iterable[tuple[Sequence[str], Hashes]]]


def prove_apart(parts: Sequence[str], codes: npt.NDArray[np.int8], names: Mapping[str, Names]) -> Mapping[str, Any]:
    """Return the proof that no name is in two parts; raise DataError naming one that is.

    `codes` are the rows' parts, `[row]`, as indices into `parts`. `names` are by what they are: id, content_digest …
    """
    distinct = {f"distinct_{what}s": _distinct(what, parts, codes, each) for what, each in names.items()}
    return {"rows": len(codes), **distinct, **{f"{what}s_in_two_parts": 0 for what in names}}


def _distinct(what: str, parts: Sequence[str], codes: npt.NDArray[np.int8], names: Names) -> int:
    """Return how many different names there are; raise DataError if one is in two parts."""
    in_order = np.sort(names.hashes)
    repeated = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    if not len(repeated):
        return len(codes)
    part_of: dict[str, int] = {}
    start = compared = 0
    for some, hashes in names.read():
        rows = np.flatnonzero(np.isin(hashes, repeated)).tolist()
        for row in rows:
            code = int(codes[start + row])
            if part_of.setdefault(some[row], code) != code:
                raise DataError(
                    f"split: {what.replace('_', ' ')} {some[row]} is both in the {parts[part_of[some[row]]]} and in "
                    f"the {parts[code]} part; {_ADVICE.get(what, 'run stage clean again')}"
                )
        start, compared = start + len(some), compared + len(rows)
    return len(codes) - compared + len(part_of)
