"""What a run passes on of the environment that it was started in, and what it sets itself. The rest stays behind.

A variable that somebody set for another program (another Spark, another Keras, an optimizing Python, a JVM's agent)
would decide what a run does, or break it, on one machine and not on the next. So what is passed on is listed here, with
the reason; `environment` in execution.yaml names more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.errors import nearest

# Names that are passed on; one that ends in `*` is the beginning of names.
PASSED_ON: Mapping[str, tuple[str, ...]] = {
    "where programs, the home and temporary files are, and who the user is": (
        "PATH", "HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "TMPDIR", "TMP", "TEMP", "SHELL", "XDG_*",
        "SSH_AUTH_SOCK",
    ),
    "libraries that the machine's loader needs; a name for a user without one": (
        "LD_LIBRARY_PATH", "LD_PRELOAD", "NSS_WRAPPER_*",
    ),
    "whether Python writes bytecode": ("PYTHONDONTWRITEBYTECODE",),
    "how the terminal shows text": ("TERM", "COLORTERM", "NO_COLOR", "COLUMNS", "LINES"),
    "how to get out, and whom to trust there": (
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC",
    ),
    "access to stores of data, artifacts and models": (
        "AWS_*", "AZURE_*", "GOOGLE_*", "CLOUDSDK_*", "DATABRICKS_*", "OSS_*", "DVC_*",
        "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_AUTH",
        "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH", "MLFLOW_S3_*", "MLFLOW_HTTP_*", "MLFLOW_WORKSPACE",
    ),
    "a cluster": (
        "HADOOP_CONF_DIR", "HADOOP_HOME", "HADOOP_USER_NAME", "YARN_CONF_DIR", "KRB5*", "KUBECONFIG", "KUBERNETES_*",
    ),
    "which Java and which accelerators": ("JAVA_HOME", "CUDA_*", "NVIDIA_*", "NCCL_*", "ROCR_*", "HIP_*"),
    "Ratchet's own": ("RATCHET_*",),
}  # fmt: skip

# What would be another result, or another program, if it were passed on by one of the beginnings above.
_NEVER = ("CUDA_LAUNCH_BLOCKING", "DVC_EXP_*", "NVIDIA_TF32_OVERRIDE")

# What a run sets itself, whatever was set: text is UTF-8, times are UTC, Keras runs on TensorFlow, nobody is told.
_SET = {
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "2",  # warnings of TensorFlow's C++ code
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
}
_KERAS_HOME = Path(".ratchet") / "keras"  # keras.json is written there, not read from the home

# Variables of Ratchet's own that are no keys of execution.yaml (those have `__` in them).
OWN_NAMES = (
    "RATCHET_AIRFLOW_OF", "RATCHET_AIRFLOW_VENV", "RATCHET_ANCHOR", "RATCHET_CA", "RATCHET_CACHE",
    "RATCHET_CANARY_SHARE", "RATCHET_CHALLENGER", "RATCHET_DEBIAN_MIRROR", "RATCHET_ENVIRONMENT", "RATCHET_EVENTS",
    "RATCHET_EVIDENCE", "RATCHET_GPUS", "RATCHET_IMPORTS", "RATCHET_LIFELINE", "RATCHET_MODEL", "RATCHET_PROJECT",
    "RATCHET_PYTHON", "RATCHET_ROOT", "RATCHET_SERVED", "RATCHET_SERVING_CALLS", "RATCHET_SHADOW_SHARE",
    "RATCHET_SPARK_CORES_PER_RUN", "RATCHET_STAGE_PID", "RATCHET_TAG", "RATCHET_TOKENS", "RATCHET_UID", "RATCHET_UV",
    "RATCHET_VENV", "RATCHET_WARM",
)  # fmt: skip

# Folders of settings and caches that a run's programs read or write.
_FOLDERS = (
    "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR", "DVC_GLOBAL_CONFIG_DIR",
    "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR",
)  # fmt: skip

# What the interpreter itself has read by the time that it runs this.
_OF_THE_INTERPRETER = ("PYTHON*", "LC_*", "LANG", "LANGUAGE")


def chosen(environment: Mapping[str, str], root: Path, further: Collection[str] = ()) -> dict[str, str]:
    """Return the environment of what a run in the folder `root` starts. `further` names are passed on as they are.

    `PYTHONPATH` is the folder, so that its code runs. What is chosen already stays as it is.
    """
    names = [name for group in PASSED_ON.values() for name in group]
    kept = {
        name: value
        for name, value in environment.items()
        if name in further or (_is_one_of(name, names) and not _is_one_of(name, _NEVER))
    }
    own = {**_SET, "KERAS_HOME": str(root / _KERAS_HOME), "PYTHONPATH": str(root)}
    return {**{name: value for name, value in own.items() if name not in further or name not in kept}, **kept}


def left_behind(environment: Mapping[str, str], root: Path, further: Collection[str] = ()) -> list[str]:
    """Return the names of variables that a run does not pass on as they are."""
    passed = chosen(environment, root, further)
    return sorted(name for name, value in environment.items() if passed.get(name) != value)


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that begin as Ratchet's own and mean nothing: misspelt, most likely."""
    return sorted(
        name
        for name in environment
        if name.upper().startswith("RATCHET_")
        and not (name.startswith("RATCHET_") and "__" in name)
        and name not in OWN_NAMES
    )


def no_folders(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that name a folder of settings or caches where something else is, or is above it."""
    return [name for name in _FOLDERS if environment.get(name) and not _may_be_a_folder(Path(environment[name]))]


def _may_be_a_folder(path: Path) -> bool:
    try:
        there = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
        return there.is_dir()
    except (OSError, StopIteration, ValueError):
        return False


def wrong_variable(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return a variable that looks like ours and means nothing, or names no folder, and what is wrong with it."""
    from pipeline.recipe.execution import variables

    for name in unknown_names(environment):
        return name, f"unknown{nearest(name, [*variables(), *OWN_NAMES])}; unset or rename it"
    for name in no_folders(environment):
        return name, f"{environment[name]:.80} is no folder; unset it, or name one"
    return None


def enter(root: Path, further: Collection[str] = ()) -> None:
    """Give this process the environment of a run in `root`; if its interpreter has read another, begin it anew.

    For a stage that the user's own `dvc repro` has started. In our runs there is nothing to do.
    """
    environment = chosen(os.environ, root, further)
    if environment == dict(os.environ):
        return
    if _of_the_interpreter(environment) != _of_the_interpreter(os.environ):
        os.execve(sys.executable, [sys.executable, "-m", "pipeline", *sys.argv[1:]], environment)  # noqa: S606
    os.environ.clear()
    os.environ.update(environment)


def _of_the_interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _is_one_of(name, _OF_THE_INTERPRETER)}


def _is_one_of(name: str, names: Collection[str]) -> bool:
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in names)
