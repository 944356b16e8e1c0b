"""Flights from CSV to prepared rows by Polars, for `tables.py`: in an environment of its own, which has no Ratchet.

    python benchmarks/tables_elsewhere.py CORES

Each line on standard input names a way, a folder of CSV files and one to write, tabs between them; for each, a line
with the seconds it took is answered. So what starts up has started before it counts. The ways:

prepared   prepared rows, and nothing else: one expression, all in memory
kept       what the stages leave: rows as they came, cleaned, divided and prepared, each as files with a digest that
           whoever reads them holds them to; ids and digests of rows by SHA-256; prepared rows in the order of their ids
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUMBERS = ("hour", "minute", "sched_dep_time", "sched_arr_time", "distance")
CATEGORIES = ("carrier", "origin", "dest")
LATE_MIN = 29.5
TRAIN, TEST_FROM = 0.6, 0.7  # shares of the rows by time


def polars_way() -> Callable[[str, str], None]:
    """Return Polars' own expressions: parse, clean, divide by time, z-scores and indices by the training part."""
    import polars as pl

    def run(source: str, target: str) -> None:
        wanted = ["time_hour", *NUMBERS, *CATEGORIES, "arr_delay"]
        rows = (
            pl.scan_csv(f"{source}/*.csv", null_values=["NA"])
            .select(wanted)
            .drop_nulls("arr_delay")
            .with_columns(
                pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ"),
                (pl.col("arr_delay") > LATE_MIN).cast(pl.Int32).alias("label"),
            )
        )
        rows = rows.drop("arr_delay").unique()  # rows are equal by their class, not by their minutes
        table = rows.collect().sort("time_hour")
        validation, test = (table["time_hour"][int(share * len(table))] for share in (TRAIN, TEST_FROM))
        when = pl.col("time_hour")
        training = table.filter(when < validation)
        scaled = [
            ((pl.col(name) - training[name].mean()) / training[name].std(ddof=0)).cast(pl.Float32) for name in NUMBERS
        ]
        for name in CATEGORIES:
            counts = training[name].value_counts().sort(["count", name], descending=[True, False])
            vocabulary = counts[name].to_list()
            indices = pl.col(name).replace_strict(vocabulary, range(1, len(vocabulary) + 1), default=0)
            scaled.append(indices.cast(pl.Int32))
        parts = {
            "train": when < validation,
            "validation": (when >= validation) & (when < test),
            "test": when >= test,
        }
        for part, is_in in parts.items():
            folder = Path(target) / part
            folder.mkdir(parents=True)
            table.filter(is_in).select("label", *scaled).write_parquet(
                folder / "part.parquet", compression="uncompressed"
            )

    return run


class Kept:
    """Tables as files in a folder, each with its digest."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._digests = folder, dict[str, str]()
        folder.mkdir(parents=True)

    def write(self, name: str, table: Any) -> None:
        """Write a table, and bring it to the disk."""
        path = self._folder / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        table.write_parquet(path, compression="uncompressed")
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
        self._digests[name] = self._digest(path)

    def read(self, name: str) -> Any:
        """Read a table, if its bytes are those that were written."""
        import polars as pl

        path = self._folder / f"{name}.parquet"
        if self._digest(path) != self._digests[name]:
            raise SystemExit(f"{path}: not what was written")
        return pl.read_parquet(path)

    @staticmethod
    def _digest(path: Path) -> str:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def kept_way() -> Callable[[str, str], None]:
    """Return Polars' own expressions for what the stages leave; SHA-256 is Python's, as Polars has none."""
    import polars as pl

    columns = ["time_hour", *NUMBERS, *CATEGORIES, "arr_delay"]
    held = ["time", *NUMBERS, *CATEGORIES]

    def hashed(texts: pl.Series) -> pl.Series:
        return pl.Series([hashlib.sha256(text).hexdigest() for text in texts.cast(pl.Binary).to_list()])

    def joined(names: list[str]) -> pl.Expr:
        return pl.concat_str([pl.col(name).cast(pl.String) for name in names], separator="\0", ignore_nulls=True)

    def run(source: str, target: str) -> None:
        kept = Kept(Path(target))
        files = sorted(Path(source).glob("*.csv"))
        read = [
            pl.read_csv(file, infer_schema=False, columns=columns)
            .with_row_index("row")
            .with_columns(pl.lit(file.name).alias("source"))
            for file in files
        ]
        raw = pl.concat(read)
        raw = raw.with_columns(hashed(raw.select(joined(columns)).to_series()).alias("content_digest"))
        again = pl.col("content_digest").cum_count().over("content_digest") - 1
        named = raw.select(pl.concat_str([pl.lit("train"), "content_digest", again.cast(pl.String)], separator="\0"))
        kept.write("raw", raw.with_columns(hashed(named.to_series()).str.slice(0, 32).alias("id")))

        rows = kept.read("raw").filter(pl.col("arr_delay") != "NA")
        rows = rows.with_columns(
            pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ").alias("time"),
            *(pl.col(name).cast(pl.Float64) for name in NUMBERS),
            (pl.col("arr_delay").cast(pl.Float64) > LATE_MIN).cast(pl.Int32).alias("label"),
        )
        rows = rows.with_columns(hashed(rows.select(joined(held)).to_series()).alias("content_digest"))
        rows = rows.unique(["content_digest", "label"], keep="first", maintain_order=True)
        kept.write("clean", rows.drop("time_hour", "arr_delay"))

        times = kept.read("clean").select("id", "time")
        in_order = times["time"].sort()
        validation, test = (in_order[int(share * len(in_order))] for share in (TRAIN, TEST_FROM))
        when = pl.col("time")
        part = pl.when(when < validation).then(pl.lit("train")).when(when < test).then(pl.lit("validation"))
        kept.write("split", times.select("id", part.otherwise(pl.lit("test")).alias("part")))

        rows, parts = kept.read("clean"), kept.read("split")
        training = rows.filter(parts["part"] == "train")
        scaled = [
            ((pl.col(name) - training[name].mean()) / training[name].std(ddof=0)).cast(pl.Float32) for name in NUMBERS
        ]
        for name in CATEGORIES:
            vocabulary = training[name].value_counts().sort(["count", name], descending=[True, False])[name].to_list()
            indices = pl.col(name).replace_strict(vocabulary, range(1, len(vocabulary) + 1), default=0)
            scaled.append(indices.cast(pl.Int32))
        for name in ("train", "validation", "test"):
            of_part = rows.filter(parts["part"] == name).sort("id")
            kept.write(f"{name}/part", of_part.select("id", "label", *scaled))
            if name != "train":
                kept.write(f"served/{name}", of_part.select("id", *NUMBERS, *CATEGORIES))

    return run


def main() -> None:
    """Answer each line."""
    os.environ["POLARS_MAX_THREADS"] = sys.argv[1]
    ways = {"prepared": polars_way(), "kept": kept_way()}
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else is printed is no answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        way, source, target = line.rstrip("\n").split("\t")
        begun_s = time.perf_counter()
        ways[way](source, target)
        print(time.perf_counter() - begun_s, file=answers, flush=True)


if __name__ == "__main__":
    main()
