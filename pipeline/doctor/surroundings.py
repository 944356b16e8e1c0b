"""Checks of what a run inherits: variables, the home's settings of other programs, the locale, the host's name."""

from __future__ import annotations

import locale
import os
import shlex
import socket
from collections.abc import Collection
from pathlib import Path

from pipeline.doctor.health import HealthCheck
from pipeline.recipe.configs import competing, models, passed_over
from pipeline.runtime import surroundings

# What others set for programs that a run uses too: worth a word, because whoever has set it may expect it to count.
_OF_OTHERS = ("SPARK_", "PYSPARK_", "JAVA_TOOL_OPTIONS", "KERAS_", "TF_", "PYTHON", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS",
              "MLFLOW_", "OMP_", "XLA_", "HOROVOD_", "LC_", "GIT_", "HADOOP_", "DVC_", "CUDA_")  # fmt: skip


def check_variables(root: Path, pass_on: Collection[str]) -> HealthCheck:
    """Variables that mean nothing to Ratchet, and those that a run does not pass on."""
    if wrong := surroundings.wrong_variable(os.environ):
        name, why = wrong
        return HealthCheck("environment variables", False, f"{name:.80}: {why}", f"unset {shlex.quote(name)}")
    all_left = surroundings.left_behind(os.environ, root, pass_on)
    left = [name for each in _OF_OTHERS for name in all_left if name.startswith(each)]  # the likeliest first
    if not left:
        return HealthCheck("environment variables", True, "none that a run would need to leave behind")
    names = ", ".join(left[:8]) + (f" and {len(left) - 8} more" if len(left) > 8 else "")
    return HealthCheck(
        "environment variables", True, f"not passed on to a run: {names} (environment.pass_on in execution.yaml)"
    )


def check_keras() -> HealthCheck:
    """Keras's settings in the home do not count."""
    settings = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    said = f"{settings} is not used: a run has settings of its own" if settings.is_file() else "settings of its own"
    return HealthCheck("keras settings", True, said)


def check_locale() -> HealthCheck:
    """Text is UTF-8 in a run, whatever it is here."""
    here = locale.getencoding()
    said = "UTF-8" if here.lower() in ("utf-8", "utf8") else f"{here} here; a run works in UTF-8"
    return HealthCheck("locale", True, said)


def check_host(workers: int) -> HealthCheck:
    """The machine's name has an address. A local Spark does without; Horovod's workers end by SIGSEGV (Gloo)."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        found = f"this machine's name {name:.80} has no address"
        if workers == 1:
            return HealthCheck("host name", True, f"{found}; one worker does without")
        remedy = f"echo {shlex.quote(f'127.0.1.1 {name}')} | sudo tee -a /etc/hosts"
        return HealthCheck("host name", False, f"{found}, which Horovod's workers ask for", remedy)
    return HealthCheck("host name", True, name)


def check_configs(root: Path) -> HealthCheck:
    """Every file in `configs/` that looks like a config is one, and each publishes under a model name of its own."""
    if lines := passed_over(root):
        name = lines[0].partition(":")[0]
        remedy = f"mv {shlex.quote(name)} {shlex.quote(str(Path(name).with_suffix('.yaml')))}"
        return HealthCheck("configs", False, lines[0], remedy)
    if lines := competing(models(root)):
        said, _, remedy = lines[0].partition("; ")
        return HealthCheck("configs", False, said, remedy)
    return HealthCheck("configs", True, "each is read, and publishes under a model name of its own")
