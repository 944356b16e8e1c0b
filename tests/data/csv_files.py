"""What the tests of tables share: files of delimited text, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.data.csv_blocks import OpenedCsv
from pipeline.data.delimited_files import Bounds
from pipeline.data.sources.csv import Settings, open_source
from pipeline.data.wanted import Wanted, WantedFeature
from pipeline.recipe.recipe import Roles
from pipeline.recipe.table_source import Dialect

BOUNDS = Bounds(2**30, "largest_total_gib", 200)


def write(path: Path, content: str | bytes) -> Path:
    """Write a file with its folders; text as UTF-8, its line ends as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def opened(path: Path, **dialect: Any) -> OpenedCsv:
    """Open a file in a dialect."""
    return OpenedCsv(path, path.name, Dialect.model_validate(dialect), BOUNDS)


def records(path: Path, columns: Sequence[str] | None = None, **dialect: Any) -> list[dict[str, Any]]:
    """Return a file's rows, each with its number, problem and detail under names that no column has."""
    file, found = opened(path, **dialect), []
    for block in file.blocks(file.names if columns is None else columns):
        rows = block.table.num_rows
        none = pa.nulls(rows, pa.string())
        for values, row, problem, detail in zip(
            block.table.to_pylist(), block.rows.to_pylist(), (block.problems or none).to_pylist(),
            (block.details or none).to_pylist(), strict=True,
        ):  # fmt: skip
            found.append({**values, "(row)": row, "(problem)": problem, "(detail)": detail})
    return found


def wanted(*features: str, classes: Sequence[str] = (), roles: dict[str, Any] | None = None) -> Wanted:
    """Return what is wanted of features: `name`, or `name:kind`, or `name:kind:column`."""
    made = []
    for each in features:
        name, kind, column = [*each.split(":"), "", ""][:3]
        made.append(WantedFeature(name, kind or "category", column or name))
    return Wanted(tuple(classes), tuple(made), Roles.model_validate(roles or {}))


def tables(folder: Path, asked: Wanted, **settings: Any) -> list[pa.Table]:
    """Return the tables of source csv in a folder."""
    return list(open_source(Settings.model_validate(settings), folder, asked).tables)


def rows(folder: Path, asked: Wanted, **settings: Any) -> list[dict[str, Any]]:
    """Return the rows of source csv in a folder."""
    return [row for table in tables(folder, asked, **settings) for row in table.to_pylist()]
