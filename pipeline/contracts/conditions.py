"""Great Expectations' commonest conditions on rows, as SQL: one text for what is dozens of calls into the JVM.

Each is, word for word, what Great Expectations' own Spark metric builds, for the types of column and of argument that
stand here. Anything else is None: the metric then comes from Great Expectations itself, with its own errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from pyspark.sql.types import DataType

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def unexpected_rows(metric: str, column: str, arguments: Mapping[str, Any], kind: DataType) -> str | None:
    """Return the condition in SQL that holds for the rows that a metric such as `column_values.null` does not expect.

    Whether null is unexpected: see the condition. A row for which it is null is not counted.
    """
    if not _PLAIN_NAME.fullmatch(column):
        return None
    name, given = f"`{column}`", {key: value for key, value in arguments.items() if value is not None}
    expected = None
    match metric:
        case "column_values.nonnull":
            return f"{name} IS NULL"
        case "column_values.null":
            return f"{name} IS NOT NULL"
        case "column_values.between":
            expected = _between(name, given, kind)
        case "column_values.in_set":
            expected = _in_set(name, given, kind)
        case "column_values.match_regex":
            expected = _matches(name, given, kind)
    return expected and f"{name} IS NOT NULL AND NOT ({expected})"


def is_of_type(values: Any, kind: DataType) -> TypeGuard[Sequence[Any]]:
    """Whether these are values, one at least, that a text column or a column of integers can hold as they are."""
    from pyspark.sql import types

    if not isinstance(values, list | tuple) or not values:
        return False
    if isinstance(kind, types.IntegralType):
        return all(type(value) is int and _is_finite(value) for value in values)
    return kind == types.StringType() and all(type(value) is str for value in values)


def _between(name: str, given: Mapping[str, Any], kind: DataType) -> str | None:
    low, high = given.get("min_value"), given.get("max_value")
    bounds = [bound for bound in (low, high) if bound is not None]
    known = {"min_value", "max_value", "strict_min", "strict_max"}
    is_known = _is_number(kind) and set(given) <= known and all(_is_finite(bound) for bound in bounds)
    if not bounds or not is_known or (len(bounds) == 2 and bounds[0] > bounds[1]):
        return None
    parts = []
    if low is not None:
        parts.append(f"{name} {'>' if given.get('strict_min') else '>='} {_number(low)}")
    if high is not None:
        parts.append(f"{name} {'<' if given.get('strict_max') else '<='} {_number(high)}")
    return " AND ".join(parts)


def _in_set(name: str, given: Mapping[str, Any], kind: DataType) -> str | None:
    values = given.get("value_set")
    if set(given) != {"value_set"} or not is_of_type(values, kind):
        return None
    return f"{name} IN ({', '.join(_text(value) if isinstance(value, str) else _number(value) for value in values)})"


def _matches(name: str, given: Mapping[str, Any], kind: DataType) -> str | None:
    from pyspark.sql import types

    pattern = given.get("regex")
    if kind != types.StringType() or set(given) != {"regex"} or not isinstance(pattern, str):
        return None
    return f"{name} RLIKE {_text(pattern)}"


def _is_number(kind: DataType) -> bool:
    from pyspark.sql import types

    return isinstance(kind, types.IntegralType | types.FractionalType) and not isinstance(kind, types.DecimalType)


def _is_finite(value: Any) -> bool:
    """Whether it is a number that Spark has a literal for."""
    return (type(value) is int and abs(value) < 2**63) or (type(value) is float and math.isfinite(value))


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value!r}D"
    return f"{value}" if abs(value) < 2**31 else f"{value}L"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
