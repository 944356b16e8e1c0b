"""What a run passes on of its environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime import surroundings

ROOT = Path(__file__).parents[2]
HERE = Path("/somewhere/project")
NAMES = st.one_of(
    st.sampled_from(
        [
            "PATH",
            "HOME",
            "AWS_SECRET_ACCESS_KEY",
            "SPARK_HOME",
            "PYTHONPATH",
            "LC_ALL",
            "KERAS_HOME",
            "RATCHET_SPARK__MASTER",
        ]
    ),
    st.from_regex(r"[A-Z_][A-Z0-9_]{0,20}", fullmatch=True),
)
ENVIRONMENTS = st.dictionaries(NAMES, st.text(max_size=20), max_size=12)
HOSTILE = (
    "SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "PYSPARK_PYTHON", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS", "PYTHONOPTIMIZE", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS", "TF_USE_LEGACY_KERAS",
    "TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS", "XLA_FLAGS", "HOROVOD_FUSION_THRESHOLD", "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID", "GIT_DIR", "HADOOP_OPTS", "LANGUAGE", "LC_NUMERIC",
)  # fmt: skip


@given(ENVIRONMENTS)
def test_what_is_chosen_stays_as_it_is(environment: dict[str, str]) -> None:
    once = surroundings.chosen(environment, HERE)
    assert surroundings.chosen(once, HERE) == once
    assert surroundings.left_behind(once, HERE) == []


@given(ENVIRONMENTS, st.lists(NAMES, max_size=4))
def test_nothing_is_passed_on_but_what_is_listed_or_named(environment: dict[str, str], further: list[str]) -> None:
    passed = surroundings.chosen(environment, HERE, further)
    plain = surroundings.chosen({}, HERE)
    for name, value in passed.items():
        assert value == plain.get(name) or value == environment[name]
    assert all(passed[name] == environment[name] for name in further if name in environment)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_meant_for_other_programs_stays_behind(name: str) -> None:
    assert name not in surroundings.chosen({name: "x"}, HERE)
    assert surroundings.left_behind({name: "x"}, HERE) == [name]
    assert surroundings.chosen({name: "x"}, HERE, [name])[name] == "x"


@pytest.mark.parametrize("name", ["PATH", "HOME", "MLFLOW_TRACKING_PASSWORD", "AWS_PROFILE", "https_proxy", "KRB5_X"])
def test_access_and_the_way_out_are_passed_on(name: str) -> None:
    assert surroundings.chosen({name: "x"}, HERE)[name] == "x"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LC_ALL", "POSIX"),
        ("TZ", "Asia/Tokyo"),
        ("KERAS_BACKEND", "jax"),
        ("KERAS_HOME", "/x"),
        ("PYTHONPATH", "/foreign"),
    ],
)
def test_what_a_run_sets_is_set_whatever_was_there(name: str, value: str) -> None:
    assert surroundings.chosen({name: value}, HERE)[name] == surroundings.chosen({}, HERE)[name] != value


def test_a_variable_that_looks_like_ours_and_means_nothing_is_found() -> None:
    assert surroundings.unknown_names({"RATCHET_SPARK_MASTER": "x", "RATCHET_SPARK__MASTER": "x"}) == [
        "RATCHET_SPARK_MASTER"
    ]


def test_every_variable_that_our_code_names_is_known() -> None:
    files = [
        path
        for folder in ("pipeline", "dags", "scripts", "docker", ".ci", "Makefile")
        for path in ([ROOT / folder] if (ROOT / folder).is_file() else (ROOT / folder).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    ]
    named = {
        name for path in files for name in re.findall(r"\bRATCHET_[A-Z_]*[A-Z]\b", path.read_text("utf-8", "replace"))
    }
    assert len(named) > 10
    assert surroundings.unknown_names(dict.fromkeys(named, "")) == []
