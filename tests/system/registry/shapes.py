"""Pictures of shapes, models that know them, and the folder in which a run would have left both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from pipeline.evaluation import measuring
from pipeline.evaluation.predictions import Predictions, write_predictions
from pipeline.gate.digests import JUDGES
from pipeline.gate.evidence import Answers, Evidence, Other, Unknown
from pipeline.gate.judge import judge
from pipeline.models import stored
from pipeline.recipe.execution import MLflowSettings
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.champion import ANCHOR_FILE, CHAMPION_FILE, Champion
from pipeline.records.metrics import MetricsReport
from pipeline.records.training_history import TRAINING_FILE, Training
from pipeline.registry import by_hand
from pipeline.registry.store import resolve_store
from pipeline.stages import champion, gate, register
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts
from pipeline.storage.record_files import read_record, write_record
from pipeline.storage.shards import read_labels
from tests.system.project import ROOT

CLASSES = ("circle", "square", "star")

TASK = task_of(Choice(name="classification"), CLASSES)

SHAPE = (8, 8, 1)

NAME = "shapes"

TRAINED = Training(
    best_epoch=4, chosen_by="last", epochs=4, steps_per_epoch=46, images_per_epoch=1472, rows={"train": 1500}
)

STAGES = {"champion": champion, "gate": gate, "register": register}


def pictures(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey noise; a picture's class is the third of it that is brighter."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows).astype(np.int32)
    pixels = rng.integers(0, 160, (rows, *SHAPE)).astype(np.uint8)
    for label, columns in enumerate((slice(0, 3), slice(3, 5), slice(5, 8))):
        pixels[labels == label, :, columns] += 70
    return pixels, labels


@dataclass(frozen=True)
class Zoo:
    """Stored models by name, the test part, and what each model makes of it."""

    folder: Path
    pixels: np.ndarray
    labels: np.ndarray
    answers: dict[str, np.ndarray] = field(default_factory=dict)

    def model(self, name: str) -> Path:
        return self.folder / name

    def digest(self, name: str) -> str:
        return stored.digest(self.model(name))


@dataclass(frozen=True)
class Workspace:
    """A folder with what the stages before have left, and the stages to try."""

    root: Path
    zoo: Zoo

    def candidate(self, name: str) -> None:
        """Put a model of the zoo where train and evaluate would have."""
        with artifacts.published_folder(self.root / "models" / "candidate") as folder:
            for path in self.zoo.model(name).iterdir():
                shutil.copyfile(path, folder / path.name)
            write_record(folder / TRAINING_FILE, TRAINED)
        given = Predictions(*self.test_part(), self.answers(name))
        write_record(self.root / "reports" / "metrics.json", measuring.report(TASK, given, given))
        with artifacts.published_folder(self.root / "reports" / "predictions") as folder:
            for part in ("train", "test"):
                write_predictions(folder, part, given, TASK)

    def test_part(self) -> tuple[list[str], np.ndarray]:
        """The ids and labels of the test part as it is now."""
        return read_labels(self.root / "data" / "prepared" / "test")

    def answers(self, name: str) -> np.ndarray:
        """What a model of the zoo answers to the test part: an id ends in the number of the picture in the zoo."""
        ids, _ = self.test_part()
        return self.zoo.answers[name][[int(each.rpartition("-")[2]) for each in ids]]

    def run(self, *stages: str) -> None:
        for name in stages:
            STAGES[name].run(StageContext.load(self.root, name))

    def judge(self, name: str) -> dict:
        """Run the stages up to the real gate."""
        self.candidate(name)
        self.run("champion", "gate")
        return self.json("reports/verdict.json")

    def publish(self, name: str, outcome: str = "promote") -> dict:
        """Bring the champion in, judge, and register."""
        self.rule(name, outcome)
        self.run("register")
        return self.json("reports/registration.json")

    def rule(self, name: str, outcome: str = "promote") -> None:
        """Write the verdict that the gate gives if the export answers as the model: that takes a process to ask."""
        self.candidate(name)
        self.run("champion")
        stage = StageContext.load(self.root, "gate")
        rule = stage.param("gate", GateParams)
        ids, labels = self.test_part()
        given = Answers(ids, labels, self.answers(name))
        evidence = Evidence(
            candidate=self.zoo.digest(name),
            parameters=stored.read_architecture(self.root / "models" / "candidate").parameters,
            metrics=read_record(self.root / "reports" / "metrics.json", MetricsReport),
            test_ids=ids,
            test_labels=labels,
            predictions=given,
            train=given,
            served=given.answers[: rule.parity.rows],
            champion=self._met("champion", CHAMPION_FILE),
            anchor=self._met("anchor", ANCHOR_FILE),
        )
        verdict = judge(evidence, rule, TASK, stage.param("seed", int), stage.behaviour(*JUDGES))
        assert verdict.outcome == outcome, verdict.reason
        write_record(self.root / "reports" / "verdict.json", verdict)

    def _met(self, folder: str, file: str) -> Other | None:
        """A model that the candidate meets, with its scores."""
        of = read_record(self.root / "models" / folder / file, Champion)
        if of.identity is None:
            return None
        if of.problem:
            return Other(of.identity, Unknown(of.problem))
        name = next(name for name in self.zoo.answers if self.zoo.digest(name) == of.identity.digest)
        return Other(of.identity, TASK.score(self.test_part()[1], self.answers(name)))

    def json(self, path: str):
        return json.loads((self.root / path).read_text())

    def process(self, stage: str, before: str = "") -> subprocess.Popen:
        """Start a stage in a process of its own, as `ratchet stage` does."""
        script = f"""
import os, signal, sys
from pathlib import Path
from pipeline.errors import RatchetError
from pipeline.stages import {stage}
from pipeline.stages.context import StageContext
{before}
try:
    print({stage}.run(StageContext.load(Path({str(self.root)!r}), {stage!r})))
except RatchetError as error:
    print(error)
    sys.exit(error.exit_code)
"""
        return subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def store(self):
        return resolve_store(
            self.root, MLflowSettings(**yaml.safe_load((self.root / "execution.yaml").read_text())["mlflow"])
        )

    def versions(self):
        return by_hand.list_versions(self.store, NAME)

    def champion(self):
        return by_hand.show(self.store, NAME, "champion")
