"""Surroundings that are made for other programs: a run among them is the same run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.system.project import Project

_RENAMED = ("unshare", "--uts", "sh", "-c", 'hostname nowhere.invalid && exec "$@"', "renamed")  # root may do that


def variables(folder: Path) -> dict[str, str]:
    """Make another Keras's, Spark's and Python's settings in a folder; return the variables that lead to them."""
    home, conf, foreign = folder / "home", folder / "conf", folder / "foreign" / "pipeline"
    for each in (home / ".keras", conf, foreign):
        each.mkdir(parents=True)
    keras = {"image_data_format": "channels_first", "floatx": "float16", "backend": "jax"}
    (home / ".keras" / "keras.json").write_text(json.dumps(keras))
    (conf / "spark-defaults.conf").write_text("spark.eventLog.enabled true\nspark.eventLog.dir file:///nowhere\n")
    (foreign / "__init__.py").write_text("raise RuntimeError('another package of this name')\n")
    return {
        "HOME": str(home),
        "SPARK_HOME": "/nowhere",
        "SPARK_CONF_DIR": str(conf),
        "PYSPARK_SUBMIT_ARGS": "--master spark://nowhere:7077 pyspark-shell",
        "PYSPARK_PYTHON": "/nowhere/python",
        "JAVA_TOOL_OPTIONS": "-Xmx1m",
        "PYTHONOPTIMIZE": "2",
        "PYTHONPATH": str(foreign.parent),
        "TF_USE_LEGACY_KERAS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "OMP_NUM_THREADS": "7",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "LC_ALL": "POSIX",
        "TZ": "Asia/Tokyo",
        "GIT_DIR": "/nowhere",
    }


def run(project: Project, folder: Path) -> subprocess.CompletedProcess[str]:
    """`ratchet run` in such surroundings; where we may, on a machine whose name has no address."""
    may = os.geteuid() == 0 and shutil.which("unshare") and project.call(*_RENAMED, "true").returncode == 0
    return project.call(*(_RENAMED if may else ()), "ratchet", "run", **variables(folder))
