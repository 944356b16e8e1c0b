"""`make bench`: one benchmark that could not measure, or failed, does not keep the others from running."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import run_all

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three benchmarks that only exit."""
    for name, code in (("airflow", 3), ("memory", 75), ("reading", 0)):
        (tmp_path / f"{name}.py").write_text(f"if __name__ == '__main__':\n    raise SystemExit({code})\n")
    (tmp_path / "quiet.py").write_text("raise SystemExit('this is no command')\n")
    (tmp_path / "run_all.py").write_text("__main__: this one\n")
    return tmp_path


def test_all_commands_run_whatever_the_others_do(folder: Path) -> None:
    assert run_all.run(run_all.benchmarks_in(folder)) == {"airflow": 3, "memory": 75, "reading": 0}


def test_the_list_at_the_end_says_how_each_ended() -> None:
    assert run_all.summary({"airflow": 3, "memory": 75, "reading": 0, "contracts": 75}) == [
        "measured           reading",
        "could not measure  memory, contracts",
        "failed             airflow (exit 3)",
    ]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([0, 75], os.EX_TEMPFAIL), ([75, 2], 1), ([1, 0], 1), ([-9, 75], 1)],
)
def test_the_worst_outcome_decides_the_exit_code(codes: list[int], expected: int) -> None:
    assert run_all.exit_code({str(number): code for number, code in enumerate(codes)}) == expected


def test_each_benchmark_of_the_project_is_one_of_them() -> None:
    assert [path.stem for path in run_all.benchmarks_in(ROOT / "benchmarks")] == [
        "airflow",
        "baselines",
        "contracts",
        "exports",
        "memory",
        "near_duplicates",
        "no_op_run",
        "photograph",
        "pictures",
        "reading",
        "scoring",
        "serving",
        "spark_stages",
        "tables",
        "training_throughput",
        "warm_run",
    ]
