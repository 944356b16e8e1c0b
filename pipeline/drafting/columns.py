"""What the columns of a table hold, counted over all of its rows: no type is guessed from the first ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.number_texts import Decimal, read_numbers

# Texts that people write where there is no value; a table's own if all else in the column is a number.
NOTHINGS = ("NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "None", "?", "-", "--", ".", "#N/A")
MOST_VALUES = 20_000  # different ones of a column that are counted
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.,+Z-]*)?$"
_ID = re.compile(r"(?i)(.*[^a-z])?(id|key|uuid|index|rownames?|row|no|nr|number|unnamed: 0)")
_CODE = r"^[+-]?0[0-9]"  # a number that begins so is a code: 007


@dataclass
class Column:
    """What a column's texts are. `values` are the different ones with their rows, None if there are too many.

    `numbers` are the rows whose text is a number, by what stands before the fraction; `codes`, those of which it begins
    with a zero. `blanks` are the texts of blanks alone. `low` and `high` are the least and the greatest number.
    """

    name: str
    rows: int = 0
    blank: int = 0
    blanks: set[str] = field(default_factory=set)
    values: Counter[str] | None = field(default_factory=Counter)
    numbers: dict[Decimal, int] = field(default_factory=lambda: {".": 0, ",": 0})
    whole: int = 0
    codes: int = 0
    dates: int = 0
    nothings: Counter[str] = field(default_factory=Counter)
    low: float = np.inf
    high: float = -np.inf
    characters: int = 0
    longest: int = 0
    words: int = 0

    @property
    def given(self) -> int:
        """The rows that have a value: neither blank, nor one of `NOTHINGS`."""
        return self.rows - self.blank - self.nothings.total()

    @property
    def distinct(self) -> int:
        """How many different values there are, those that mean nothing left out; at most `MOST_VALUES` are counted."""
        return MOST_VALUES if self.values is None else len(self.values) - len(self.nothings)

    @property
    def levels(self) -> int:
        """How many different values there are for its kind: in a column of texts, `None` and `NA` are texts, too."""
        return self.distinct + (len(self.nothings) if self.values is not None and self.decimal is None else 0)

    @property
    def decimal(self) -> Decimal | None:
        """What stands before the fraction if all values are numbers; None if they are not."""
        return next((sign for sign in (".", ",") if self.given and self.numbers[sign] == self.given), None)

    def add(self, texts: pa.Array) -> None:
        """Count some rows' texts; null is no value."""
        counted = pc.value_counts(texts)
        values, counts = counted.field("values"), counted.field("counts").to_numpy()
        self.rows += len(texts)
        self.longest = max(self.longest, pc.max(pc.utf8_length(values)).as_py() or 0)
        is_blank = pc.fill_null(pc.equal(pc.binary_length(pc.ascii_trim_whitespace(values)), 0), True)
        self.blank += int(counts[_bools(is_blank)].sum())
        self.blanks.update(text for text in values.filter(is_blank).to_pylist() if text)
        is_value = ~_bools(is_blank)
        values, counts = values.filter(pa.array(is_value)), counts[is_value]
        self._count(values, counts)
        is_nothing = _bools(pc.is_in(values, pa.array(NOTHINGS)))
        for text, rows in zip(
            values.filter(pa.array(is_nothing)).to_pylist(), counts[is_nothing].tolist(), strict=True
        ):
            self.nothings[text] += rows
        values, counts = values.filter(pa.array(~is_nothing)), counts[~is_nothing]
        if len(values):
            self._look(values, counts)

    def _count(self, values: pa.Array, counts: np.ndarray) -> None:
        if self.values is None:
            return
        for text, rows in zip(values.to_pylist(), counts.tolist(), strict=True):
            self.values[text] += rows
        if len(self.values) > MOST_VALUES:
            self.values = None

    def _look(self, values: pa.Array, counts: np.ndarray) -> None:
        for sign in self.numbers:
            read = read_numbers(values, sign)
            self.numbers[sign] += int(counts[read.is_number].sum())
            finite = read.values[read.is_number & np.isfinite(read.values)]
            if len(finite):
                self.low, self.high = min(self.low, finite.min()), max(self.high, finite.max())
            if sign == ".":
                is_whole = read.is_number & (np.floor(read.values) == read.values)
                self.whole += int(counts[is_whole].sum())
        self.codes += int(counts[_bools(pc.match_substring_regex(values, _CODE))].sum())
        self.dates += int(counts[_bools(pc.match_substring_regex(values, _DATE))].sum())
        lengths = pc.utf8_length(values).to_numpy()
        self.characters += int((lengths * counts).sum())
        words = pc.add(pc.count_substring_regex(values, r"\S+\s"), 1).to_numpy()
        self.words += int((words * counts).sum())


def _bools(mask: pa.Array) -> np.ndarray:
    found: np.ndarray = mask.to_numpy(zero_copy_only=False).astype(np.bool_)
    return found


def count_columns(tables: Iterable[pa.Table], names: Sequence[str]) -> tuple[list[Column], Counter[str]]:
    """Return what the columns `c0`, `c1` … of tables hold, called by `names`; and the rows that cannot be used.

    These are counted by their problems, and not among the columns' rows.
    """
    columns = [Column(name) for name in names]
    problems: Counter[str] = Counter()
    for table in tables:
        if "problem" in table.column_names:
            problems.update(table["problem"].drop_null().to_pylist())
            table = table.filter(pc.is_null(table["problem"]))
        for number, column in enumerate(columns):
            column.add(table[f"c{number}"].combine_chunks())
    return columns, problems


def looks_like_an_id(column: Column) -> bool:
    """Return whether a column is what rows are called: by its name, and as no two rows have one value."""
    is_unique = column.values is None or column.distinct == column.rows
    return _ID.fullmatch(column.name) is not None and is_unique and column.given == column.rows
