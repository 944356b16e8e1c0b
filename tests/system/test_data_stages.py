"""The data stages on real Spark: from raw rows with every fault there is to augmented images."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
import yaml
from PIL import Image

from pipeline.data.cleaning import CONFLICT, DUPLICATE, UNKNOWN_LABEL, UNREADABLE, WRONG_SIZE
from pipeline.data.shard_tasks import run_tasks
from pipeline.data.sources.rows import SOURCE_SCHEMA, raw_shards
from pipeline.errors import DataError, StorageError
from pipeline.storage import artifacts, shards
from pipeline.storage.manifests import read_manifest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]
CLASSES = ["round", "square", "striped"]
SIDE = 12
STAGES = ("clean", "split", "normalize", "augment")
RUN_STAGES = """
import importlib, sys
from pathlib import Path
from pipeline.stages.context import StageContext
for name in sys.argv[1:]:
    stage = StageContext.load(Path.cwd(), name)
    print(importlib.import_module(f"pipeline.stages.{name}").run(stage), flush=True)
"""

Row = dict[str, Any]


def row(pixels: np.ndarray, label: int, part: str = "train", encoding: str = "raw") -> Row:
    payload = pixels.tobytes()
    if encoding != "raw":
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, encoding.upper())
        payload = content.getvalue()
    height, width = pixels.shape
    return {
        "label": label,
        "part": part,
        "source": f"{part}-images",
        "height": height,
        "width": width,
        "channels": 1,
        "encoding": encoding,
        "payload": payload,
    }


def picture(number: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)


def rows_with_faults() -> tuple[list[Row], Counter[str]]:
    """Return 3 000 good rows, with faulty ones strewn in, and how many are to be rejected for each reason."""
    parts = ["test" if n % 7 == 5 else "train" for n in range(3000)]
    good = [row(picture(n), n % 3, part, "png" if n in range(0, 300, 2) else "raw") for n, part in enumerate(parts)]
    good[7] = row(np.full((SIDE, SIDE), 99, np.uint8), 1, "train", "jpeg")
    damaged_png = row(picture(9001), 0, encoding="png")
    damaged_png["payload"] = damaged_png["payload"][:-30]
    damaged_jpeg = row(picture(9002), 0, encoding="jpeg")
    damaged_jpeg["payload"] = b"\xff\xd8" + damaged_jpeg["payload"][300:]
    faults: list[tuple[str, Row]] = [
        (UNREADABLE, damaged_png),
        (UNREADABLE, damaged_jpeg),
        (UNREADABLE, {**row(picture(9003), 0), "payload": b"short"}),
        (UNREADABLE, {**row(picture(9004), 0), "encoding": "webp"}),
        (WRONG_SIZE, row(picture(9005, SIDE + 1), 0)),
        (WRONG_SIZE, row(picture(9006, SIDE - 1), 0, encoding="png")),
        (UNKNOWN_LABEL, row(picture(9007), 3)),
        (UNKNOWN_LABEL, row(picture(9008), -1)),
        (UNKNOWN_LABEL, row(picture(100), 8)),  # it equals a good row, which is none the worse for it
        (DUPLICATE, row(picture(19), 1)),  # of a test row: this one goes
        (DUPLICATE, row(picture(14), 2, encoding="png")),  # of a png
        (DUPLICATE, row(picture(14), 2)),
        (CONFLICT, row(picture(9009), 0)),
        (CONFLICT, row(picture(9009), 1, "test")),
        (CONFLICT, row(picture(9009), 1)),
    ]
    rows = list(good)
    for workspace, (_, fault) in enumerate(faults):
        rows.insert(200 * workspace + 50, fault)
    return rows, Counter(reason for reason, _ in faults)


def make_root(folder: Path, rows: list[Row], shard_rows: int, **recipe: Any) -> Path:
    """Make a project folder whose `data/raw` holds the rows in shards of a size."""
    for name in ("dvc.yaml", "execution.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] |= {"classes": CLASSES, "image": {"height": SIDE, "width": SIDE, "channels": 1}}
    params["normalize"] = {"height": 16, "width": 10}
    params["augment"] |= {"copies": 2}
    for key, value in recipe.items():
        params[key] |= value
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    named = [{**content, "row": number} for number, content in enumerate(rows)]
    table = pa.concat_tables(raw_shards([pa.Table.from_pylist(named, SOURCE_SCHEMA)]))
    raw = folder / "data" / "raw"
    raw.mkdir(parents=True)
    pieces = [table.slice(start, shard_rows) for start in range(0, table.num_rows, shard_rows)]
    entries = [shards.write_shard(raw, n, shards.RAW_SCHEMA, [piece]) for n, piece in enumerate(pieces)]
    shards.finish_dataset(raw, entries, shards.RAW_SCHEMA)
    artifacts.write_json(folder / "reports" / "contracts" / "raw" / "result.json", {"outcome": "pass"})
    return folder


def command(root: Path, *arguments: str, master: str = "local[2]") -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(root), "RATCHET_SPARK__MASTER": master}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_stages(root: Path, *stages: str, master: str = "local[2]") -> str:
    process = command(root, "-c", RUN_STAGES, *stages, master=master)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): artifacts.digest_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table_of(folder: Path) -> pa.Table:
    return pa.concat_tables(list(shards.iter_tables(folder)))


@pytest.fixture(scope="module")
def faulty() -> tuple[list[Row], Counter[str]]:
    return rows_with_faults()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, faulty: tuple[list[Row], Counter[str]]) -> Path:
    """A project whose data stages have run with two cores on shards of 500 rows."""
    root = make_root(tmp_path_factory.mktemp("two_cores") / "project", faulty[0], 500)
    run_stages(root, *STAGES)
    return root


def test_every_rejected_row_is_kept_with_its_reason_and_the_counts_add_up(done, faulty):
    rows, expected = faulty
    clean = read_manifest(done / "data/clean")
    quarantine = read_manifest(done / "data/quarantine")

    assert Counter(table_of(done / "data/quarantine")["reason"].to_pylist()) == expected
    assert quarantine.counts == {"rejected": dict(expected)}
    assert (clean.counts["in"], clean.counts["kept"], clean.counts["rejected"]) == (len(rows), 3000, expected.total())
    assert clean.rows + quarantine.rows == len(rows)
    raw_ids = table_of(done / "data/raw")["id"].to_pylist()
    kept_ids = table_of(done / "data/clean")["id"].to_pylist()
    rejected_ids = set(table_of(done / "data/quarantine")["id"].to_pylist())
    assert kept_ids == [row_id for row_id in raw_ids if row_id not in rejected_ids]


def test_of_duplicates_across_the_source_s_parts_the_test_row_stays(done):
    image = picture(19).tobytes()
    kept = table_of(done / "data/clean")

    [part] = [row["part"] for row in kept.select(["part", "payload"]).to_pylist() if row["payload"] == image]
    assert part == "test"


def test_each_part_holds_its_rows_at_the_fixed_size(done):
    split = table_of(done / "data/split").to_pylist()
    label_of = {r["id"]: r["label"] for r in table_of(done / "data/clean").select(["id", "label"]).to_pylist()}

    for part in ("train", "validation", "test"):
        images = shards.read_images(done / "data/prepared" / part)
        assert images.ids == [row["id"] for row in split if row["part"] == part]
        assert images.labels.tolist() == [label_of[row_id] for row_id in images.ids]
        assert images.pixels.shape[1:] == (16, 10, 1)


def test_statistics_are_of_the_training_part_alone(done):
    pixels = shards.read_images(done / "data/prepared/train").pixels.astype(float)
    found = json.loads((done / "data/prepared/statistics.json").read_text())

    assert found["rows"] == len(pixels)
    assert found["mean"] == pytest.approx([pixels.mean()], rel=1e-9)
    assert found["std"] == pytest.approx([pixels.std()], rel=1e-9)


def test_every_training_image_gets_its_copies(done):
    training = shards.read_images(done / "data/prepared/train")
    augmented = table_of(done / "data/augmented")
    copies = augmented.select(["id", "label", "copy", "source_id"]).to_pylist()

    expected = {
        (f"{row_id}-{copy}", label, copy, row_id)
        for row_id, label in zip(training.ids, training.labels.tolist(), strict=True)
        for copy in (1, 2)
    }
    assert {(c["id"], c["label"], c["copy"], c["source_id"]) for c in copies} == expected
    assert len(copies) == len(expected)
    counts = read_manifest(done / "data/augmented").counts
    assert counts["copies"] == 2
    assert sum(counts["classes"].values()) == len(copies)


def test_one_core_and_a_second_run_leave_the_same_bytes(done, faulty, tmp_path):
    root = make_root(tmp_path / "one_core", faulty[0], 500)

    run_stages(root, *STAGES, master="local[1]")

    assert files(root / "data") == files(done / "data")


def test_other_shards_leave_the_same_rows(done, faulty, tmp_path):
    root = make_root(tmp_path / "one_shard", faulty[0], 10_000)

    run_stages(root, *STAGES)

    for name in ("clean", "quarantine", "prepared/train", "prepared/test", "augmented"):
        one, other = (table_of(folder / "data" / name).sort_by("id") for folder in (root, done))
        assert one.equals(other), name
    statistics = "data/prepared/statistics.json"
    assert (root / statistics).read_bytes() == (done / statistics).read_bytes()


def test_no_copies_give_a_data_set_without_rows(done, tmp_path):
    root = tmp_path / "no_copies"
    shutil.copytree(done, root)
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["augment"]["copies"] = 0
    (root / "params.yaml").write_text(yaml.safe_dump(params))

    assert "0 images" in run_stages(root, "augment")

    assert read_manifest(root / "data/augmented").rows == 0
    assert shards.read_images(root / "data/augmented").pixels.shape == (0, 16, 10, 1)


def test_a_class_that_loses_all_its_rows_is_named_and_nothing_is_written(tmp_path):
    rows = [row(picture(n), n % 2) for n in range(20)] + [{**row(picture(50), 2), "payload": b"?"}]
    root = make_root(tmp_path / "project", rows, 10)

    process = command(root, "-m", "pipeline", "stage", "clean")
    _, err = process.communicate()

    assert process.returncode == 65
    assert "class 'striped' (label 2) has no rows left of 21 (1 unreadable)" in err
    assert "Traceback" not in err
    assert sorted(path.name for path in (root / "data").iterdir()) == ["raw"]


def wait_until(is_true: Any, timeout_s: float = 120.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end_s, "waited too long"
        time.sleep(0.05)


def processes_in(root: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(root):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue


def test_a_killed_stage_leaves_nothing_half_published_and_no_process_and_can_run_again(done, tmp_path):
    root = tmp_path / "killed"
    shutil.copytree(done, root)
    shutil.rmtree(root / "data/prepared")
    process = command(root, "-c", RUN_STAGES, "normalize")
    wait_until(lambda: list(root.glob("data/.prepared.partial/*/part-*.parquet")))

    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert not (root / "data/prepared").exists()
    wait_until(lambda: not list(processes_in(root)), timeout_s=30)
    run_stages(root, "normalize")
    assert files(root / "data") == files(done / "data")


def test_tasks_return_in_order_and_progress_ends_with_every_row(spark: SparkSession):
    seen: list[tuple[int, int]] = []

    squares = run_tasks(
        spark, lambda n: n * n, [(n, 10) for n in range(9)], lambda done, total: seen.append((done, total))
    )

    assert squares == [n * n for n in range(9)]
    assert seen[-1] == (90, 90)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_an_error_in_a_task_arrives_as_it_was_raised(spark: SparkSession):
    def refuse(number: int) -> int:
        if number == 2:
            raise DataError("shard 2: bad")
        return number

    def lose(_: int) -> bytes:
        return Path("/nowhere/at-all").read_bytes()

    with pytest.raises(DataError, match=r"^shard 2: bad$"):
        run_tasks(spark, refuse, [(n, 1) for n in range(4)], lambda done, total: None)
    with pytest.raises(StorageError, match=r"^/nowhere/at-all: cannot be read or written"):
        run_tasks(spark, lose, [(0, 1)], lambda done, total: None)
