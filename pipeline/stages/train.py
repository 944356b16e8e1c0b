"""Trains the candidate: data/prepared, data/augmented → models/candidate.

The work in hand lives in .ratchet/checkpoints/<key>, outside what DVC removes before it runs a stage, so a training
that was killed continues after its last finished epoch and ends with the same weights.
"""

from __future__ import annotations

import shutil

from pipeline.launching import launch
from pipeline.recipe.recipe import ModelParams, TrainParams
from pipeline.records.contract_result import ContractResult
from pipeline.stages.context import StageContext
from pipeline.storage import artifacts
from pipeline.storage.record_files import read_record
from pipeline.training import candidate, checkpoints
from pipeline.training.job import Job, check_job, job_key


def run(stage: StageContext) -> str:
    """Train as the recipe says, on the workers that execution.yaml names, and publish the best epoch."""
    contract = stage.dep("reports/contracts/prepared/result.json")
    read_record(contract, ContractResult).require_passed(contract)
    settings = stage.execution.horovod
    job = Job(
        model=stage.param("model", ModelParams),
        train=stage.param("train", TrainParams),
        seed=stage.param("seed", int),
        classes=stage.param("data.classes", tuple),
        prepared=str(stage.dep("data/prepared")),
        augmented=str(stage.dep("data/augmented")),
        work="",
        tensorboard=str(stage.volatile("reports/tensorboard")),
        workers=settings.workers,
        threads=settings.threads_per_worker,
    )
    check_job(job)
    work = stage.volatile(".ratchet/checkpoints") / job_key(job)
    job = job.model_copy(update={"work": str(work)})

    if checkpoints.finished_epochs(work) < job.train.epochs:
        launch.train(job, settings, stage.progress)
    with artifacts.published_folder(stage.out("models/candidate")) as folder:
        best = candidate.write(folder, job)
    shutil.rmtree(work, ignore_errors=True)
    return (
        f"{job.train.epochs} epochs on {job.workers} worker{'s' if job.workers > 1 else ''}, best is {best.epoch}: "
        f"validation accuracy {best.validation_accuracy:.4f}, loss {best.validation_loss:.4f}"
    )
