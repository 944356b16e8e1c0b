"""Flights from CSV to prepared rows by Polars, for `tables.py`: in an environment of its own, which has no Ratchet.

    python benchmarks/tables_elsewhere.py CORES

Each line on standard input names a folder of CSV files and one to write, a tab between them; for each, a line with the
seconds it took is answered. So what starts up has started before it counts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

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


def main() -> None:
    """Answer each line."""
    os.environ["POLARS_MAX_THREADS"] = sys.argv[1]
    run = polars_way()
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else is printed is no answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        source, target = line.rstrip("\n").split("\t")
        begun_s = time.perf_counter()
        run(source, target)
        print(time.perf_counter() - begun_s, file=answers, flush=True)


if __name__ == "__main__":
    main()
