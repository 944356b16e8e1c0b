"""A whole project as a run that ended well leaves it: written with the records and the modules that really write it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from pipeline.evaluation import measuring
from pipeline.evaluation.predictions import write_predictions
from pipeline.models import stored
from pipeline.recipe.recipe import load_recipe
from pipeline.records.architecture import Architecture
from pipeline.records.contract_result import ContractResult, ExpectationResult
from pipeline.records.feature import FeatureSpec
from pipeline.records.identity import Identity
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.records.measured_exports import MeasuredExports
from pipeline.records.metrics import MetricsReport
from pipeline.records.model_card import ModelCard
from pipeline.records.registration import Registration
from pipeline.records.run import RunReport, Span, StageRun
from pipeline.records.served_model import ServedFormat, ServedSpeed
from pipeline.records.verdict import GateCheck, Verdict
from pipeline.registry.card import Rows, card_of
from pipeline.report.card_files import card_files
from pipeline.storage import artifacts, near_duplicates, shards
from pipeline.storage.manifests import write_manifest
from pipeline.storage.record_files import read_record, write_record
from tests.evaluation.made_answers import HISTORY, MadeAnswers

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("train", "validation", "test")
STAGES = [
    *("ingest", "check_raw", "clean", "split", "normalize", "augment", "check_prepared", "train", "evaluate"),
    *("champion", "gate", "register"),
]


def make_project(root: Path, answers: MadeAnswers) -> None:
    """Write everything under a root; each part holds the same rows."""
    recipe = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    recipe["data"]["classes"] = list(answers.classes)
    (root / "params.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    (root / "dvc.lock").write_text("schema: '2.0'\n")
    shutil.copy(ROOT / "dvc.yaml", root)
    _write_data(root / "data", answers)
    digest = _write_model(root / "models" / "candidate", answers)
    _write_evaluation(root / "reports", answers)
    write_record(root / "reports" / "verdict.json", _verdict(digest, answers))
    write_record(root / "reports" / "registration.json", _registration(digest))
    write_record(root / "reports" / "exports.json", _exports(digest, answers))
    for name, content in card_files(_card(root)).items():
        artifacts.write_file(root / "reports" / "card" / name, content)
    for suite, column in (("raw", "label"), ("prepared", "image_std")):
        folder = root / "reports" / "contracts" / suite
        write_record(folder / "result.json", _contract(suite, column, 3 * len(answers.labels)))
        artifacts.write_file(folder / "documents" / "index.html", b"<!doctype html>")
    write_record(root / "reports" / "run.json", _run())


def _write_data(data: Path, answers: MadeAnswers) -> None:
    rows = len(answers.labels)
    sets: dict[str, tuple[int, dict[str, Any]]] = {
        "raw": (3 * rows + 15, {}),
        "clean": (3 * rows, {}),
        "quarantine": (15, {"rejected": {"exact duplicate": 12, "label outside the declared classes": 3}}),
        "split": (
            3 * rows,
            {
                "parts": dict.fromkeys(PARTS, rows),
                "proof": {"rows": 3 * rows},
                "lost_test_rows": {"label outside the declared classes": 2},
            },
        ),
        "augmented": (rows, {}),
    }
    for name, (kept, counts) in sets.items():
        if name == "quarantine":
            _write_quarantine(data / name, kept, counts)
            continue
        entry = FileEntry(path="part-00000.parquet", rows=kept, size_bytes=1, digest="sha256:0")
        write_manifest(data / name, Manifest(rows=kept, files=(entry,), columns={"id": "string"}, counts=counts))
    _write_near_duplicates(data / "near_duplicates", answers)
    for part in PARTS:
        _write_images(data / "prepared" / part, answers)


def _write_quarantine(folder: Path, rows: int, counts: dict[str, Any]) -> None:
    rejected = [
        {"id": f"{row:032x}", "source": "train-images.gz", "row": 10 * row, "reason": reason, "column": column}
        for row, (reason, column) in enumerate(
            [("exact duplicate", None)] * (rows - 3) + [("label outside the declared classes", "label")] * 3
        )
    ]
    schema = pa.schema([(name, pa.int64() if name == "row" else pa.string()) for name in rejected[0]])
    folder.mkdir(parents=True)
    entry = shards.write_shard(folder, 0, schema, [pa.Table.from_pylist(rejected, schema)])
    shards.finish_dataset(folder, [entry], schema, counts=counts)


def _write_near_duplicates(folder: Path, answers: MadeAnswers) -> None:
    """Each of some rows of a later part looks like the row of its number in the training part."""
    rows = [
        {
            "part": "validation",
            "row": row,
            "id": row_id,
            "label": int(answers.labels[row]),
            "earlier_part": "train",
            "earlier_row": row,
            "earlier_id": row_id,
            "earlier_label": 0,
            "bits": row // 4,
            "likeness": 1 - row / 2000,
        }
        for row, row_id in enumerate(answers.ids[:20])
    ]
    near, of = pa.Table.from_pylist(rows, near_duplicates.SCHEMA), len(answers.labels)
    counted = (("validation", "train", 20), ("test", "train", 7), ("test", "validation", 0))
    between = [near_duplicates.Between(part, earlier, number, of) for part, earlier, number in counted]
    with artifacts.published_folder(folder) as aside:
        near_duplicates.write_near_duplicates(aside, [near], between, limits=(6, 0.985))


def _image(answers: MadeAnswers) -> FeatureSpec:
    return FeatureSpec(
        name="image",
        kind="image",
        dtype="uint8",
        shape=answers.pixels.shape[1:],
        facts={"image_mean": "float32", "image_std": "float32"},
        fitted={"mean": [127.0], "std": [70.0]},
    )


def _write_images(folder: Path, answers: MadeAnswers) -> None:
    image = _image(answers)
    schema = shards.prepared_schema([image])
    flat = answers.pixels.reshape(len(answers.pixels), -1)
    columns = {
        "id": answers.ids,
        "label": answers.labels,
        "image": shards.column_of(answers.pixels, image),
        "image_mean": flat.mean(axis=1).astype(np.float32),
        "image_std": flat.std(axis=1).astype(np.float32),
    }
    with artifacts.published_folder(folder) as aside:
        entry = shards.write_shard(aside, 0, schema, [pa.table(columns, schema=schema)])
        shards.finish_dataset(aside, [entry], schema, features=[image])


def _write_model(folder: Path, answers: MadeAnswers) -> str:
    architecture = Architecture(
        name="mlp", settings={}, task=answers.task.name, features=(_image(answers),), classes=answers.classes
    )
    stored.save_weights(folder, architecture, {"dense/kernel": np.zeros((4, 2), np.float32)})
    return stored.digest(folder)


def _write_evaluation(reports: Path, answers: MadeAnswers) -> None:
    given, task = answers.predictions, answers.task
    write_record(reports / "metrics.json", measuring.report(task, given, given, range(7)))
    for name, drawing in measuring.drawings(task, HISTORY, given).items():
        artifacts.write_file(reports / "plots" / name, drawing)
    with artifacts.published_folder(reports / "predictions") as folder:
        for part in PARTS:
            write_predictions(folder, part, given, task)


def _verdict(digest: str, answers: MadeAnswers) -> Verdict:
    accuracy = float((answers.probabilities.argmax(axis=1) == answers.labels).mean())
    compared = "against champion v3 on 400 test rows, at worst"
    checks = [
        _passed("minimum.accuracy", accuracy, 0.6, f"accuracy {accuracy:.4f} is at least 0.6"),
        _passed("minimum.macro_f1", accuracy - 0.003, 0.6, f"macro F1 {accuracy - 0.003:.4f} is at least 0.6"),
        _passed("maximum.cross_entropy", 0.41, 0.6, "cross-entropy 0.41 is at most 0.6"),
        _passed("parity", 1e-6, 1e-4, "the exported model answers 256 rows as the trained one did"),
        _passed("champion", 0.0035, -0.01, f"accuracy: +0.0120 {compared} +0.0035; 0.01 may be lost"),
        *(
            _passed(f"champion.class.{name}", lower, -0.08, f"recall of {name}: +0.0200 {compared} {lower:+.4f}")
            for name, lower in zip(answers.classes, (0.01, 0.0, -0.01, -0.02), strict=True)
        ),
    ]
    champion = Identity(name="fashion_mnist", version=3, digest="sha256:" + "c4" * 32)
    return Verdict.of(checks, f"{checks[0].sentence}; {checks[4].sentence}", digest, champion)


def _passed(name: str, figure: float, bound: float, sentence: str) -> GateCheck:
    return GateCheck(name=name, figure=figure, bound=bound, outcome="pass", sentence=sentence)


def _registration(digest: str) -> Registration:
    return Registration(
        outcome="promoted",
        name="fashion_mnist",
        version=4,
        champion=Identity(name="fashion_mnist", version=4, digest=digest),
        sentence="v4 is champion, in place of v3",
        registry="local",
    )


def _contract(suite: str, column: str, rows: int) -> ContractResult:
    def held(kind: str, on: str | None, observed: Any, **kwargs: Any) -> ExpectationResult:
        return ExpectationResult(type=kind, column=on, kwargs=kwargs, outcome="pass", observed=observed)

    return ContractResult(
        suite=f"fashion_mnist.{suite}",
        rows=rows,
        outcome="pass",
        expectations=(
            held("expect_table_row_count_to_be_between", None, rows, min_value=100, max_value=100_000),
            held("expect_column_values_to_be_between", column, {"min": 0, "max": 9}, column=column, max_value=128),
            held("expect_column_values_to_be_unique", "id", None, column="id"),
        ),
        data_digest="sha256:" + "da" * 32,
    )


def _card(root: Path) -> ModelCard:
    recipe = load_recipe(root).model_dump(mode="json")
    metrics = read_record(root / "reports" / "metrics.json", MetricsReport)
    verdict = read_record(root / "reports" / "verdict.json", Verdict)
    rows = Rows(parts={part: int(metrics.test["rows"]) for part in PARTS}, left_out={"exact duplicate": 12})
    architecture = stored.read_architecture(root / "models" / "candidate")
    lineage = {"ratchet.git_commit": "c0ffee"}
    return card_of("fashion_mnist", recipe, architecture, metrics, verdict, rows, lineage, version=4)


def _exports(digest: str, answers: MadeAnswers) -> MeasuredExports:
    form = ServedFormat(
        name="saved_model",
        path="saved_model/1",
        files={"saved_model/1/saved_model.pb": "sha256:0"},
        size_bytes=3 * 2**19,
        largest_difference=2e-7,
        agreement=1.0,
        speeds=(ServedSpeed(rows=1, p50_ms=0.5, p95_ms=1.25), ServedSpeed(rows=64, p50_ms=2.0, p95_ms=3.5)),
    )
    rows, refused = len(answers.labels), {"litert": "it has texts"}
    return MeasuredExports(digest=digest, machine="till-7 (x86_64)", rows=rows, formats=(form,), refused=refused)


def _run() -> RunReport:
    return RunReport(
        driver="ratchet",
        id="20261122-132007",
        overrides={"train.epochs": "8"},
        started_at="2026-11-22T13:20:07+00:00",
        finished_at="2026-11-22T13:25:41+00:00",
        seconds=334.0,
        startup_seconds=12.0,
        work_seconds=91.2,
        waiting_seconds=230.8,
        stages=tuple(
            StageRun(
                name=name,
                what="12 000 images, 10 classes",
                began_s=20.0 * place,
                seconds=3.1 + place,
                startup_seconds=1.0,
                starts=(Span(what="Spark", began_s=20.0 * place, seconds=1.0),),
                outcome="done",
                peak_memory_mib=80.0 + place,
                peak_memory_of_jvm_mib=1400.6 if name == "clean" else None,
            )
            for place, name in enumerate(STAGES)
        ),
    )
