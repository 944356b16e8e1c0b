"""A user id of which the system knows neither name nor home, as in many containers: Spark works, DVC runs stages."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.nameless import UID, call_nameless
from tests.system.project import make_project

SPARK = """
import sys
from pathlib import Path
from pipeline.cli.command import project_root
from pipeline.recipe.execution import SparkSettings
from pipeline.runtime.spark import spark_session

project_root()
with spark_session(SparkSettings(), "nameless") as spark:
    spark.range(10).write.parquet(Path(sys.argv[1]).as_uri())
    print(spark.sparkContext.sparkUser(), spark.read.parquet(Path(sys.argv[1]).as_uri()).count())
"""


def test_spark_starts_and_works_with_files(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = call_nameless([sys.executable, "-c", SPARK, str(tmp_path / "rows")], root)
    assert done.stdout == f"uid-{UID} 10\n", done.stderr


def test_dvc_runs_stages_that_use_spark(tmp_path: Path) -> None:
    project = make_project(tmp_path / "a 'folder'")
    told = {"PATH": project.environment["PATH"], "PYTHONPATH": str(project.root)}
    asked = call_nameless(["ratchet", "doctor"], project.root, **told)
    assert f"`export LOGNAME=uid-{UID} HOME=" in asked.stdout
    done = call_nameless(
        ["dvc", "repro", "clean"], project.root, **told, LOGNAME=f"uid-{UID}", HOME=str(tmp_path / "home")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.json("data/clean/manifest.json")["rows"] == 1797
