"""Trains the candidate: data/prepared, data/augmented → models/candidate.

Checkpoints live in .ratchet/checkpoints/<key>, outside what DVC removes before it runs a stage, so a training that was
killed continues after its last finished epoch and ends with the same weights.
"""

from __future__ import annotations

from pipeline.launching import launch
from pipeline.recipe.recipe import AugmentParams, TrainParams
from pipeline.recipe.slots import Choice
from pipeline.records.contract_result import ContractResult
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder
from pipeline.storage.record_files import read_record
from pipeline.training import candidate
from pipeline.training.job import Job, checked_job


def run(stage: StageContext) -> str:
    """Train as the recipe says, on the workers that execution.yaml names, and publish the best epoch."""
    contract = stage.dep("reports/contracts/prepared/result.json")
    read_record(contract, ContractResult).require_passed(contract)
    settings = stage.execution.horovod
    unchecked = Job(
        task=stage.param("task", Choice),
        model=stage.param("model", Choice),
        train=stage.param("train", TrainParams),
        augment=stage.param("augment", AugmentParams),
        seed=stage.param("seed", int),
        classes=stage.param("data.classes", tuple),
        code=stage.code(),
        prepared=str(stage.dep("data/prepared")),
        augmented=str(stage.dep("data/augmented")),
        work=str(stage.volatile(".ratchet/checkpoints")),
        tensorboard=str(stage.volatile("reports/tensorboard")),
        workers=settings.workers,
        threads=settings.threads_per_worker,
    )
    job = checked_job(unchecked)
    launch.train(job, settings, stage.progress)
    with published_folder(stage.out("models/candidate")) as folder:
        best = candidate.write(folder, job)
    candidate.forget_work(job)
    return candidate.in_words(job, best)
