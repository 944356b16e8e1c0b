"""The server of a run: real processes, libraries that cost nothing. What a stage finds, what ends, what is refused."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import TryAgain
from pipeline.runtime.warm import client, messages, server
from tests.processes_in import is_gone
from tests.waiting import wait_for
from tests.warm import LIBRARY, ROOT, Run, running, sleeping


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with running(tmp_path / "run") as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run for all tests that leave its server as it is."""
    with running(tmp_path_factory.mktemp("shared") / "run") as made:
        yield made


# What a process finds


def test_a_process_finds_libraries_imported_and_nothing_of_the_project(shared: Run) -> None:
    done = shared.run(
        "import sys; print([name for name in sys.modules if name in ('colorsys', 'jvm', 'messages', 'decimal')"
        " or name.partition('.')[0] == 'pipeline'])"
    )
    assert (done.code, done.out) == (0, "['colorsys']\n"), done.err


def test_a_process_has_its_own_arguments_environment_folder_and_outputs(shared: Run) -> None:
    done = shared.run(
        "import os, sys; print(sys.argv[1:], os.environ['RATCHET_EVENTS'], os.getcwd(), __name__, flush=True); "
        "print('complaint', file=sys.stderr); os.system('echo from a shell')",
        "one",
        "two words",
        RATCHET_EVENTS="those of this stage",
    )
    assert done.out == f"['one', 'two words'] those of this stage {shared.root} __main__\nfrom a shell\n"
    assert done.err == "complaint\n"


def test_what_a_process_starts_inherits_nothing_but_its_outputs(shared: Run) -> None:
    done = shared.run(
        """
import contextlib, os, sys
for descriptor in range(100):
    with contextlib.suppress(OSError):
        if os.get_inheritable(descriptor):
            print(descriptor, os.readlink(f"/proc/self/fd/{descriptor}"))
"""
    )
    assert done.out == f"0 /dev/null\n1 {shared.root}/out\n2 {shared.root}/err\n"


@pytest.mark.parametrize(
    ("code", "ended", "said"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit(65)", 65, ""),
        ("import sys; sys.exit('in words')", 1, "in words\n"),
        ("import sys; sys.exit(['in', 'words'])", 1, "['in', 'words']\n"),
        ("raise ValueError('wrong')", 1, "ValueError: wrong\n"),
        ("def broken(:", 1, "SyntaxError: invalid syntax\n"),
        ("import os; os._exit(7)", 7, ""),
        ("import atexit, sys; atexit.register(print, 'handled', file=sys.stderr); sys.exit(3)", 3, "handled\n"),
    ],
)
def test_how_a_process_ends_is_told(shared: Run, code: str, ended: int, said: str) -> None:
    done = shared.run(code)
    assert (done.code, done.err.endswith(said)) == (ended, True), done.err
    assert shared.path.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_process_that_a_signal_ends_takes_the_server_with_it_and_the_next_one_gets_another(
    run: Run, number: signal.Signals
) -> None:
    assert run.run(f"import os; os.kill(os.getpid(), {int(number)})").code == -number
    run.assert_gone()
    assert run.run("pass").code == 0


def test_a_process_runs_the_code_as_it_stands_then(shared: Run) -> None:
    said = []
    for words in ("first", "the second one"):
        (shared.root / "changing.py").write_text(f"WORDS = {words!r}")
        said.append(shared.run("import changing; print(changing.WORDS)").out)
    assert said == ["first\n", "the second one\n"]


LOOKS = """
import os, random, sys, threading, warnings
print(sorted(name for name in sys.modules if not name.startswith("task")), threading.active_count(), os.getcwd(),
    sorted(os.environ.items()), sorted(os.listdir("/proc/self/fd")), sys.path, warnings.filters, os.umask(0o22),
    [hook.__module__ for hook in sys.meta_path], sys.getrecursionlimit())
"""
LEAVES = """
import decimal, os, random, sys, threading, time, warnings
import colorsys
colorsys.leaked = True
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
os.environ["LEAKED"] = "1"
open("kept", "w").close()
kept = [open("kept") for _ in range(5)]
os.chdir("/"); os.umask(0)
sys.path.append("/leaked"); sys.setrecursionlimit(77777); warnings.simplefilter("error")
"""


def test_nothing_of_a_process_reaches_the_next(shared: Run) -> None:
    before = shared.run(LOOKS)
    assert shared.run(LEAVES).code == 0
    after = shared.run(LOOKS + "import colorsys; assert not hasattr(colorsys, 'leaked')")
    assert (after.code, after.out) == (0, before.out), after.err


def test_two_processes_draw_their_own_random_numbers(shared: Run) -> None:
    draw = "import random; print(random.random())"
    assert shared.run(draw, libraries=["random"]).out != shared.run(draw, libraries=["random"]).out


def test_two_at_once_are_told_their_own_ends(shared: Run) -> None:
    waits = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
sys.exit(int(sys.argv[2]))
"""
    with shared.start(waits, "first", "3") as first, shared.start(waits, "second", "4") as second:
        (shared.root / "second").touch()
        assert second.wait() == 4
        (shared.root / "first").touch()
        assert first.wait() == 3


def test_a_process_that_lasts_too_long_ends_with_the_block_that_waits_for_it(run: Run) -> None:
    forked, process = run.start_waiting()
    with forked, pytest.raises(TimeoutError):
        forked.wait(0.01)
    wait_for(lambda: is_gone(process.pid), "the process is gone")


def test_a_stage_without_libraries_is_told_to_work_itself(shared: Run) -> None:
    assert shared.run("pass", libraries=[]).code is None


# Whoever is killed

ASKS = """
import sys
from pathlib import Path
from pipeline.errors import TryAgain
from pipeline.runtime.warm import client
from tests.warm import Run

run = Run(Path.cwd(), int(sys.argv[1]))
forked, process = run.start_waiting()
print(process.pid, flush=True)
try:
    code = forked.wait()
    sys.exit(75 if code < 0 else code)  # as run_stage does
except TryAgain as error:
    sys.exit(error.exit_code)
"""


@pytest.mark.long
@pytest.mark.parametrize("victim", ["anchor", "server", "parent", "client", "child"])
def test_whichever_process_is_killed_none_is_left_and_the_next_gets_another_server(tmp_path: Path, victim: str) -> None:
    with running(tmp_path) as run:
        with subprocess.Popen(
            [sys.executable, "-c", ASKS, str(run.anchor)],
            cwd=run.root,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        ) as asking:
            assert asking.stdout
            child = int(asking.stdout.readline())
            [parent] = run.parents()
            victims = {"server": run.server().pid, "parent": parent.pid, "client": asking.pid, "child": child}
            os.kill({**victims, "anchor": run.anchor}[victim], signal.SIGKILL)
            asking.wait()
        assert asking.returncode == (-signal.SIGKILL if victim == "client" else 75)
        run.assert_gone()
    with running(tmp_path) as run:
        assert run.run("pass").code == 0


def test_what_a_killed_parent_had_not_begun_has_not_begun(run: Run) -> None:
    begun, _ = run.start_waiting()
    [parent] = run.parents()
    parent.suspend()
    late = run.start("pass")
    assert run.run("pass", libraries=[]).code is None  # the server has heard of what came before
    parent.kill()
    with begun, pytest.raises(TryAgain):
        begun.wait()
    with late, pytest.raises(client.NoServer, match="killed"):
        late.wait()


def test_a_server_that_ends_before_anything_has_begun_is_none(run: Run) -> None:
    (run.root / "pipeline").mkdir()
    (run.root / "pipeline" / "__init__.py").write_text("raise RuntimeError('broken')")
    with run.start("pass") as forked, pytest.raises(client.NoServer, match="has ended"):
        forked.wait()


def test_a_process_that_is_killed_leaves_those_beside_it_alone(run: Run) -> None:
    first, process = run.start_waiting()
    with first:
        assert run.run("import os; os.kill(os.getpid(), 9)").code == -signal.SIGKILL
        assert run.run("pass").code == 0  # by another server
        assert not is_gone(process.pid)
        process.terminate()
        assert first.wait() == -signal.SIGTERM


# Whatever is found in the server's place


def reasons(run: Run) -> str:
    """Return why there is no server to be had."""
    with pytest.raises(client.NoServer) as caught:
        run.connect()
    return str(caught.value)


def test_a_socket_that_is_left_over_is_removed(run: Run) -> None:
    assert run.run("pass").code == 0
    victim = run.server()
    victim.kill()
    wait_for(lambda: is_gone(victim.pid), "the server is gone")
    with running(run.root) as other:
        (run.path.parent / f"{client.machine()}-2-3-4").touch()
        elsewhere, folder = run.path.parent / "other-2-3-4", run.path.parent / "folder"
        elsewhere.touch()
        folder.mkdir()
        assert other.run("pass").code == 0
        assert sorted(run.path.parent.iterdir()) == sorted([folder, elsewhere, other.path])


def test_a_server_that_ends_leaves_the_socket_of_its_successor(run: Run) -> None:
    forked, process = run.start_waiting()
    run.path.unlink()
    with run.start_waiting()[0]:
        process.kill()
        with forked:
            assert forked.wait() == -signal.SIGKILL
        assert run.run("pass").code == 0
        assert len(list(run.path.parent.iterdir())) == 1


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_a_log_that_is_no_file_is_named_and_nobody_waits_for_it(run: Run, make: Callable[[Path], None]) -> None:
    make(run.root / "warm.log")
    assert reasons(run).startswith(f"{run.root}/warm.log: ")
    assert reasons(run).endswith("; remove it")


@pytest.mark.parametrize("named", ["-1", "abc", " 7", "0", "007", "9" * 5000, "٣٣"])
def test_an_anchor_that_is_no_process_is_said(tmp_path: Path, named: str) -> None:
    with pytest.raises(client.NoServer, match="no process's id"):
        client.socket_path(tmp_path, os.getpid(), {client.ANCHOR_VARIABLE: named})


def test_whoever_sets_the_servers_variable_is_not_forked_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(client.SERVER_VARIABLE, "/nowhere")
    assert not client.is_forked()


def test_a_socket_of_another_user_is_left_alone(run: Run) -> None:
    with run.connect():
        pass  # makes the folder, and its server
    run.server().kill()
    run.path.unlink(missing_ok=True)
    if os.getuid() != 0:
        pytest.skip("only root can listen as another user")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        with run.inside():
            listener.bind(str(run.path.relative_to(run.root)))
        os.seteuid(65534)
        try:
            listener.listen()  # at which the kernel notes who it is
        finally:
            os.seteuid(0)
        with pytest.raises(client.NoServer, match="another user's"):
            client.connect(run.path)


def test_a_folder_that_is_a_link_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    run.path.parent.parent.mkdir()
    run.path.parent.symlink_to(tmp_path / "elsewhere")
    assert "Not a directory" in reasons(run)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(run: Run) -> None:
    run.path.parent.parent.mkdir()
    run.path.parent.touch()
    assert "Not a directory" in reasons(run)


def test_a_folder_in_the_place_of_the_socket_is_refused(run: Run) -> None:
    run.path.parent.parent.mkdir()
    run.path.parent.mkdir(mode=0o700)
    run.path.mkdir()
    assert str(run.path) in reasons(run)


def test_a_folder_that_is_open_to_others_is_refused(run: Run) -> None:
    run.path.parent.parent.mkdir()
    run.path.parent.mkdir()
    run.path.parent.chmod(0o750)
    assert "not a folder of this user's alone" in reasons(run)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(run: Run) -> None:
    run.path.parent.parent.mkdir()
    run.path.parent.mkdir(mode=0o700)
    os.chown(run.path.parent, 65534, 65534)
    assert "not a folder of this user's alone" in reasons(run)


def test_however_deep_a_run_is_its_socket_is_reached(tmp_path: Path) -> None:
    with running(tmp_path / ("deep" * 20) / ("deeper" * 20)) as run:
        assert len(str(run.path)) > 200
        assert run.run("pass").code == 0


def test_the_folder_and_the_socket_are_the_users_alone(shared: Run) -> None:
    with shared.connect():
        assert shared.path.parent.stat().st_mode & 0o777 == 0o700


def test_an_anchor_that_has_gone_has_no_server(run: Run) -> None:
    with sleeping() as anchor:
        other = Run(run.root, anchor)
        assert other.path != run.path
    with pytest.raises(client.NoServer, match="is gone"):
        _ = other.path


def test_two_anchors_in_one_folder_do_not_meet(run: Run) -> None:
    forked, process = run.start_waiting()
    with forked:
        with running_beside(run) as other:
            assert other.run("pass").code == 0
            assert other.server() != run.server()
        assert not is_gone(process.pid)
        assert run.run("pass").code == 0


@contextlib.contextmanager
def running_beside(run: Run) -> Iterator[Run]:
    """Another run in the same folder; when it is left, its server has gone."""
    with sleeping() as anchor:
        other = Run(run.root, anchor)
        yield other
        its_server = other.server()
    wait_for(lambda: is_gone(its_server.pid), "its server is gone")


# Whatever is asked


def refusal(run: Run, **wanted: Any) -> str:
    with run.start("pass", **wanted) as forked, pytest.raises(client.NoServer) as caught:
        forked.wait()
    return str(caught.value)


def test_another_environment_is_refused(shared: Run) -> None:
    assert shared.run("pass").code == 0
    assert refusal(shared, FOREIGN="1") == "it knows another run"


def test_a_stage_for_which_the_server_is_switched_off_is_not_its_own(shared: Run) -> None:
    assert shared.run("pass").code == 0
    assert refusal(shared, RATCHET_SERVER__ENABLED="false") == "it knows another run"


def test_an_order_that_is_too_long_is_refused(shared: Run) -> None:
    assert shared.run("pass", libraries=[LIBRARY] * 100).code == 0
    request = {"do": "stage", "name": "work", "plan": None, "module": "pass", "arguments": []}
    for length in range(127_000, 132_000, 400):
        with (
            shared.inside(RATCHET_FILLS="x" * length),
            contextlib.suppress(client.NoServer),
            client.Forked(shared.path, client.connect(shared.path), request) as process,
        ):
            process.wait()


def test_a_message_that_is_too_long_is_refused(shared: Run) -> None:
    with pytest.raises(client.NoServer, match="too long"):
        shared.start("pass", "x" * 200_000)
    assert shared.run("pass").code == 0


def test_an_environment_of_any_bytes_is_passed_on(run: Run) -> None:
    strange = "\udcff\n\u00e9" + "x" * 50_000
    run.variables = {"STRANGE": strange}
    assert run.run("import os; print(ascii(os.environ['STRANGE']))").out == f"{strange!a}\n"


def test_a_process_that_finds_tensorflow_imported_sees_no_gpu_whatever_is_shown_to_it(run: Run) -> None:
    (run.root / "start").mkdir()
    (run.root / "start" / "sitecustomize.py").write_text(f"import sys; sys.path.insert(0, {str(run.root)!r})")
    (run.root / "tensorflow.py").write_text("")
    run.variables = {"PYTHONPATH": f"{ROOT}{os.pathsep}{run.root / 'start'}", "CUDA_VISIBLE_DEVICES": "0"}
    code = "import os, sys; print('tensorflow' in sys.modules, os.environ['CUDA_VISIBLE_DEVICES'].split())"
    assert run.run(code, libraries=[LIBRARY]).out == "False ['0']\n"
    assert run.run(code, libraries=["tensorflow"]).out == "True []\n"


BROKEN = ["no_such_library", "leaving", "failing"]


@pytest.fixture
def with_broken(run: Run) -> Run:
    """A run whose libraries are found where those of the environment are, and some of which cannot be imported."""
    folder = run.root / "libraries"
    (run.root / "start").mkdir()
    folder.mkdir()
    (folder / "leaving.py").write_text("import sys; sys.exit(3)")
    (folder / "failing.py").write_text("raise RuntimeError('not here')")
    (run.root / "start" / "sitecustomize.py").write_text(f"import sys; sys.path.append({str(folder)!r})")
    run.variables = {"PYTHONPATH": f"{ROOT}{os.pathsep}{run.root / 'start'}"}
    return run


def test_a_library_that_cannot_be_imported_is_a_reason_to_work_without_and_disturbs_nobody(with_broken: Run) -> None:
    forked, process = with_broken.start_waiting()
    with forked:
        for name in BROKEN:
            assert refusal(with_broken, libraries=[LIBRARY, name]).startswith(f"{name} cannot be imported; see /")
        assert "RuntimeError: not here" in (with_broken.root / "warm.log").read_text()
        assert with_broken.run("pass").code == 0
        assert not is_gone(process.pid)


def test_a_library_of_a_later_stage_that_cannot_be_imported_does_not_disturb_this_one(with_broken: Run) -> None:
    ahead = {"parent": server.PLAIN, "libraries": BROKEN, "jvm": None}
    assert with_broken.run("import sys; print('colorsys' in sys.modules)", ahead=ahead).out == "True\n"


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"{}", b'{"do": "fly"}', b'{"do": "run"}'])
def test_nonsense_is_not_answered(shared: Run, content: bytes) -> None:
    with shared.connect() as connection:
        connection.send(content)
        assert messages.receive(connection) is None
    assert shared.run("pass").code == 0


def test_the_jvm_is_nobodys_but_a_stages_that_says_so(shared: Run) -> None:
    with shared.connect() as connection:
        messages.send(connection, {"do": "jvm", "conf": {}, "variables": {}, "login": None})
        assert messages.receive(connection) == ({"no": "the stage does not share it"}, [])


def test_the_server_of_a_run_that_is_over_ends(run: Run) -> None:
    client.end_all(run.root)  # without any
    forked, _ = run.start_waiting()
    (run.path.parent / "0-0-0").touch()
    with forked:
        client.end_all(run.root)
        with pytest.raises(TryAgain):
            forked.wait()
    run.assert_gone()
    assert run.run("pass").code == 0


def test_a_stopped_server_is_waited_for_so_long_and_no_longer(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.run("pass").code == 0
    stopped = run.server()
    stopped.suspend()
    with pytest.raises(TryAgain) as raised:
        client.end_all(run.root, limit_s=0.2)
    stopped.resume()
    named = f"the server of the run (process {stopped.pid})"
    assert str(raised.value) == (
        f"{named} has not ended within 0.2 s: it is stopped, or hangs; `kill -CONT {stopped.pid}` lets it go on, "
        f"`kill -KILL {stopped.pid}` ends it and all it has started; then close the run again"
    )
    assert capsys.readouterr().err == f"waiting for {named} to end, 0.2 s at most\n"


@pytest.mark.parametrize("sent", [signal.SIGCONT, signal.SIGKILL])
def test_both_ways_out_of_a_stopped_server_are_ones(run: Run, sent: signal.Signals) -> None:
    forked, waiting = run.start_waiting()
    with forked:
        stopped = run.server()
        stopped.suspend()
        with pytest.raises(TryAgain):
            client.end_all(run.root, limit_s=0.1)
        stopped.send_signal(sent)
        client.end_all(run.root)
        wait_for(lambda: is_gone(waiting.pid), "what it has started has ended")
    run.assert_gone()


def test_a_server_of_which_nobody_asks_anything_ends(run: Run) -> None:
    run.idle_s = 0.0
    assert run.run("pass").code == 0
    wait_for(lambda: not run.path.exists(), "the server has ended")
    run.assert_gone()
    assert run.run("pass").code == 0
