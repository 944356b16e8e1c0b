"""The tasks: commands of the pipeline's own environment, run for real, and what Airflow is told of their end."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    DownstreamTasksSkipped,
)
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.execution_time.timeout import timeout

from dags import assets, form, tasks
from dags.commands import RatchetOperator, RunFailed, StepFailed, TryLater, _die_with_the_scheduler
from dags.derive import TaskSpec
from dags.tasks import CloseRun, OpenRun, RunStage, Sweep
from pipeline.errors import StorageError
from pipeline.recipe.configs import load_config, recipe_values
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import validate
from pipeline.records.run import RunRecord
from pipeline.runs import history, workspaces
from pipeline.runs.locks import run_lock
from tests.dags.conftest import ROOT

_WAIT_S = 20.0
DIE_WITH_THE_SCHEDULER = _die_with_the_scheduler
RUN = history.id_for("retrain_one", "manual__1")

# Stands in for the pipeline's interpreter: shows its arguments, writes the files and leaves as $ANSWER says.
STAND_IN = f"""#!{sys.executable} -IS
import json, os, sys
from pathlib import Path
print("called:", *sys.argv[1:])
answer = json.loads(os.environ.get("ANSWER", "{{}}"))
for name, content in answer.get("files", {{}}).items():
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(json.dumps(content))
print(answer.get("says", "done"))
sys.exit(answer.get("leaves with", 0))
"""


@pytest.fixture(autouse=True)
def no_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is to die with whoever has started pytest; the test of that has other ancestors."""
    monkeypatch.setattr(tasks, "_die_with_the_scheduler", lambda: None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a recipe, a config, and an environment in which the stand-in works."""
    root = tmp_path / "project"
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STAND_IN)
    python.chmod(0o755)
    (root / "configs").mkdir()
    (root / "configs" / "one.yaml").write_text("recipe: {name: one, train: {epochs: 2}}\n")
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.setattr(tasks, "ROOT", root)
    return root


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say what the stand-in does when it is called."""

    def say(files: dict[str, Any] | None = None, *, says: str = "done", leaves_with: int = 0) -> None:
        monkeypatch.setenv("ANSWER", json.dumps({"files": files or {}, "says": says, "leaves with": leaves_with}))

    return say


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def started(work: Callable[[], None]) -> Any:
    """Start a process that does some work: a fork, as Airflow's own are."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def execute(task: Any, context: Any) -> Any:
    """Run a task as Airflow's task runner does."""
    own = copy_context()
    own.run(ExecutorSafeguard.tracker.set, task)
    return own.run(task.execute, context)


def step() -> RatchetOperator:
    return RatchetOperator(task_id="t")


def run_shell(script: str) -> None:
    step().call("runs", "stage", "r1", "train", command=["/bin/sh", "-c", script])


def wait_for(what: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + _WAIT_S
    while not (found := what()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return found


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# -- a command and its end


def test_what_a_command_says_is_in_the_log_line_by_line_and_in_order(said: list[str]) -> None:
    run_shell(
        "for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf '100 %% %%s {} \\303\\244 \\377\\n\\n  end'"
    )
    assert said == ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3", "100 % %s {} ä �", "  end"]


def test_a_line_is_in_the_log_before_the_command_ends(
    said: list[str], background: ThreadPoolExecutor, tmp_path: Path
) -> None:
    going = background.submit(run_shell, f"echo begun; until [ -e {tmp_path}/go ]; do sleep 0.02; done; echo over")
    wait_for(lambda: said == ["begun"])
    assert not going.done()
    (tmp_path / "go").touch()
    going.result(_WAIT_S)
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
    with pytest.raises(StepFailed, match=r"^runs stage r1 train: left with 3 and said nothing$"):
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


@pytest.mark.parametrize("is_deaf", [False, True], ids=["one that listens", "one that is deaf"])
def test_a_task_that_is_killed_ends_its_command_and_what_that_has_started(
    said: list[str], background: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, is_deaf: bool
) -> None:
    monkeypatch.setattr(tasks, "_GRACE_S", 0.3)
    one = step()
    script = f"{'trap : TERM;' if is_deaf else ''} sleep 1000 & echo $!; echo $$; while :; do sleep 0.1; done"
    going: Future[None] = background.submit(one.call, "runs", command=["/bin/sh", "-c", script])
    pids = [int(line) for line in wait_for(lambda: len(said) == 2 and said)]
    assert not any(is_gone(pid) for pid in pids)
    one.on_kill()
    wait_for(lambda: all(is_gone(pid) for pid in pids))
    with pytest.raises(TryLater, match="SIGKILL" if is_deaf else "SIGTERM"):
        going.result(_WAIT_S)


def test_a_task_can_be_killed_before_it_has_begun() -> None:
    step().on_kill()


def test_a_time_out_ends_the_command_and_is_told_as_one(said: list[str]) -> None:
    with pytest.raises(AirflowTaskTimeout), timeout(0.3):
        run_shell("echo $$; sleep 1000 & echo $!; wait")
    assert len(said) == 2
    wait_for(lambda: all(is_gone(int(pid)) for pid in said))


def test_a_task_ends_with_the_scheduler_and_so_does_its_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def task() -> None:
        monkeypatch.setattr(tasks, "_die_with_the_scheduler", DIE_WITH_THE_SCHEDULER)
        step().call("runs", command=["/bin/sh", "-c", "echo $$ > aside; mv aside pid; exec sleep 1000"])

    def supervisor() -> None:
        started(task).join()

    scheduler = started(lambda: started(supervisor).join())
    family: list[int] = []
    try:
        wait_for((project / "pid").exists)
        family = [child.pid for child in psutil.Process(scheduler.pid).children(recursive=True)]
        assert int((project / "pid").read_text()) in family
        assert len(family) >= 3
        scheduler.kill()
        scheduler.join()
        wait_for(lambda: all(is_gone(pid) for pid in family))
    finally:
        for pid in [scheduler.pid, *family]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


# -- what is worth another try


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


# -- in a container


def spec(stage: str = "train", **hints: Any) -> TaskSpec:
    defaults = {"group": "g", "timeout_minutes": 1, "retries": 0, "pool": "default_pool", "image": None, "asset": None}
    return TaskSpec(stage=stage, description="", parents=(), **{**defaults, **hints})


def stage_task(stage: str = "train", **hints: Any) -> RunStage:
    return RunStage(spec=spec(stage, **hints), config="one", model="one")


def test_a_container_gets_the_project_the_user_and_the_names_of_what_is_overridden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RATCHET_SPARK__MASTER", "spark://secret@host")
    monkeypatch.setenv("RATCHET_VENV", "/worker/venv")
    words = stage_task(image="ratchet:gpu")._in_container("run-1")
    assert words[:2] == ["docker", "run"]
    options, command = words[2 : words.index("ratchet:gpu")], words[words.index("ratchet:gpu") + 1 :]
    assert command == ["python", "-m", "pipeline", "runs", "stage", "run-1", "train"]
    assert {
        "--rm",
        "--interactive",
        f"--user={os.getuid()}:{os.getgid()}",
        f"--volume={ROOT}:{ROOT}",
        f"--workdir={ROOT}",
        f"--env=PYTHONPATH={ROOT}",
        "--env=RATCHET_LIFELINE=1",
        "--env=RATCHET_SPARK__MASTER",
    } <= set(options)
    assert all(option.startswith("--") for option in options)
    assert "secret" not in " ".join(words)  # whoever lists the processes could read it
    assert "/worker/venv" not in " ".join(words)


# Stands in for docker: starts the command where no signal for the client reaches it, and hands on what goes in and out.
DOCKER = f"""#!{sys.executable} -IS
import os, subprocess, sys, threading
options = sys.argv[2 : sys.argv.index("ratchet:gpu")]
command = sys.argv[sys.argv.index("ratchet:gpu") + 1 :]
settings = [option.partition("=")[2] for option in options if option.startswith("--env=")]
environment = dict(os.environ, **dict(one.split("=", 1) for one in settings if "=" in one))
[folder] = [option.partition("=")[2] for option in options if option.startswith("--workdir=")]
container = subprocess.Popen(
    command, env=environment, cwd=folder, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
print("container", container.pid, flush=True)

def hand_on():
    while content := os.read(0, 4096):
        os.write(container.stdin.fileno(), content)
    container.stdin.close()

threading.Thread(target=hand_on, daemon=True).start()
for line in container.stdout:
    print(line.decode(), end="", flush=True)
code = container.wait()
os._exit(code if code >= 0 else 128 - code)
"""


def test_a_stage_in_a_container_ends_when_its_tasks_side_is_gone(
    tmp_path: Path, said: list[str], background: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real command waits for another stage of the same run, whose lock this test holds.
    root = tmp_path / "project"
    workspace = workspaces.workspace_of(root, RUN)
    workspace.mkdir(parents=True)
    for folder in (root, workspace):
        (folder / "pipeline").symlink_to(ROOT / "pipeline")
        for name in ("dvc.yaml", "params.yaml"):
            (folder / name).write_bytes((ROOT / name).read_bytes())
    history.write(root, RunRecord(RUN, "airflow", "running", history.now()))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "python").write_text(f'#!/bin/sh\nexec {ROOT}/.venv/bin/python "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(tasks, "ROOT", root)
    one = stage_task("ingest", image="ratchet:gpu")
    with run_lock(workspace):
        going: Future[None] = background.submit(one.call, "runs", command=one._in_container(RUN))
        pid = int(wait_for(lambda: said and said[0]).split()[1])
        lock = workspace / ".ratchet" / "run.lock"
        wait_for(lambda: str(lock) in {file.path for file in psutil.Process(pid).open_files()} or going.done())
        assert not going.done(), said
        one.on_kill()
        wait_for(lambda: is_gone(pid))
    with pytest.raises(TryLater, match="SIGTERM"):
        going.result(_WAIT_S)


# -- a run, task by task


def dag_run(**changes: Any) -> DagRun:
    now = datetime(2026, 11, 22, 3, 4, tzinfo=UTC)
    values = {
        "dag_id": "retrain_one",
        "run_id": "manual__1",
        "logical_date": now,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": now,
        "start_date": now,
        "end_date": None,
        "run_type": "manual",
        "state": "running",
        "consumed_asset_events": [],
        "partition_key": None,
    }
    return DagRun(**{**values, **changes})


class TaskInstance:
    """As much of a task instance as the tasks ask: how the other tasks have ended, and a place for its result."""

    def __init__(self, states: dict[str, str] | None = None) -> None:
        self.states = states or {}
        self.pushed: dict[str, Any] = {}

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert dag_id == "retrain_one"
        return dict.fromkeys(run_ids, self.states)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context(run: DagRun | None = None, *, states: dict[str, str] | None = None, **params: Any) -> Any:
    recipe = validate(Recipe, recipe_values(tasks.ROOT, load_config(tasks.ROOT / "configs" / "one.yaml")), "x")
    filled_in = {key: field.default for key, field in form.fields(recipe).items()}
    return {
        "dag_run": run or dag_run(),
        "params": filled_in | {key.replace("__", "."): value for key, value in params.items()},
        "ti": TaskInstance(states),
        "outlet_events": OutletEventAccessors(),
    }


def record(**changes: Any) -> dict[str, Any]:
    return {"id": RUN, "driver": "airflow", "state": "running", "start": "2026-11-22T03:04:00+00:00", **changes}


def open_task() -> OpenRun:
    return OpenRun(task_id="open", config="configs/one.yaml")


def request_of(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "runs" / RUN / "request.json").read_text())
    return found


def test_opening_hands_on_what_was_asked_and_by_whom(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    answer({f"runs/{RUN}/record.json": record(sentence="on its way")})
    asked = context(dag_run(triggering_user_name="ada"), train__epochs=5, reason="; rm -rf / {{ 1 }}", force=True)
    told = execute(open_task(), asked)
    assert told == {"run": RUN, "folder": f"runs/{RUN}", "note": "on its way"}
    assert said[0] == f"called: -m pipeline runs open {project}/runs/{RUN}/request.json"
    assert request_of(project) == {
        "id": RUN,
        "driver": "airflow",
        "config": "configs/one.yaml",
        "overrides": {"train.epochs": 5},
        "reason": "; rm -rf / {{ 1 }}",
        "asked_by": "ada",
        "is_forced": True,
        "as_of": None,
    }


@pytest.mark.parametrize(
    ("changes", "asked_by", "as_of"),
    [
        ({"run_type": "scheduled"}, "scheduled", None),
        ({"run_type": "asset_triggered", "logical_date": None}, "asset_triggered", None),
        ({"run_type": "backfill"}, "backfill", "2026-11-22"),
    ],
)
def test_a_run_that_nobody_asked_for_says_what_did_and_a_past_one_which_day(
    project: Path, said: list[str], answer: Callable[..., None], changes: dict[str, Any], asked_by: str, as_of: str
) -> None:
    answer({f"runs/{RUN}/record.json": record()})
    execute(open_task(), context(dag_run(**changes)))
    request = request_of(project)
    assert (request["overrides"], request["reason"], request["is_forced"]) == ({}, "", False)
    assert (request["asked_by"], request["as_of"]) == (asked_by, as_of)


def test_a_run_with_nothing_to_do_skips_every_other_task(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    from airflow.sdk import DAG

    answer({f"runs/{RUN}/record.json": record(outcome="unchanged", sentence="nothing changed since run r0")})
    with DAG("retrain_one"):
        opening = open_task()
        stage_task("train")
        CloseRun(task_id="close", config="one")
    asked = context()
    with pytest.raises(DownstreamTasksSkipped) as caught:
        execute(opening, asked)
    assert set(caught.value.tasks) == {"train", "close"}
    assert asked["ti"].pushed["return_value"]["note"] == "nothing changed since run r0"


@pytest.mark.parametrize(
    ("params", "conf", "line"),
    [
        ({}, {"train.epoch": 3}, "conf train.epoch: unknown key (did you mean 'train.epochs'?)"),
        ({"overrides": ["train.epocs=3"]}, {}, "overrides train.epocs: unknown key (did you mean 'train.epochs'?)"),
        (
            {"train__learning_rate": float("nan")},
            {},
            "train.learning_rate: a finite number or a text in quotes is needed, not nan",
        ),
    ],
)
def test_what_was_asked_wrongly_fails_before_anything_runs_and_is_recorded(
    project: Path, said: list[str], params: dict[str, Any], conf: dict[str, Any], line: str
) -> None:
    with pytest.raises(StepFailed) as caught:
        execute(open_task(), context(dag_run(conf=conf), **params))
    assert str(caught.value) == line
    assert said == []
    refused = history.read(project, RUN)
    assert (refused.state, refused.sentence) == ("failed", line)


def test_a_run_that_is_refused_at_its_head_is_recorded(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    answer(says="ratchet: samples/x does not exist", leaves_with=2)
    with pytest.raises(StepFailed, match=r"^samples/x does not exist$"):
        execute(open_task(), context())
    assert history.read(project, RUN).sentence == "samples/x does not exist"


def test_a_record_that_cannot_be_written_hides_no_cause(
    project: Path, said: list[str], answer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("record.json: no space left")

    monkeypatch.setattr(history, "write", refuse)
    answer(says="ratchet: .ratchet: no space left", leaves_with=74)
    with pytest.raises(StepFailed, match=r"^\.ratchet: no space left$"):
        execute(open_task(), context())


def test_a_broken_config_fails_its_run_by_file_and_key(project: Path, said: list[str]) -> None:
    asked = context()
    (project / "configs" / "one.yaml").write_text("recipe: {train: {epochs: 0}}\n")
    with pytest.raises(StepFailed, match=r"configs/one\.yaml: train\.epochs: .*got 0"):
        execute(open_task(), asked)


PLACE = f".worktrees/{RUN}"


def test_a_stage_tells_what_happened(project: Path, said: list[str], answer: Callable[..., None]) -> None:
    answer({f"{PLACE}/.ratchet/rows/train.json": {"name": "train", "what": "8 epochs, accuracy 0.91"}})
    asked = context()
    assert execute(stage_task("train"), asked) == "8 epochs, accuracy 0.91"
    assert said[0] == f"called: -m pipeline runs stage {RUN} train"
    assert len(asked["outlet_events"]) == 0


def test_prepared_data_is_made_known_with_its_rows_and_version(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    answer(
        {
            f"{PLACE}/.ratchet/rows/check_prepared.json": {"what": "holds"},
            f"{PLACE}/data/prepared/train/manifest.json": {"rows": 90, "digest": "sha256:a"},
            f"{PLACE}/data/prepared/test/manifest.json": {"rows": 10, "digest": "sha256:b"},
            f"{PLACE}/data/prepared/statistics.json": {},
        }
    )
    asked = context()
    execute(stage_task("check_prepared", asset="prepared"), asked)
    assert asked["outlet_events"][assets.prepared("one")].extra == {
        "rows": {"train": 90, "test": 10},
        "version": {"train": "sha256:a", "test": "sha256:b"},
        "run": RUN,
    }


METRICS = {"test": {"accuracy": 0.91, "per_class": [1, 2], "rows": 10}}


def test_a_new_champion_is_made_known_with_its_version_and_figures(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    champion = {"name": "one", "version": 3, "digest": "sha256:c"}
    registration = {"outcome": "promoted", "name": "one", "champion": champion, "sentence": "v3 is champion"}
    answer(
        {
            f"{PLACE}/.ratchet/rows/register.json": {"what": "one v3 is champion"},
            f"{PLACE}/reports/registration.json": registration,
            f"{PLACE}/reports/metrics.json": METRICS,
        }
    )
    asked = context()
    assert execute(stage_task("register", asset="champion"), asked) == "one v3 is champion"
    extra = asked["outlet_events"][assets.champion("one")].extra
    assert extra == {**champion, "metrics": {"accuracy": 0.91, "rows": 10}, "run": RUN}


def test_a_champion_that_stays_is_no_news(project: Path, said: list[str], answer: Callable[..., None]) -> None:
    answer(
        {
            f"{PLACE}/.ratchet/rows/register.json": {"what": "kept"},
            f"{PLACE}/reports/registration.json": {"outcome": "refused", "sentence": "accuracy 0.8 < 0.85"},
        }
    )
    with pytest.raises(AirflowSkipException, match=r"accuracy 0\.8 < 0\.85"):
        execute(stage_task("register", asset="champion"), context())


@pytest.mark.parametrize(
    "states",
    [
        {"open": "success", "train": "success", "register": "success", "close": "running"},
        {"open": "success", "train": "success", "register": "skipped"},
        {"train": "success", "close": "failed"},  # an earlier try of closing
    ],
)
def test_a_run_whose_stages_have_not_failed_is_closed_as_a_success(
    project: Path, said: list[str], answer: Callable[..., None], states: dict[str, str]
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="success", sentence="why")})
    asked = context(states=states)
    told = execute(CloseRun(task_id="close", config="one"), asked)
    assert said[0] == f"called: -m pipeline runs close {RUN} --state success"
    assert told == {"run": RUN, "folder": f"runs/{RUN}", "outcome": None, "note": "why"}
    assert len(asked["outlet_events"]) == 0


@pytest.mark.parametrize("states", [{"train": "failed", "register": "upstream_failed"}, {"train": "upstream_failed"}])
def test_a_run_with_a_failed_stage_is_closed_as_a_failure_and_red_itself(
    project: Path, said: list[str], answer: Callable[..., None], states: dict[str, str]
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="failed", sentence="why")})
    asked = context(states=states)
    with pytest.raises(RunFailed, match=r"^the run failed: why$"):
        execute(CloseRun(task_id="close", config="one"), asked)
    assert said[0] == f"called: -m pipeline runs close {RUN} --state failed"
    assert len(asked["outlet_events"]) == 0


@pytest.mark.parametrize(("outcome", "is_registered"), [("promote", True), ("refuse", True), ("rejected", False)])
def test_a_candidate_is_made_known_whatever_came_of_it(
    project: Path, said: list[str], answer: Callable[..., None], outcome: str, is_registered: bool
) -> None:
    files = {
        f"runs/{RUN}/record.json": record(state="success", outcome=outcome, sentence="why"),
        f"runs/{RUN}/reports/verdict.json": {"candidate": "sha256:c"},
        f"runs/{RUN}/reports/metrics.json": METRICS,
    }
    if is_registered:
        files[f"runs/{RUN}/reports/registration.json"] = {"version": 3}
    answer(files)
    asked = context(states={"train": "success"})
    execute(CloseRun(task_id="close", config="one"), asked)
    [event] = asked["outlet_events"][assets.candidates("one")].asset_alias_events
    assert event.dest_asset_key.uri == assets.candidate("one").uri
    assert event.extra == {
        "run": RUN,
        "outcome": outcome,
        "reason": "why",
        "digest": "sha256:c",
        "version": 3 if is_registered else None,
        "metrics": {"accuracy": 0.91, "rows": 10},
    }


# -- a person's yes


def test_a_refused_candidate_needs_nobodys_answer(project: Path) -> None:
    from dags.approval import Approve

    verdict = project / PLACE / "reports" / "verdict.json"
    verdict.parent.mkdir(parents=True)
    verdict.write_text(json.dumps({"outcome": "refuse", "reason": "accuracy 0.8 < 0.85"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dags.approval.ROOT", project)
        assert execute(Approve(task_id="approve", subject="?", defaults="Reject"), context()) is None


def test_a_passing_one_waits_for_a_person(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.standard.operators import hitl
    from airflow.sdk.exceptions import TaskAwaitingInput

    from dags.approval import Approve

    verdict = project / PLACE / "reports" / "verdict.json"
    verdict.parent.mkdir(parents=True)
    verdict.write_text(json.dumps({"outcome": "promote", "reason": "better"}))
    monkeypatch.setattr("dags.approval.ROOT", project)
    questions: list[Any] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **details: questions.append(details))
    asked = context() | {"task_instance": SimpleNamespace(id="0")}
    with pytest.raises(TaskAwaitingInput):
        execute(Approve(task_id="approve", subject="Publish?", defaults="Reject"), asked)
    [question] = questions
    assert (question["subject"], question["options"]) == ("Publish?", ["Approve", "Reject"])
    assert question["defaults"] == ["Reject"]
