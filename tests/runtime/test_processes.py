"""No process outlives the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.runtime import processes
from tests.waiting import HANG_S, wait_for

ROOT = Path(__file__).parents[2]


def has_ended(pid: int) -> bool:
    """Wait until a process is gone."""

    def is_gone() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return wait_for(is_gone, f"process {pid} is gone", look_s=0.02)


def test_a_started_process_dies_when_its_starter_is_killed(tmp_path: Path) -> None:
    starter = (
        "import os, subprocess, sys; from pathlib import Path; from pipeline.runtime import processes;"
        "where = {'folder': Path('.'), 'environment': os.environ, 'output': subprocess.DEVNULL};"
        "child = processes.start(['sleep', '1000'], **where);"
        "print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", starter], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child_pid = int(parent.stdout.readline())
        assert psutil.pid_exists(child_pid)
        parent.kill()
    assert has_ended(child_pid)


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that waits, and that another one is to die with."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"up\n")
        process.stdout.readline()  # from now on it is `cat`, no longer a copy of this process
        yield process
        process.kill()


def start_tied(pid: int) -> subprocess.Popen[bytes]:
    """Start a process that dies with one that is not its parent."""
    code = f"from pipeline.runtime.processes import die_with; die_with({pid}); print('up', flush=True); input()"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_process_dies_with_one_that_is_not_its_parent(other: subprocess.Popen[bytes]) -> None:
    with start_tied(other.pid) as tied:
        assert tied.stdout
        assert tied.stdout.readline() == b"up\n"
        other.kill()
        assert tied.wait(HANG_S) == -signal.SIGKILL


def test_a_process_dies_at_once_with_one_that_has_ended(other: subprocess.Popen[bytes]) -> None:
    other.kill()
    other.wait()
    with start_tied(other.pid) as tied:
        assert tied.wait(HANG_S) == -signal.SIGKILL


def test_a_process_dies_when_its_input_closes() -> None:
    code = "from pipeline.runtime.processes import die_with_input; die_with_input(); import time; time.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.close()
        assert process.wait(HANG_S) == -signal.SIGKILL


def test_a_process_runs_by_a_word_of_its_command(other: subprocess.Popen[bytes]) -> None:
    assert processes.is_running(other.pid, "cat")


def test_a_process_with_the_same_id_and_another_command_does_not_count(other: subprocess.Popen[bytes]) -> None:
    assert not processes.is_running(other.pid, "ratchet")


def test_a_process_that_has_ended_and_is_not_reaped_does_not_run(other: subprocess.Popen[bytes]) -> None:
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.is_running(other.pid, "cat")


def test_the_parent_of_a_process_is_known(other: subprocess.Popen[bytes]) -> None:
    assert processes.parent_of(other.pid) == os.getpid()


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize("is_early", [False, True], ids=["while it works", "before it has begun"])
def test_a_stage_dies_with_its_driver_across_a_shell(shell: str, is_early: bool) -> None:
    begin = "from pipeline.runtime import processes; processes.die_with_driver()"
    wait = "sys.stdin.readline()" if is_early else "pass"
    stage = f"import sys, time; print('up', flush=True); {wait}; {begin}; print('begun', flush=True); time.sleep(1000)"
    driver = "import os, subprocess; subprocess.run([os.environ['A_SHELL'], '-c', os.environ['ITS_COMMAND']])"
    with subprocess.Popen(
        [sys.executable, "-c", driver],
        cwd=ROOT,
        # The second command keeps the shell from replacing itself by the first.
        env={**os.environ, "A_SHELL": shell, "ITS_COMMAND": f'{sys.executable} -c "{stage}"; true'},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        for word in ["up\n"] if is_early else ["up\n", "begun\n"]:
            assert parent.stdout.readline() == word
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
        parent.wait()
        if is_early:
            parent.stdin.write("go on\n")
            parent.stdin.flush()
        for child in family:  # the shell waits for nothing more, and goes
            assert has_ended(child.pid)


def test_ending_a_process_ends_its_whole_group() -> None:
    process = processes.start(
        ["/bin/sh", "-c", "sleep 1000 & sleep 1000; true"],
        folder=ROOT,
        environment=os.environ,
        output=subprocess.DEVNULL,
    )
    wait_for(lambda: len(psutil.Process(process.pid).children()) == 2, "both have started", look_s=0.01)
    group = psutil.Process(process.pid).children()
    processes.end(process)
    assert process.returncode == -signal.SIGTERM
    assert all(has_ended(child.pid) for child in group)


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(1000)"
    )
    process = processes.start([sys.executable, "-c", code], folder=ROOT, environment=os.environ)
    assert process.stdout
    with process.stdout as output:
        assert output.readline() == b"up\n"
        processes.end(process, grace_s=0.2)
    assert process.returncode == -signal.SIGKILL


def test_leaving_runs_exit_handlers_and_loses_no_output() -> None:
    code = (
        "import atexit, sys\n"
        "from pipeline.runtime import processes\n"
        "atexit.register(lambda: print('handled'))\n"
        "class Slow:\n    def __del__(self): import time; time.sleep(1000)\n"
        "kept = Slow()\n"
        "print('said', end=''); processes.leave(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.returncode, done.stdout) == (3, "saidhandled\n")


ORPHAN = """
import os, subprocess, sys, time
from pipeline.runtime import processes
processes.adopt_orphans()
own = subprocess.Popen(["sleep", "1000"])
orphan = int(subprocess.run(["sh", "-c", "sleep 0.01 >&- & echo $!"], check=True, stdout=subprocess.PIPE).stdout)
assert orphan in processes.descendants()
while orphan in processes.descendants():
    processes.reap_orphans({own.pid})
    time.sleep(0.01)
own.kill()
os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)
processes.reap_orphans({own.pid})
print(own.wait())
"""


def test_an_adopted_process_that_has_ended_is_let_go_of_and_ones_own_is_waited_for_by_its_starter() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False, timeout=HANG_S)
    assert (done.stdout, done.stderr) == ("-9\n", "")


@pytest.mark.parametrize(("error", "is_ended"), [(KeyboardInterrupt, True), (SystemExit, True), (ValueError, False)])
def test_what_a_block_has_started_ends_if_it_is_interrupted(error: type[BaseException], is_ended: bool) -> None:
    before = subprocess.Popen(["sleep", "1000"])
    inside: list[subprocess.Popen[bytes]] = []

    def start_and_raise() -> None:
        inside.append(subprocess.Popen(["sh", "-c", "sleep 1000 & wait"]))
        raise error

    try:
        with pytest.raises(error), processes.ended_by_interrupt():
            start_and_raise()
        assert before.poll() is None
        assert (inside[0].wait(HANG_S) if is_ended else inside[0].poll()) == (-signal.SIGKILL if is_ended else None)
    finally:
        for process in (before, *inside):
            for pid in processes.descendants(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.kill()
            process.wait()
