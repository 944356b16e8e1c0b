"""`dvc repro` without DVC's command line: a process that loads DVC, then runs the order on its standard input.

DVC's command line loads all of its commands before it runs one, and Python's finalization afterwards takes time too. A
run in steps pays for both at every stage. This process calls the function behind the command, which does and prints
the same; and it can be started before its order is known, so that DVC loads meanwhile.

DVC works without git here (`core.no_scm`), in a run's workspace and in the user's folder alike: it neither asks git nor
writes its files, and no hook, index or owner of a repository can stand in a run's way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import StorageError, without_secrets
from pipeline.graph import GRAPH_FILE
from pipeline.runs import absent_sources, dvc_lock_entries, dvc_repairs, known_hashes, watched_inputs, workspace_config
from pipeline.runtime import processes, surroundings
from pipeline.storage.artifacts import write_file

_COMMAND = [sys.executable, "-m", "pipeline.runs.dvc_repro"]
_GARBAGE_THRESHOLD = 200_000  # objects (700 by default): this process is short-lived and frees little
_FAILED = 255
_warm: list[subprocess.Popen[bytes]] = []


def warm_up() -> None:
    """Start the process that the next `start` will use. It ends with this one if it never gets an order."""
    _warm.append(_started())


@contextmanager
def loading() -> Iterator[None]:
    """Start the process that the first `start` in the block will use: DVC loads meanwhile. Unused, it ends with it."""
    process = _started()
    _warm.append(process)
    try:
        yield
    finally:
        if process in _warm:
            _warm.remove(process)
            processes.end(process)
            assert process.stdin is not None
            process.stdin.close()


@dataclass(frozen=True)
class Order:
    """What DVC is to do in a workspace.

    `home`: the project's folder whose configuration of DVC holds in the workspace; None in the project's folder itself.
    Then, in this order: `checks_out` brings back what the lock lists and is not there, as far as the cache has it;
    `reproduces` runs what is not up to date: with a `stage`, only that one and what it needs, or with `is_single` only
    that one; `is_forced`, even what is up to date. A single stage may run beside others and waits for DVC's lock;
    otherwise DVC gives up after 3 s. `picture` is a file in which to say, after the work, in which state of the files
    DVC finds nothing to do.
    """

    home: str | None = None
    checks_out: bool = False
    reproduces: bool = True
    stage: str | None = None
    is_single: bool = False
    is_forced: bool = False
    picture: str | None = None


def start(workspace: Path, environment: Mapping[str, str], log: Path, order: Order) -> subprocess.Popen[bytes]:
    """Give DVC an order in `workspace`, in the given environment; its output goes to `log`.

    The process exits with 0, or with 255 after a line that begins with `ERROR:`.
    """
    log.write_bytes(b"")
    process = _warm.pop() if _warm else _started()
    whole = {"workspace": str(workspace), "environment": dict(environment), "log": str(log), "order": asdict(order)}
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stdin:  # broken: it has ended, which its exit code will tell
        stdin.write(json.dumps(whole).encode())
    return process


def _started() -> subprocess.Popen[bytes]:
    code = Path(__file__).parents[2]
    environment = surroundings.chosen(os.environ, code)
    # Until it has its order, its output (that DVC cannot be loaded) goes to our standard error.
    return processes.start(_COMMAND, folder=code, environment=environment, stdin=subprocess.PIPE, output=2)


def main() -> NoReturn:
    """Load DVC, wait for the order, and execute it."""
    import gc
    import logging

    gc.set_threshold(_GARBAGE_THRESHOLD)
    from dvc.repo import Repo
    from dvc.ui import ui

    dvc_repairs.apply()
    dvc_lock_entries.apply()
    content = sys.stdin.buffer.read()
    if not content:
        processes.leave(0)  # no order: this process is not needed
    whole = json.loads(content)
    order = Order(**whole["order"])
    _become(whole, order)
    ui.enable()
    try:
        if order.home is not None:
            workspace_config.write(Path.cwd(), Path(order.home))
        with Repo(config={"core": {"no_scm": True}}, _wait_for_lock=order.is_single) as repo:
            _execute(repo, order)
        code = 0
    except Exception:
        logging.getLogger("dvc").exception("")  # DVC's own handler makes one line of it: ERROR: what: why
        code = _FAILED
    _mask_secrets(Path(whole["log"]))
    processes.leave(code)


def _execute(repo: Any, order: Order) -> None:
    known_hashes.tell(repo)
    absent_sources.hold(repo)
    watched_inputs.watch(repo)
    if order.checks_out:
        _bring_back(repo)
    if not order.reproduces:
        return
    try:
        repo.reproduce(targets=order.stage, single_item=order.is_single, force=order.is_forced)
    except Exception:
        _bring_back(repo)
        raise
    if order.picture is not None:
        _say_what_is_clean(repo, Path(order.picture))


def _bring_back(repo: Any) -> None:
    """Bring back the outputs that the lock lists and that are not there: DVC removes those of a stage before it runs.

    What the cache does not have whole stays away: half a folder would be taken for one. Who makes it will run again.
    """
    repo._reset()  # noqa: SLF001 - the lock may have been written since it was read; as `reproduce` itself does
    graph = repo.fs.join(repo.root_dir, GRAPH_FILE)  # no other: runs/ holds some of earlier runs
    outs = [out for stage in repo.index.stages if stage.path == graph for out in stage.outs]
    missing = [out for out in outs if out.use_cache and out.hash_info and not out.exists]
    with repo.lock:
        for out in missing:
            if not out.changed_cache():
                out.checkout(force=True)


def _say_what_is_clean(repo: Any, path: Path) -> None:
    """Write a picture of the files, if DVC, asked after it was taken, finds them all up to date.

    If something cannot even be read, as the user is writing it, it is not clean; the run is done all the same.
    """
    from dvc.exceptions import DvcException

    from pipeline.errors import RatchetError
    from pipeline.graph import load_graph
    from pipeline.runs.freshness import picture_of
    from pipeline.storage.artifacts import write_json

    root = Path.cwd()
    try:
        picture = picture_of(root, load_graph(root))
        repo._reset()  # noqa: SLF001 - what stands on the disk now, not what was read before the work
        is_clean = all(
            change == "always changed" for stage in repo.status(targets=[GRAPH_FILE]).values() for change in stage
        )
    except (RatchetError, DvcException):
        is_clean = False
    write_json(path, picture if is_clean else None)


def _mask_secrets(log: Path) -> None:
    """Mask the secrets in what DVC and the stages have said, now that none of them writes any more.

    Another file takes the log's place: whoever reads it at this moment reads on in the one that was. On a full disk it
    stays as it is: what the run has to say matters more then.
    """
    sys.stdout.flush()
    said = os.fsdecode(log.read_bytes())
    masked = without_secrets(said)
    if masked != said:
        with suppress(StorageError):
            write_file(log, os.fsencode(masked))


def _become(whole: Mapping[str, Any], order: Order) -> None:
    """Take the folder, environment, outputs and name of a process started for this order alone."""
    os.environ.clear()
    os.environ.update(whole["environment"])
    os.chdir(whole["workspace"])
    for path, descriptors in ((os.devnull, (0,)), (whole["log"], (1, 2))):
        opened = os.open(path, os.O_RDWR)
        for descriptor in descriptors:
            os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["dvc", "repro", order.stage or ""]  # DVC's locks name their holder by its command line


if __name__ == "__main__":
    main()
