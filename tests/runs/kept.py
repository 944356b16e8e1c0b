"""What runs have left, and caches to clear, written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.records.metrics import MetricsReport
from pipeline.records.run import RunRecord, RunReport, StageRun
from pipeline.records.verdict import GateCheck, Verdict
from pipeline.runs import history
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.hashes import md5_of_bytes
from pipeline.runs.photograph import Photograph, Reference
from pipeline.runs.photograph_store import PhotographStore
from pipeline.storage.artifacts import write_json
from pipeline.storage.record_files import write_record

GRAPH = {
    "stages": {
        "train": {"cmd": "x", "outs": ["models/candidate"], "meta": {"makes": {"candidate": "models/candidate"}}},
        "evaluate": {
            "cmd": "x",
            "deps": ["models/candidate"],
            "outs": ["reports/metrics.json"],
            "meta": {"makes": {"metrics": "reports/metrics.json"}},
        },
        "gate": {
            "cmd": "x",
            "deps": ["reports/metrics.json"],
            "outs": ["reports/verdict.json"],
            "meta": {"makes": {"verdict": "reports/verdict.json"}},
        },
    }
}
RECIPE = {"task": "classification", "train": {"epochs": 8}}
CHECKS = [
    GateCheck(name="minimum.accuracy", figure=0.9, bound=0.8, outcome="pass", sentence="accuracy 0.9 is at least 0.8"),
    GateCheck(name="champion", figure=-0.1, bound=0.0, outcome="fail", sentence="it lost 0.1 against the champion"),
]


def make_project(root: Path) -> Path:
    """Make a folder in which DVC works, and nothing else."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").touch()
    (root / ".gitignore").write_text("/.ratchet/\n/.dvc/cache/\n/.dvc/tmp/\n")
    return root


def put(root: Path, content: bytes) -> str:
    """Put an object into DVC's cache; return its digest."""
    return _written(cache_of(root).path(digest := md5_of_bytes(content)), content, digest)


def put_folder(root: Path, files: Mapping[str, bytes]) -> str:
    """Put a folder into DVC's cache; return the digest of its list."""
    entries = [{"md5": put(root, content), "relpath": name} for name, content in files.items()]
    content = json.dumps(entries).encode()
    digest = f"{md5_of_bytes(content)}.dir"
    return _written(cache_of(root).path(digest), content, digest)


def lock_of(**outs: str) -> str:
    """Return a lock, one stage for each output: its digest by its path."""
    stages = {path: {"cmd": "x", "outs": [{"path": path, "hash": "md5", "md5": md5}]} for path, md5 in outs.items()}
    return str(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def photographed(root: Path, files: Mapping[str, bytes], references: Mapping[str, Reference] | None = None) -> str:
    """Keep a photograph of files that are written for it; return its digest."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    photograph = Photograph({name: md5_of_bytes(content) for name, content in files.items()}, references or {})
    return PhotographStore(cache_of(root)).keep(photograph, root, {})


def finished(
    root: Path,
    run_id: str = "r1",
    *,
    recipe: Mapping[str, Any] = RECIPE,
    accuracy: float = 0.9,
    seconds: float = 2.0,
    outcomes: Mapping[str, str] | None = None,
    **changes: Any,
) -> RunRecord:
    """Write the record and the evidence of a run that is over; return its record."""
    given = {"driver": "ratchet", "state": "success", "outcome": "refuse", "sentence": "it lost 0.1"}
    times = {"start": "2026-11-22T10:00:00+00:00", "end": "2026-11-22T10:05:34+00:00"}
    record = RunRecord.model_validate({**given, **times, "id": run_id, **changes})
    folder = root / record.folder
    history.write(root, record)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(GRAPH, sort_keys=False))
    (folder / "params.yaml").write_text(yaml.safe_dump(dict(recipe), sort_keys=False))
    (folder / "reports").mkdir(exist_ok=True)
    (folder / "reports" / "index.html").write_text("the page")
    part = {"accuracy": accuracy, "cross_entropy": 0.25, "rows": 360}
    write_record(
        folder / "reports" / "metrics.json",
        MetricsReport(task="classification", primary="accuracy", test=part, train=part, overfit=0.0, slices={}),
    )
    write_record(folder / "reports" / "verdict.json", Verdict.of(CHECKS, "it lost 0.1", "sha256:c", None))
    ends = outcomes or {"train": "done", "evaluate": "done", "gate": "done"}
    stages = tuple(StageRun(name=name, what=f"{name} it", seconds=seconds, outcome=end) for name, end in ends.items())
    write_record(folder / "reports" / "run.json", RunReport(id=run_id, driver="ratchet", stages=stages))
    return record


def trained(root: Path, record: RunRecord) -> None:
    """Give a run a lock whose candidate, in DVC's cache, has a history of two epochs, of which the first was best."""
    columns = "epoch,learning_rate,train_loss,validation_loss,train_accuracy,validation_accuracy"
    history_csv = f"{columns}\n1,0.1,0.5,0.6,0.8,0.75\n2,0.1,0.4,0.7,0.9,0.7\n".encode()
    training = {"best_epoch": 1, "chosen_by": "loss", "epochs": 2, "steps_per_epoch": 1, "images_per_epoch": 1}
    write_json(root / "training.json", {**training, "rows": {"train": 1}})
    files = {"history.csv": history_csv, "training.json": (root / "training.json").read_bytes()}
    lock = lock_of(**{"models/candidate": put_folder(root, files)})
    (root / record.folder / "dvc.lock").write_text(lock)


def _written(path: Path, content: bytes, digest: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest
