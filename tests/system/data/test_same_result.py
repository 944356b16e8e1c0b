"""Cores, partitions, batches, processes, shards and a kill change nothing of what the data stages leave."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.storage.manifests import read_manifest
from tests.processes_in import processes_in
from tests.system.data.faulty_rows import STAGES, files, make_root, table_of
from tests.system.project import spark_cut_by
from tests.waiting import size_of, wait_for, work_of

RUN_STAGES = """
import importlib, sys
from pathlib import Path
from pipeline.stages.context import StageContext
for name in sys.argv[1:]:
    stage = StageContext.load(Path.cwd(), name)
    print(importlib.import_module(f"pipeline.stages.{name}").run(stage), flush=True)
"""


def started(root: Path, *stages: str, cut_by: int = 2, **changes: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(root), **spark_cut_by(cut_by), **changes}
    return subprocess.Popen(
        [sys.executable, "-c", RUN_STAGES, *stages],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_stages(root: Path, *stages: str, cut_by: int, **changes: str) -> None:
    """Run stages in a process of their own, with changes to its environment."""
    process = started(root, *stages, cut_by=cut_by, **changes)
    _, err = process.communicate()
    assert process.returncode == 0, err


@pytest.mark.parametrize("cut_by", [1, 2, 7])
def test_cores_partitions_and_batches_of_arrow_leave_the_same_bytes(done, faulty, tmp_path, cut_by):
    root = make_root(tmp_path / "cut", faulty[0], 500)

    run_stages(root, *STAGES, cut_by=cut_by)

    assert files(root / "data") == files(done / "data")


def test_other_shards_leave_the_same_rows(done, faulty, tmp_path, run_here):
    root = make_root(tmp_path / "one_shard", faulty[0], 10_000)

    run_here(root, *STAGES)

    for name in ("clean", "unlabelled", "quarantine", "prepared/train", "prepared/test", "augmented"):
        one, other = (table_of(folder / "data" / name).sort_by("id") for folder in (root, done))
        assert one.equals(other), name
    one, other = (read_manifest(folder / "data/prepared/test").features for folder in (root, done))
    assert one == other


@pytest.mark.parametrize(
    ("stage", "out", "shard"),
    [
        ("clean", "data/clean", "data/.clean.partial/.aside/part-*.parquet"),
        ("normalize", "data/prepared", "data/.prepared.partial/*/part-*.parquet"),
    ],
)
def test_a_killed_stage_leaves_nothing_half_published_and_no_process_and_can_run_again(
    done, tmp_path, run_here, stage, out, shard
):
    root = tmp_path / "killed"
    shutil.copytree(done, root)
    shutil.rmtree(root / out)
    process = started(root, stage)
    wait_for(
        lambda: list(root.glob(shard)) or process.poll() is not None,
        "a first shard that is not published yet",
        progress=lambda: (size_of(root / "data"), work_of(processes_in(root))),
    )

    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert not (root / out).exists()
    wait_for(
        lambda: not processes_in(root), "no process is left", progress=lambda: {one.pid for one in processes_in(root)}
    )
    run_here(root, stage)
    assert files(root / "data") == files(done / "data")
