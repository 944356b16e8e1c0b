"""Kills each process of a real run's tree, at each stage: `make killings`, or a chosen few in the tests.

On an idx file of 1 797 digits, or on 500 pictures of `digits_folders` in their class folders.

Each attempt is the next try of the one before: it must leave no process behind, its exit code must say that the next
may succeed, and the last one must end with the lock of a run that nobody has disturbed.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.errors import TryAgain
from pipeline.graph import load_graph
from tests.system.project import Project, make_project
from tests.system.shipped import make_shipped
from tests.waiting import wait_for, work_of

SERVER, PARENT, WORKERS = "pipeline.runtime.warm.server", "warm/parent.py", "pipeline.runtime.spark_workers"
RANK = "pipeline.launching.worker"
# What may go on, or be taken up again, without the one that is killed.
_BEGUN_S = 0.4  # of a stage that works in the client's own process: it is past its first imports
_NOT_NEEDED = dict.fromkeys(("rank", "Spark's daemon", "server", "other parent"), (0, TryAgain.exit_code))


@dataclass(frozen=True)
class Seen:
    """A process, as it was seen at one moment."""

    process: psutil.Process
    parent: int
    words: str
    name: str


def seen_in(project: Project) -> list[Seen]:
    """Return the processes that work in a project's folder."""
    found = []
    for process in project.processes():
        try:
            found.append(Seen(process, process.ppid(), " ".join(process.cmdline()), process.name()))
        except psutil.NoSuchProcess:
            continue
    return found


def roles(seen: Iterable[Seen], driver: int, stage: str) -> dict[str, psutil.Process]:
    """Return the processes of a run at a stage by what they do; without a stage's process, none."""
    by_pid = {each.process.pid: each for each in seen}

    def under(each: Seen, word: str) -> bool:
        return each.parent in by_pid and word in by_pid[each.parent].words

    found: dict[str, psutil.Process] = {}
    clients = [each for each in by_pid.values() if each.words.endswith(f"stage {stage}") and "python" in each.words]
    if not clients:
        return {}
    found["driver"], found["client"] = by_pid[driver].process, clients[0].process
    holders = {each.parent for each in by_pid.values() if each.name == "java"}
    for each in by_pid.values():
        if each.process.pid == clients[0].parent and each.process.pid != driver:
            found["dvc"] = each.process
        elif SERVER in each.words:
            found["server"] = each.process
        elif PARENT in each.words and under(each, SERVER):
            found["parent of Spark" if _has_java(each, by_pid, holders) else "other parent"] = each.process
        elif PARENT in each.words and under(each, PARENT):
            found["holder" if each.process.pid in holders else "child"] = each.process
        elif each.name == "java":
            found["JVM"] = each.process
        elif WORKERS in each.words:
            is_daemon = by_pid.get(each.parent, each).name == "java"
            found["Spark's daemon" if is_daemon else "Spark's worker"] = each.process
        elif RANK in each.words:
            found["rank"] = each.process
    return found


def _has_java(parent: Seen, by_pid: dict[int, Seen], holders: Iterable[int]) -> bool:
    return any(by_pid[holder].parent == parent.process.pid for holder in holders if holder in by_pid)


@dataclass(frozen=True)
class Killing:
    """What came of killing a process: the run's exit code, and how long it took until nothing was left, seconds."""

    stage: str
    role: str
    code: int | None
    ended_s: float
    said: str

    @property
    def is_right(self) -> bool:
        """Whether the exit code says what it must."""
        if self.role == "driver":
            return self.code == -signal.SIGKILL
        if self.role in AT_REST and ROLES[self.stage] is WITHOUT_SPARK:
            return self.code in (0, TryAgain.exit_code)
        return self.code in _NOT_NEEDED.get(self.role, (TryAgain.exit_code,))


def kill(project: Project, stage: str, role: str) -> Killing | None:
    """Kill the process that has this role while a run works at a stage; None if the stage ended without such a one."""
    run = project.start("ratchet", "run")
    try:
        victim = wait_for(
            lambda: _victim(project, run, stage, role),
            f"{role} at {stage}",
            progress=lambda: work_of(project.processes()),
            look_s=0.02,
        )
        if isinstance(victim, psutil.Process):
            victim.kill()
        killed_s = time.monotonic()
        out, err = run.communicate()
    finally:
        run.kill()
    wait_for(
        lambda: not project.processes(),
        f"no process is left after {role} at {stage}",
        progress=lambda: {process.pid for process in project.processes()},
        explain=project.processes,
    )
    if not isinstance(victim, psutil.Process):
        return None
    return Killing(stage, role, run.returncode, time.monotonic() - killed_s, (out + err)[-2000:])


def _victim(project: Project, run: subprocess.Popen[str], stage: str, role: str) -> psutil.Process | str | None:
    if run.poll() is not None:
        return "the run has ended before"
    try:
        found = roles(seen_in(project), run.pid, stage)
        return found.get(role) if _is_at_work(found, ROLES[stage]) else None
    except (KeyError, psutil.NoSuchProcess):  # one has just ended
        return None


def _is_at_work(found: Mapping[str, psutil.Process], expected: Iterable[str]) -> bool:
    """Return whether a stage's work depends on all that it has been given: before, it may go on without."""
    if expected is WITHOUT_SPARK:
        return "client" in found and found["client"].cpu_times().user > _BEGUN_S
    if "child" not in expected:
        return "rank" in found
    if "child" not in found or "JVM" not in expected:
        return "child" in found
    return "JVM" in found and bool(found["child"].net_connections("tcp"))


# By stage: who works there. Beside what works in the client's own process rests what waits until Spark is needed again.
AT_REST = ("server", "parent of Spark", "holder", "JVM")
WITHOUT_SPARK = ("driver", "dvc", "client", *AT_REST)
ALWAYS = ("driver", "dvc", "client", "server", "child")
WITH_SPARK = (*ALWAYS, "parent of Spark", "holder", "JVM")
WITH_WORKERS = (*WITH_SPARK, "Spark's daemon", "Spark's worker")
AT_TRAIN = ("driver", "dvc", "client", "rank")
ROLES = {
    "ingest": WITHOUT_SPARK,
    "check_raw": WITH_SPARK,
    "clean": WITH_WORKERS,
    "split": WITHOUT_SPARK,
    "normalize": WITH_WORKERS,
    "check_apart": WITHOUT_SPARK,
    "augment": WITH_WORKERS,
    "check_prepared": WITH_SPARK,
    "train": AT_TRAIN,
    "evaluate": (*ALWAYS, "other parent"),
    "gate": (*ALWAYS, "other parent"),
}


def make_folders(folder: Path) -> Project:
    """Make the project of pictures in class folders."""
    return make_shipped(folder, in_force="digits_folders")


SAMPLES: dict[str, Callable[[Path], Project]] = {"digits": make_project, "digits_folders": make_folders}


def undisturbed(folder: Path, make: Callable[[Path], Project]) -> bytes:
    """Return the lock of a run that nobody disturbs, in a project of its own."""
    project = make(folder)
    done = project.ratchet("run")
    assert done.returncode == 0, done.stdout + done.stderr
    lock = (project.root / "dvc.lock").read_bytes()
    shutil.rmtree(folder)
    return lock


def campaign(
    folder: Path,
    make: Callable[[Path], Project],
    tell: Callable[[str], None],
    only: Iterable[str] = (),
    of: Iterable[str] = (),
) -> int:
    """Kill every process at every stage; tell what came of each, and return how many times it was not as it must be.

    `only` are stages, `of` are roles.
    """
    lock = undisturbed(folder / "undisturbed", make)
    project, wrong = make(folder / "project"), 0
    for stage in load_graph(project.root).stages:
        for role in ROLES.get(stage.name, ()):
            if (only and stage.name not in only) or (of and role not in of):
                continue
            done = kill(project, stage.name, role)
            if done is None:  # a killing before has not kept the stage from its end
                (project.root / "dvc.lock").unlink(missing_ok=True)
                shutil.rmtree(project.root / ".dvc" / "cache" / "runs")
                done = kill(project, stage.name, role)
            if done is None:
                wrong += 1
                tell(f"{stage.name:15} {role:16} ended before it was seen")
                continue
            wrong += not done.is_right
            tell(f"{stage.name:15} {role:16} exit code {done.code}, nothing left after {done.ended_s:.1f} s")
            if not done.is_right:
                tell(done.said)
    finished = project.ratchet("run")
    is_same = finished.returncode == 0 and (project.root / "dvc.lock").read_bytes() == lock
    tell(f"the last try: exit code {finished.returncode}, the lock is {'the same' if is_same else 'ANOTHER'}")
    return wrong + (not is_same)


def main() -> None:
    """Run the campaign, and fail if anything was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", nargs="*", default=(), help="only these stages")
    parser.add_argument("--roles", nargs="*", default=(), help="only these processes, such as driver, JVM")
    parser.add_argument("--sample", choices=SAMPLES, default="digits", help="what the runs are about")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = campaign(
            Path(folder), SAMPLES[chosen.sample], lambda line: print(line, flush=True), chosen.stages, chosen.roles
        )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
