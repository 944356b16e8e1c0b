"""Archives the classes that Spark's JVM loads, so that it starts in half the time: class data sharing of the JVM.

    python scripts/archive_classes.py ARCHIVE

A JVM that is given another archive than its own (another Java, other files on the class path) does without. What is
loaded here is what the stages need: tasks in Python, Parquet, windows, aggregates, and what goes through Arrow.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as sql

OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # those of pipeline/runtime/spark.py
ROWS = 4096
END_WITHIN_S = 600.0  # it writes the archive then


def work(session: SparkSession, folder: Path) -> None:
    """Let the JVM load what stages need, in jobs of a second."""
    context = session.sparkContext
    done = context.accumulator(0)

    def double(number: int) -> int:
        done.add(1)
        return 2 * number

    context.parallelize(range(8), 4).map(double).collect()
    numbers = list(range(ROWS))
    table = pa.table({"number": numbers, "text": [str(number % 7) for number in numbers], "x": pa.array(numbers, "f8")})
    pq.write_table(table, folder / "rows.parquet")
    rows = session.read.schema("number long, text string, x double").parquet(str(folder / "rows.parquet")).persist()
    equal = Window.partitionBy("text")
    found = rows.where(sql.col("x") >= 0).select(
        "number",
        sql.row_number().over(equal.orderBy("number")).alias("place"),
        sql.max("x").over(equal).alias("highest"),
        sql.concat_ws(", ", sql.sort_array(sql.collect_set("text").over(equal))).alias("texts"),
    )
    found.where(sql.col("place") > 1).toArrow()
    rows.groupBy("text").agg(
        sql.count(sql.lit(1)), sql.countDistinct("number"), sql.percentile_approx("x", 0.5)
    ).collect()
    rows.select(
        sql.count("*"), sql.sum(sql.col("x").isNull().cast("int")), sql.min("x"), sql.max("x"), sql.stddev("x")
    ).toPandas()

    def same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from batches

    rows.mapInArrow(same, rows.schema).count()
    session.createDataFrame(table).orderBy("number").limit(3).collect()
    rows.unpersist()


def main(archive: Path) -> None:
    """Start a JVM that writes the archive when it ends; it appears whole, or not at all."""
    os.environ |= {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with tempfile.TemporaryDirectory(dir=archive.parent) as name:
        written = Path(name) / "classes"
        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        options = f'{OPTIONS} -Xlog:disable "-XX:ArchiveClassesAtExit={written}"'
        session = builder.config("spark.driver.extraJavaOptions", options).getOrCreate()
        gateway = session.sparkContext._gateway  # noqa: SLF001 - PySpark has no other way to the JVM
        work(session, Path(name))
        session.stop()
        gateway.proc.stdin.close()  # at which it ends
        try:
            code = gateway.proc.wait(END_WITHIN_S)
        finally:
            gateway.proc.kill()
        if code or not written.is_file():
            sys.exit(f"the JVM ended with {code} and has written no archive")
        written.replace(archive)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
