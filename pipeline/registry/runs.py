"""The MLflow run that holds a candidate's bytes, recipe and metrics; the version points into it.

A server accepts a version only if its source is inside its run, so this works for every store.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError
from pipeline.records.verdict import Verdict
from pipeline.registry.fetch import digest_of, fetch_files
from pipeline.registry.places import local_folder
from pipeline.registry.reader import Reader
from pipeline.registry.store import Store
from pipeline.registry.versions import DIGEST, OUTCOME
from pipeline.storage import artifacts

MODEL_PATH = "model"
_STRAY_AGE_S = 24 * 3600.0
_PARAMS_PER_BATCH = 100
_PARAM_LIMIT = 6000  # characters, MLflow's own


def sweep(store: Store, client: Any, reader: Reader, name: str) -> None:
    """Clean up after killed registrations: remove runs without a version, and close unfinished runs that have one.

    The caller holds the lock, so nobody else on this machine is registering. A remote store may be in use from another
    machine, so there a run is left alone for a day.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return
    unfinished = client.search_runs(
        [experiment.experiment_id], f"attributes.status = 'RUNNING' AND tags.`{DIGEST}` LIKE 'sha256:%'"
    )
    outcomes = {version.run_id: version.outcome for version in reader.versions(name)}
    for run in unfinished:
        age_s = time.time() - run.info.start_time / 1000
        if run.info.run_id in outcomes:
            close_run(client, run.info.run_id, outcomes[run.info.run_id])
        elif store.is_local or age_s > _STRAY_AGE_S:
            client.delete_run(run.info.run_id)
            artifacts = local_folder(run.info.artifact_uri)
            if store.is_local and artifacts is not None and artifacts.parent.name == run.info.run_id:
                shutil.rmtree(artifacts.parent, ignore_errors=True)


def open_run(
    store: Store,
    client: Any,
    name: str,
    digest: str,
    *,
    recipe: Mapping[str, str],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> str:
    """Start a run in the model's experiment with its recipe and metrics; return its id."""
    from mlflow.entities import Metric, Param

    ensure_registered_model(client, name)
    experiment = _experiment_id(store, client, name)
    run = client.create_run(experiment, tags={**tags, DIGEST: digest}, run_name=digest.removeprefix("sha256:")[:12])
    run_id: str = run.info.run_id
    now_ms = int(time.time() * 1000)
    client.log_batch(run_id, metrics=[Metric(key, figure, now_ms, 0) for key, figure in metrics.items()])
    params = [Param(key, text[:_PARAM_LIMIT]) for key, text in recipe.items()]
    for start in range(0, len(params), _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=params[start : start + _PARAMS_PER_BATCH])
    return run_id


def upload(store: Store, client: Any, reader: Reader, run_id: str, bundle: Path, verdict: Verdict, digest: str) -> str:
    """Upload the MLflow model and the verdict into the run, read the model back, and return where it is.

    Raises StorageError if what is read back does not have the digest.
    """
    client.log_artifacts(run_id, str(bundle), MODEL_PATH)
    page = bundle.parent / "verdict.json"
    page.write_bytes(artifacts.dump_json(verdict.to_json()))
    client.log_artifact(run_id, str(page))
    source = f"{client.get_run(run_id).info.artifact_uri.rstrip('/')}/{MODEL_PATH}"
    read_back = bundle.parent / "read-back"
    fetch_files(store, reader, source, read_back, f"run {run_id}")
    if digest_of(read_back) != digest:
        raise StorageError(f"model registry {store.label}: what was uploaded reads back as other bytes; run again")
    return source


def close_run(client: Any, run_id: str, outcome: str) -> None:
    """Mark the run as finished, with the verdict's outcome."""
    client.set_tag(run_id, OUTCOME, outcome)
    client.set_terminated(run_id, status="FINISHED")


def ensure_registered_model(client: Any, name: str) -> None:
    """Make a registered model, if there is none of this name."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _experiment_id(store: Store, client: Any, name: str) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = None if store.artifacts is None else f"{store.artifacts.rstrip('/')}/{name}"
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)
    if experiment.lifecycle_stage != "active":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)
