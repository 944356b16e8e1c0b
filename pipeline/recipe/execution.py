"""Where and how the pipeline runs. Nothing here decides a result, so nothing here is a DVC parameter.

`execution.yaml` holds it; `RATCHET_<GROUP>__<KEY>` in the environment overrides a key
(`RATCHET_SPARK__MASTER=local[4]`), and `ratchet run --execution spark.master=local[4]` sets that variable for one run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from pipeline.errors import UsageError, nearest
from pipeline.recipe.settings import Settings, dotted_keys, set_dotted, validate
from pipeline.recipe.strict_yaml import parse_yaml, parse_yaml_value

EXECUTION_FILE = "execution.yaml"
_PREFIX = "RATCHET_"
_LONGEST_HOURS = 87_600  # ten years
_OLD_NAMES = {"worktrees": "workspaces"}  # groups that had another name before, which is still read


class SparkSettings(Settings):
    """The Spark that the data stages and the contracts use."""

    master: str = Field(default="local[2]", description="Spark master: local[N], spark://host:port, k8s://…, yarn")
    driver_memory_mb: int = Field(default=1024, ge=512, le=2**24, description="heap of the JVM driver, MiB")
    settings: dict[str, str] = Field(default_factory=dict, description="further Spark settings, passed on as they are")


class HorovodSettings(Settings):
    """The workers that training uses."""

    workers: int = Field(default=2, ge=1, le=1024, description="worker processes; 1 trains without Horovod")
    hosts: str = Field(default="localhost", description="host:slots,… for several hosts; localhost for this one")
    interface: str = Field(default="lo", description="network interface the workers talk through")
    threads_per_worker: int = Field(
        default=1, ge=1, le=1024, description="virtual workers that one worker computes side by side"
    )
    cycle_time_ms: float = Field(
        default=0.5, gt=0, le=60_000, description="how long Horovod gathers tensors before it exchanges them"
    )
    start_timeout_s: float = Field(
        default=120.0, gt=0, le=86_400, description="how long the workers may take to find each other"
    )


class MLflowSettings(Settings):
    """The model registry."""

    uri: str = Field(default="sqlite:///registry/mlflow.db", description="MLflow tracking and registry address")
    artifacts: str = Field(default="registry/artifacts", description="folder or URI of the models' bytes")


class WorkspaceSettings(Settings):
    """How long the workspaces of runs that did not end well are kept, so that people can look for the cause."""

    failed_hours: float = Field(
        default=72.0, ge=0, le=_LONGEST_HOURS, description="of a failed run, whoever drove it, hours"
    )
    forgotten_hours: float = Field(
        default=168.0, ge=0, le=_LONGEST_HOURS, description="of a run in steps that never came to an end, hours"
    )


# The beginnings of variables that decide which kernels compute, and so how they round.
_DECIDES_BITS = (
    "TF_", "TF32_", "NVIDIA_TF32", "XLA_", "ONEDNN_", "DNNL_", "MKL_", "OPENBLAS_", "BLIS_", "OMP_", "KMP_", "GOMP_",
    "CUBLAS_", "CUDNN_", "KERAS_",
)  # fmt: skip


class EnvironmentSettings(Settings):
    """What a run passes on of the environment beyond what it always does (`runtime/surroundings.py` lists that)."""

    pass_on: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = Field(
        default=(), strict=False, description="names of further variables; their values stay where they are"
    )

    @field_validator("pass_on")
    @classmethod
    def _decides_no_bit(cls, pass_on: tuple[str, ...]) -> tuple[str, ...]:
        for name in pass_on:
            if name.startswith(_DECIDES_BITS):
                raise ValueError(
                    f"{name} may change how numbers are rounded, and nothing of an execution may: leave it out"
                )
        return pass_on


class ServerSettings(Settings):
    """What the stages of a run share: one JVM, and processes that have heavy libraries imported (`runtime/warm`)."""

    enabled: bool = Field(default=True, description="whether they share it; else each stage starts its own")
    idle_s: float = Field(
        default=60.0, ge=1, le=86_400, description="how long it waits for the next stage of a run in steps, seconds"
    )


class ExportSettings(Settings):
    """Which forms of a candidate are measured where it is registered, and what its SavedModel may take there.

    A candidate beyond a bound is registered, but the champion stays.
    """

    formats: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")], ...] = Field(
        default=("saved_model",),
        strict=False,
        max_length=20,
        description="files in pipeline/export/formats/, besides the SavedModel; [] measures nothing",
    )
    max_p95_ms: float | None = Field(
        default=None, gt=0, le=86_400_000, description="longest time of 95 % of the calls with one row; null: any"
    )
    max_size_mib: float | None = Field(default=None, gt=0, le=2**24, description="largest size, MiB; null: any")

    @model_validator(mode="after")
    def _what_is_bounded_is_measured(self) -> Self:
        if not self.formats and not (self.max_p95_ms is None and self.max_size_mib is None):
            raise ValueError("formats must not be empty: without figures no bound (max_p95_ms, max_size_mib) is held")
        return self


class Execution(Settings):
    """Everything in `execution.yaml`."""

    spark: SparkSettings = Field(default_factory=SparkSettings)
    horovod: HorovodSettings = Field(default_factory=HorovodSettings)
    mlflow: MLflowSettings = Field(default_factory=MLflowSettings)
    workspaces: WorkspaceSettings = Field(default_factory=WorkspaceSettings)
    environment: EnvironmentSettings = Field(default_factory=EnvironmentSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    export: ExportSettings = Field(default_factory=ExportSettings)


def load_execution(root: Path, environment: Mapping[str, str] | None = None) -> Execution:
    """Read `execution.yaml` under `root` (defaults if it is absent) and apply the environment's overrides.

    Raises UsageError for what is not valid, and where a group is named by its old and its new name at once.
    """
    path = root / EXECUTION_FILE
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for group, value in (parse_yaml(path) if path.exists() else {}).items():
        values[_noted(names, group, group, EXECUTION_FILE)] = value
    where = EXECUTION_FILE
    named: dict[str, str] = {}
    for variable, text in sorted((os.environ if environment is None else environment).items()):
        if variable.startswith(_PREFIX) and "__" in variable:
            key = variable.removeprefix(_PREFIX).lower().replace("__", ".")
            set_dotted(values, _noted(named, key, variable, "environment"), parse_yaml_value(text, variable))
            where = f"{EXECUTION_FILE} with {variable}"
    return validate(Execution, values, where)


def _noted(names: dict[str, str], key: str, name: str, where: str) -> str:
    """Return a key with its group's present name, and note in `names` how it was written; raise UsageError if twice."""
    group, dot, rest = key.partition(".")
    present = _OLD_NAMES.get(group, group) + dot + rest
    if (other := names.setdefault(present, name)) != name:
        raise UsageError(f"{where}: {other} and {name} are two names of the same; keep one")
    return present


def variables() -> list[str]:
    """Return the variables of the environment that override a key."""
    return [_PREFIX + key.upper().replace(".", "__") for key in dotted_keys(Execution) if "." in key]


def as_variables(overrides: Mapping[str, str]) -> dict[str, str]:
    """Turn `{"spark.master": "local[4]"}` into the environment variables that stages read.

    Raises UsageError, with the nearest key, for one that stands in no group.
    """
    for key in overrides:
        if "." not in key:
            if key in Execution.model_fields:
                raise UsageError(f"--execution {key}: a group; name one of its keys, like spark.master=local[4]")
            raise UsageError(f"--execution {key:.80}: unknown key{nearest(key, dotted_keys(Execution))}")
    return {_PREFIX + key.upper().replace(".", "__"): value for key, value in overrides.items()}
