"""A task's command: what it says is in the log, how it ends is what Airflow is told, and what it inherits is chosen."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from dags.commands import RunFailed, StepFailed, TryLater
from dags.tasks import Sweep
from tests.dags.conftest import ROOT
from tests.dags.task_run import execute, run_shell, step
from tests.waiting import HANG_S, wait_for


def test_what_a_command_says_is_in_the_log_line_by_line_and_in_order(said: list[str]) -> None:
    run_shell(
        "for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf '100 %% %%s {} \\303\\244 \\377\\n\\n  end'"
    )
    assert said == ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3", "100 % %s {} ä �", "  end"]


def test_a_line_is_in_the_log_before_the_command_ends(
    said: list[str], background: ThreadPoolExecutor, tmp_path: Path
) -> None:
    going = background.submit(run_shell, f"echo begun; until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo over")
    wait_for(lambda: said == ["begun"], "the first line")
    assert not going.done()
    (tmp_path / "go").touch()
    going.result(HANG_S)
    assert said == ["begun", "over"]


def test_what_may_succeed_later_is_tried_later(said: list[str]) -> None:
    with pytest.raises(TryLater, match=r"^the champion has moved$"):
        run_shell("echo working; echo 'ratchet: the champion has moved'; exit 75")


@pytest.mark.parametrize("code", [1, 2, 65, 70, 74, 127, 255])
def test_what_would_fail_again_has_failed_with_the_commands_own_line(said: list[str], code: int) -> None:
    with pytest.raises(StepFailed) as caught:
        run_shell(f"echo working; echo 'ratchet: data/raw: no such file' >&2; echo; exit {code}")
    assert str(caught.value) == "data/raw: no such file"
    assert said[-1] == "ratchet: data/raw: no such file"


def test_a_command_that_says_nothing_is_named(said: list[str]) -> None:
    with pytest.raises(StepFailed, match=r"^runs stage r1 train: exited with 3 without a message$"):
        run_shell("exit 3")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_command_that_was_killed_is_tried_again(said: list[str], number: signal.Signals) -> None:
    with pytest.raises(TryLater, match=f"its process was ended by {number.name}; at work"):
        run_shell(f"echo at work; kill -{number.value} $$")


def test_a_container_that_was_killed_is_tried_again(said: list[str]) -> None:
    with pytest.raises(TryLater, match="its process was ended by SIGKILL; at work"):
        run_shell("echo at work; exit 137")  # as `docker run` tells it


def test_a_command_that_is_not_there_is_named(said: list[str]) -> None:
    with pytest.raises(StepFailed, match=r"^/nowhere/docker: cannot be started on this worker: No such file"):
        step().call("runs", "stage", command=["/nowhere/docker", "run"])


def test_nothing_goes_through_a_shell(project: Path, said: list[str]) -> None:
    words = ["; touch injected", "$(touch injected)", "`touch injected`", "a\nb", "*", "{{ 1 }}"]
    step().call("runs", *words)
    assert "\n".join(said) == "called: -m pipeline runs " + " ".join(words) + "\ndone"
    assert not list(project.rglob("injected"))


def test_without_the_pipelines_environment_the_task_fails_and_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RATCHET_VENV", str(tmp_path / "nowhere"))
    with pytest.raises(AirflowFailException, match=f"{tmp_path}/nowhere is missing: run `make setup` in {ROOT}"):
        step().call("runs", "sweep")


def test_the_pipelines_environment_can_stand_elsewhere(
    project: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (project / ".venv").rename(tmp_path / "elsewhere")
    monkeypatch.setenv("RATCHET_VENV", str(tmp_path / "elsewhere"))
    execute(Sweep(task_id="sweep"), {})
    assert said[0] == "called: -m pipeline runs sweep"


def test_airflows_settings_and_secrets_are_not_handed_on(
    project: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW_CONN_RATCHET_EMAIL",
        "AIRFLOW_CTX_DAG_ID",
        "_AIRFLOW_PROCESS_CONTEXT",
        "__AIRFLOW_SUPERVISOR_FD",
        "PYTHONSTARTUP",
        "PYTHONPATH",
        "VIRTUAL_ENV",
    ):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("RATCHET_SPARK__MASTER", "local[4]")
    step().call(command=["env"])
    handed_on = dict(line.split("=", 1) for line in said)
    assert "secret" not in handed_on.values()
    assert {name for name in handed_on if "AIRFLOW" in name or name.startswith("PYTHON")} == {
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
    }
    assert handed_on["PYTHONPATH"] == str(project)
    assert handed_on["RATCHET_SPARK__MASTER"] == "local[4]"
    assert handed_on["PATH"] == os.environ["PATH"]


def test_a_command_runs_in_the_project_and_is_asked_nothing(project: Path, said: list[str]) -> None:
    python = project / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\npwd\ncat\necho read\n")
    step().call("runs", "sweep")
    assert said == [str(project), "read"]


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (TryLater("a lock"), "retry"),
        (StepFailed("no such file"), "fail"),
        (RunFailed("the run failed"), "fail"),
        (AirflowTaskTimeout("too long"), "fail"),
        (ValueError("a bug"), "fail"),
        (KeyError("a bug"), "fail"),
    ],
)
def test_only_what_may_succeed_later_is_tried_again(error: BaseException, action: str) -> None:
    decision = step().retry_policy.evaluate(error, try_number=1, max_tries=2)
    assert decision.action.value == action
