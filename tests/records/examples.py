"""One example of every record, with something in every field."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pipeline.records
from pipeline.records.architecture import Architecture, StoredArchitecture
from pipeline.records.champion import Champion
from pipeline.records.columns import Columns, ColumnSummary, Commonest, CountedText, Distribution, Histogram
from pipeline.records.computed_on import ComputedOn
from pipeline.records.contract_result import ContractResult, ExpectationResult, OffendingRow
from pipeline.records.feature import FeatureSpec
from pipeline.records.following import FollowedChallenger, Following
from pipeline.records.golden import GoldenFeature, GoldenRows
from pipeline.records.identity import Identity
from pipeline.records.ledger import LedgerLine
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.records.measured_exports import MeasuredExports
from pipeline.records.metrics import MetricsReport
from pipeline.records.model_card import CardPart, CardTable, ModelCard
from pipeline.records.origin import Origin
from pipeline.records.record import Record
from pipeline.records.registration import Registration
from pipeline.records.run import RunRecord, RunReport, Span, StageRun
from pipeline.records.scored_shard import ScoredShard, ScoringJob
from pipeline.records.served_model import ServedFormat, ServedInput, ServedModel, ServedSpeed
from pipeline.records.training_history import EpochRecord, Training
from pipeline.records.verdict import Differences, GateCheck, Matched, Renewal, Share, Verdict

IDENTITY = Identity(name="digits", version=3, digest="sha256:0a")
COMPUTED_ON = ComputedOn(
    device="gpu",
    processor="AMD EPYC (family 26, model 2, stepping 1)",
    instructions=("avx2", "fma"),
    gpu="NVIDIA H100, compute capability 9.0",
    libraries={"keras": "3.15.1", "tensorflow": "2.21.0"},
)
CHECKS = (
    GateCheck(name="predictions", figure=None, bound=None, outcome="pass", sentence="360 predictions"),
    GateCheck(name="minimum.accuracy", figure=0.5, bound=0.6, outcome="fail", sentence="accuracy 0.5 is below 0.6"),
)
FAILED_EXPECTATION = ExpectationResult(
    type="expect_column_values_to_not_be_null",
    column="label",
    kwargs={"column": "label", "mostly": 0.9},
    outcome="fail",
    observed="2 rows",
    unexpected_rows=2,
    offending_rows=(OffendingRow(id="a", source="cats/1.png", row=0), OffendingRow(id="b")),
    listing="rows-01.csv",
    details={"share": 0.5},
    error="said in words",
)
KEPT_EXPECTATION = ExpectationResult(
    type="expect_table_row_count_to_be_between", column=None, kwargs={}, outcome="pass", observed=4
)
METRICS = {
    "rows": 360,
    "accuracy": 0.9,
    "macro_precision": 0.8,
    "macro_recall": 0.7,
    "macro_f1": 0.75,
    "auc": 0.95,
    "mcc": -0.1,
    "cross_entropy": 1.5,
    "calibration_error": 0.05,
}
SPREAD = Distribution(
    of="value",
    unit="min",
    minimum=-3.5,
    lower_quartile=0.5,
    median=2.5,
    upper_quartile=4.5,
    maximum=90.5,
    mean=3.25,
    histogram=Histogram(edges=(-2.5, 0.5, 3.5), rows=(4, 2), below=1, above=3),
)
FORM = ServedFormat(
    name="onnx",
    path="onnx/model.onnx",
    files={"onnx/model.onnx": "sha256:0c"},
    size_bytes=4096,
    largest_difference=1e-6,
    agreement=1.0,
    tolerance=1e-4,
    least_agreement=0.99,
    speeds=(ServedSpeed(rows=64, p50_ms=0.5, p95_ms=0.75),),
)
FEATURE = FeatureSpec(
    name="picture",
    kind="image",
    dtype="uint8",
    shape=(8, 8, 1),
    settings={"raw_height": 8},
    facts={"picture_mean": "float32"},
    fitted={"mean": [73.5], "std": [90.25]},
)
ARCHITECTURE = {
    "name": "mlp",
    "settings": {"units": [8]},
    "task": "classification",
    "features": (FEATURE,),
    "classes": ("zero", "one"),
}
STAGE_RUN = StageRun(
    name="train",
    what="3 epochs",
    began_s=2.5,
    seconds=1.5,
    startup_seconds=0.5,
    starts=(Span(what="2 workers", began_s=2.5, seconds=0.5),),
    earlier=(Span(what="failed", began_s=0.5, seconds=1.0),),
    outcome="done",
    peak_memory_mib=100.5,
    peak_memory_of_children_mib=50.5,
    peak_memory_of_jvm_mib=50.5,
    peak_memory_of_workers_mib=20.5,
    out_of_memory=1.0,
)
EXAMPLES: tuple[Record, ...] = (
    Architecture.model_validate(ARCHITECTURE),
    StoredArchitecture.model_validate({**ARCHITECTURE, "parameters": 610, "weights": "sha256:0b"}),
    Architecture.model_validate(
        {
            **ARCHITECTURE,
            "classes": (),
            "target": {"mean": 6.5, "deviation": 40.25},
            "predicts": {"column": "delay", "edges": (), "unit": "min"},
        }
    ),
    Champion(identity=IDENTITY, registry="local", problem="its files are gone", computed_on=(COMPUTED_ON,)),
    Columns(
        target=SPREAD,
        columns=(
            ColumnSummary(name="delay", kind="number", rows=12, missing=2, distribution=SPREAD),
            ColumnSummary(
                name="carrier",
                kind="category",
                rows=12,
                missing=0,
                missing_word="without a value",
                commonest=Commonest(of="categories", distinct=4, top=(CountedText(text="UA", rows=9),), others=3),
            ),
        ),
    ),
    COMPUTED_ON,
    ContractResult(
        suite="digits.raw",
        rows=4,
        outcome="fail",
        expectations=(FAILED_EXPECTATION, KEPT_EXPECTATION),
        data_digest="sha256:0c",
    ),
    Following(
        state="refused",
        why="pets v4 is damaged",
        version=4,
        looked_at_s=1796000000.5,
        challenger=FollowedChallenger(state="following", version=5, may_answer=True),
    ),
    GoldenFeature(name="fare", kind="number", largest_difference=1e-7, raw=[1.5, None]),
    GoldenRows(
        rows=256,
        tolerance=1e-6,
        features=(GoldenFeature(name="fare", kind="number", largest_difference=1e-7, raw=[1.5, None]),),
    ),
    EpochRecord(
        epoch=1,
        learning_rate=0.01,
        train={"loss": 2.5, "accuracy": 0.5},
        validation={"loss": 1.5, "accuracy": 0.75},
    ),
    FEATURE,
    Manifest.model_validate(
        {
            "rows": 2,
            "files": (FileEntry(path="a", rows=2, size_bytes=3, digest="sha256:0d"),),
            "schema": {"id": "string"},
            "features": (FEATURE,),
            "counts": {"classes": {"zero": 2}},
        }
    ),
    MetricsReport(
        task="classification",
        primary="accuracy",
        test=METRICS,
        train=METRICS,
        overfit=0.25,
        slices={"class": {"zero": {"rows": 36, "precision": 0.5, "recall": 0.25, "f1": 0.125, "auc": 0.75}}},
        units={"cross_entropy": "nats a row"},
        learned={"threshold": 0.375},
    ),
    LedgerLine(
        name="digits",
        number=2,
        before=("sha256:0a",),
        candidate="sha256:0b",
        champion=IDENTITY.digest,
        anchor=IDENTITY.digest,
        rule="sha256:0c",
        test="sha256:0d",
        against_champion=Matched(rows=360, won=9, lost=2),
        against_anchor=Matched(rows=360, won=9, lost=2),
        outcome="promote",
        moves_anchor=True,
        by="ann",
        at_utc="2026-11-28T12:28:14Z",
    ),
    MeasuredExports(
        digest="sha256:0a",
        machine="till-7 (x86_64)",
        rows=360,
        formats=(FORM,),
        refused={"litert": "it has string operations"},
        problem="not measured",
        beyond="its saved_model has 2 MiB, 1 may be on this machine",
    ),
    ModelCard(
        name="digits",
        version=3,
        digest="sha256:0a",
        request='{"x": 1}',
        parts=(
            CardPart(
                title="Data",
                facts={"source": "csv"},
                tables=(CardTable(title="Rows", columns=("part", "rows"), rows=(("test", "360"),)),),
                sentences=("None was left out.",),
                commands=("ratchet serve served",),
            ),
        ),
    ),
    Registration(
        outcome="promoted",
        name="digits",
        version=3,
        champion=IDENTITY,
        sentence="v3 replaces v2",
        registry="local",
        line=2,
        verdicts=2,
        verdicts_on_rows=2,
        test="sha256:0d",
    ),
    RunRecord(
        id="20261128T122714Z-1",
        driver="ratchet",
        state="success",
        start="2026-11-28T12:27:14+00:00",
        outcome="promote",
        end="2026-11-28T12:28:14+00:00",
        sentence="better",
        config="configs/x.yaml",
        overrides={"train.epochs": 3},
        reason="asked",
        asked_by="ann",
        is_forced=True,
        same_as="20261127T122714Z-1",
        pid=7,
        attempt=2,
        photograph="0e0e0e.dir",
        inputs="sha256:0f",
        commit="c0ffee",
        is_dirty=True,
        until="train",
        repeats="20261126T122714Z-1",
        device="gpu",
        dag_id="retrain_digits",
        dag_run_id="manual__1",
    ),
    Origin(home="../../..", run="r1", photograph="0e0e0e.dir", commit="c0ffee", is_dirty=False, asked_by="ann"),
    RunReport(
        driver="ratchet",
        id="20261128T122714Z-1",
        config="configs/x.yaml",
        overrides={"train.learning_rate": 0.5},
        reason="asked",
        asked_by="ann",
        attempt=2,
        photograph="0e0e0e.dir",
        commit="c0ffee",
        is_dirty=True,
        started_at="2026-11-28T12:27:14+00:00",
        finished_at="2026-11-28T12:28:14+00:00",
        seconds=60.0,
        startup_seconds=0.5,
        work_seconds=2.0,
        waiting_seconds=57.5,
        stages=(STAGE_RUN,),
    ),
    ScoringJob(input="new/pictures", model="digits v3", decides="sha256:0d"),
    ScoredShard(
        read="sha256:0e",
        rows=5,
        scored=FileEntry(path="part-00000.parquet", rows=3, size_bytes=30, digest="sha256:0f"),
        rejected=FileEntry(path="part-00000.parquet", rows=2, size_bytes=20, digest="sha256:10"),
        reasons={"empty": 2},
        predictions={"zero": 2, "one": 1},
    ),
    ServedModel(
        name="digits",
        version=3,
        digest="sha256:0a",
        task="classification",
        output="probabilities",
        signature="serving_default",
        classes=("zero", "one"),
        unit="min",
        threshold=0.375,
        parameters=610,
        inputs=(ServedInput(name="picture", kind="image", dtype="uint8", shape=(None, None, 1)),),
        golden="made",
        golden_files={"golden/picture.npy": "sha256:0b"},
        rows=360,
        formats=(FORM,),
        refused={"litert": "it has string operations"},
        made_with={"tensorflow-cpu": "2.21.0"},
    ),
    Training(
        best_epoch=2,
        chosen_by="lowest validation loss",
        epochs=3,
        steps_per_epoch=40,
        images_per_epoch=2560,
        rows={"train": 1295, "validation": 142},
        computed_on=(COMPUTED_ON,),
    ),
    Verdict.of(
        CHECKS,
        "accuracy 0.5 is below 0.6",
        "sha256:0e",
        IDENTITY,
        anchor=IDENTITY.changed(version=2),
        rule="better",
        rule_digest="sha256:0c",
        test_digest="sha256:0d",
        against_champion=Matched(rows=360, won=9, lost=2),
        against_anchor=Matched(
            rows=360, won=12, lost=2, differences=Differences(mean=0.5, deviation=2.0, skewness=-0.25, reach=9.0)
        ),
        shows="360 rows",
        renewal=Renewal(
            title="accuracy",
            confidence=0.95,
            today=Share(rows=360, figure=0.5, low=0.4, high=0.6),
            judged_by=Share(rows=300, figure=0.5, low=0.25, high=0.75),
            since=Share(rows=60, figure=0.5, low=0.2, high=0.8),
            gone=2,
        ),
        over_use="no sign of over-use",
    ),
)


def example(kind: type[Record]) -> Record:
    """Return the example of a kind of record."""
    return next(each for each in EXAMPLES if type(each) is kind)


def record_kinds() -> list[type[Record]]:
    """Return every record that Ratchet declares, whether or not it has an example."""
    for module in pkgutil.iter_modules(pipeline.records.__path__):
        importlib.import_module(f"pipeline.records.{module.name}")
    return sorted(set(_below(Record)), key=lambda kind: kind.__name__)


def _below(kind: type[Record]) -> Iterator[type[Record]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("pipeline.records."):
            yield each
        yield from _below(each)
