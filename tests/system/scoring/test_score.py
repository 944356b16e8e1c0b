"""Batch scoring for real: a registry's champion, Spark's workers, files with every kind of row, and a kill."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from pipeline.data.sources import idx
from pipeline.export.ask import ask
from pipeline.recipe.execution import load_execution
from pipeline.records.served_model import SERVED_FILE, ServedFormat, ServedInput, ServedModel
from pipeline.registry.store import resolve_store
from pipeline.registry.tracking import open_client
from pipeline.runtime.progress import Progress
from pipeline.scoring.job import REJECTED, Aside
from pipeline.scoring.score import Scored, ScoreOptions, score
from pipeline.storage.artifacts import digest_file
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import write_record
from tests.system.project import Project, make_project
from tests.system.registry.test_published_before import BEFORE, publish
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TIMES = 12  # the digits' rows, so that there are several shards
CLASSES = tuple(f"digit {number}" for number in range(10))
Run = Callable[..., Scored]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose champion an earlier Ratchet has published, and rows that nobody has labelled rightly."""
    made = make_project(tmp_path_factory.mktemp("scoring") / "project")
    client = open_client(resolve_store(made.root, load_execution(made.root).mlflow))
    publish(client, made.root / "registry" / "artifacts", BEFORE / "v2")
    write_new(made.root / "digits", made.root / "new")
    return made


def write_new(source: Path, target: Path) -> None:
    """Write the training images several times over, as an idx folder; every label is 77, of no class."""
    images = gzip.decompress((source / "train-images-idx3-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 8, 8)
    pixels = np.concatenate([pixels] * TIMES)
    target.mkdir()
    (target / "train-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, *pixels.shape) + pixels.tobytes())
    labels = np.full(len(pixels), 77, np.uint8)
    (target / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, len(labels)) + labels.tobytes())


@pytest.fixture(scope="module")
def run(project: Project, spark: SparkSession) -> Run:
    """Score in this process, by the Spark of all tests."""

    def run(source: str, output: str, **options: Any) -> Scored:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(spark), "stop", lambda session: None)
            asked = ScoreOptions(project.root / source, project.root / output, **options)
            return score(project.root, asked, Progress("score"))

    return run


@pytest.fixture(scope="module")
def whole(run: Run) -> Scored:
    """The new rows, scored without an interruption."""
    return run("new", "scores/whole")


def read(folder: Path) -> pa.Table:
    return pq.read_table([folder / entry.path for entry in read_manifest(folder).files])


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_row_has_the_answer_that_the_exported_champion_gives(
    project: Project, whole: Scored, tmp_path: Path
) -> None:
    table, manifest = read(whole.output), read_manifest(whole.output)
    rows = 1437 * TIMES
    assert (whole.rows, whole.scored, manifest.rows, read_manifest(whole.output / REJECTED).rows) == (rows,) * 3 + (0,)
    assert table["row"].to_pylist() == list(range(rows))
    assert len(set(table["id"].to_pylist())) == rows
    assert len(manifest.files) > 2

    images = idx.open_idx(project.root / "new" / "train-images-idx3-ubyte", (3,))
    pixels = np.frombuffer(b"".join(images.blocks(256)), np.uint8).reshape(-1, 8, 8, 1)
    [export] = [each for each in (project.root / ".ratchet" / "exports").iterdir() if each.is_dir()]
    answers = ask(export, {"image": pixels}, tmp_path / "scratch")
    found = np.array(table["probabilities"].to_pylist(), np.float32)
    assert found.tobytes() == answers.tobytes()  # shards are whole batches
    assert table["prediction"].to_pylist() == [CLASSES[number] for number in answers.argmax(axis=1)]
    assert table["confidence"].to_pylist() == answers.max(axis=1).tolist()
    [who] = (
        table.select(["model", "version", "digest"]).group_by(["model", "version", "digest"]).aggregate([]).to_pylist()
    )
    assert (who["model"], who["version"], who["digest"]) == ("digits", 1, manifest.counts["model"]["digest"])


def test_what_is_there_already_is_not_done_again(whole: Scored, run: Run) -> None:
    before = content(whole.output)
    again = run("new", "scores/whole")
    assert (again.was_there, again.scored) == (True, whole.scored)
    assert content(whole.output) == before


def test_killed_it_leaves_nothing_and_goes_on_with_other_partitions_to_the_same_bytes(
    project: Project, whole: Scored, run: Run
) -> None:
    output = project.root / "scores" / "killed"
    aside = Aside.of(output)
    one = {"RATCHET_SPARK__MASTER": "local[1]"}
    with project.start("ratchet", "score", "new", "scores/killed", **one) as process:
        wait_for(lambda: aside.done(0).is_file() or None, "a first shard that is done", look_s=0.01)
        process.kill()
        process.communicate()
    assert not output.exists()
    wait_for(lambda: not project.processes() or None, "no process is left")
    finished = aside.output / "part-00000.parquet"
    made = finished.stat().st_ino, finished.stat().st_mtime_ns
    done = run("new", "scores/killed")
    assert not done.was_there
    assert content(output) == content(whole.output)
    kept = (output / finished.name).stat()
    assert (kept.st_ino, kept.st_mtime_ns) == made
    assert not aside.folder.exists()


def test_of_a_folder_of_files_each_is_scored_or_rejected_with_its_reason(project: Project, run: Run) -> None:
    folder = project.root / "pictures"
    (folder / "nobody knows").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8), np.uint8)
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(folder / f"{'nobody knows/' * (number % 2)}{number}.png")
    Image.fromarray(pixels[0]).save(folder / "twice.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "large.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:40])
    (folder / "empty.png").touch()
    (folder / "words.txt").write_text("no picture")
    config = {"recipe": {"data": {"source": "image_folder"}}}
    (project.root / "configs" / "pictures.yaml").write_text(yaml.safe_dump(config))

    done = run("pictures", "scores/pictures", config="configs/pictures.yaml", model="digits@1", has_folders=True)

    assert done.output == project.root / "scores" / "pictures" / "digits-v1"
    scored, rejected = read(done.output), read(done.output / REJECTED)
    assert sorted(scored["source"].to_pylist()) == [
        *("0.png", "2.png", "nobody knows/1.png", "nobody knows/3.png", "twice.png")
    ]
    told = {row["source"]: (row["reason"], row["column"]) for row in rejected.to_pylist()}
    assert told["empty.png"] == ("empty", None)
    assert told["words.txt"] == ("not a picture", None)
    assert told["large.png"][1] == told["broken.png"][1] == "image"
    assert (done.rows, done.scored, sum(done.reasons.values())) == (9, 5, 4)
    answers = {row["source"]: row["probabilities"] for row in scored.to_pylist()}
    assert answers["0.png"] == answers["twice.png"]


def form(folder: Path, place: str) -> ServedFormat:
    """Return the record of a SavedModel in a served folder."""
    files = [path for path in sorted((folder / place).rglob("*")) if path.is_file()]
    return ServedFormat(
        name="saved_model",
        path=place,
        files={path.relative_to(folder).as_posix(): digest_file(path) for path in files},
        size_bytes=sum(path.stat().st_size for path in files),
    )


def test_a_served_folder_scores_as_its_version_of_the_registry(project: Project, whole: Scored, run: Run) -> None:
    [export] = [each for each in (project.root / ".ratchet" / "exports").iterdir() if each.is_dir()]
    folder = project.root / "served"
    shutil.copytree(export, folder / "saved_model" / "1")
    told = read_manifest(whole.output).counts["model"]
    write_record(
        folder / SERVED_FILE,
        ServedModel(
            name="digits",
            version=1,
            digest=told["digest"],
            task="classification",
            output="probabilities",
            signature="serving_default",
            classes=CLASSES,
            parameters=1,
            inputs=(ServedInput(name="image", kind="image", dtype="uint8", shape=(None, None, 1)),),
            rows=1,
            formats=(form(folder, "saved_model/1"),),
        ),
    )
    done = run("new", "scores/served", served=folder)
    assert read(done.output).equals(read(whole.output))
