"""Whether a training gives the same bits wherever it runs: `make same-bits`, which prints tables of weight digests.

    ranks   1, 2 and 4 ranks × 1 and 2 threads: a small network, and one with batch normalization, dropout inside layers
            and an L2 term
    kills   a rank is killed at the first step, in the middle of an epoch, at an epoch's last step and while a
            checkpoint is written; the training is resumed on another number of ranks
    recipe  the shipped recipe on the sample (CONFIG=configs/…: as a config changes it): 1, 2 and 4 ranks; accuracy
    hosts   two hosts against one: two network namespaces with a cable between them, and an ssh server in the second.
            Needs root, iproute2 and Debian's openssh-server; where it cannot run, it says why, and fails

Exit codes: 0 every digest of a table is the same, 1 one is another, or a part could not run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.checkouts import copy_checkout, environment
from pipeline.recipe.changing import layered
from pipeline.recipe.configs import load_config
from pipeline.records.architecture import ARCHITECTURE_FILE, StoredArchitecture
from pipeline.storage.record_files import read_record
from tests.system.project import ROOT
from tests.system.training_files import copy_code
from tests.system.training_project import make_root, run_stages

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "a small convolutional network": {},
    "batch normalization, nested dropout, L2": {"model": "probe"},
}
EPOCHS, STEPS = 3, 62  # of the small projects; steps an epoch
MOMENTS = {
    "first step": "step 0",
    "middle of epoch 2": f"step {STEPS + STEPS // 2}",
    "last step of epoch 2": f"step {2 * STEPS - 1}",
    "checkpoint of epoch 2": "checkpoint 2",
}
# In a copy of the code: the last rank ends itself at a step, the first one while it writes a checkpoint.
DYING_STEP = """

_call = TrainingStep.__call__


def _dying(self, batches, number):
    import os
    import signal

    if os.environ.get("DIES_AT") == f"step {number}" and self._collective.rank == self._collective.size - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return _call(self, batches, number)


TrainingStep.__call__ = _dying
"""
DYING_SAVE = """

_save = save


def save(work, checkpoint):
    import os
    import signal

    if os.environ.get("DIES_AT") == f"checkpoint {checkpoint.epochs}":
        artifacts.write_json = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    _save(work, checkpoint)
"""


class Table:
    """Digests that must all be that of the first row; each row is printed when it is there."""

    def __init__(self, title: str) -> None:
        self.digests: list[str] = []
        print(f"\n{title}")

    def add(self, what: str, root: Path, begun_s: float) -> None:
        """Add the digest of a project's candidate."""
        stored = read_record(root / "models/candidate" / ARCHITECTURE_FILE, StoredArchitecture)
        self.digests.append(stored.weights.removeprefix("sha256:"))
        word = "same" if self.digests[-1] == self.digests[0] else "OTHER"
        print(f"  {what:<52} {self.digests[-1][:16]}  {word:<5}  {time.monotonic() - begun_s:5.1f} s", flush=True)

    @property
    def is_same(self) -> bool:
        """Whether all digests are one."""
        return len(set(self.digests)) == 1


def trained(root: Path, code: Path, expected: int = 0, **how: Any) -> None:
    """Train in a project; raise SystemExit if it does not end as expected."""
    done = run_stages(root, "resolve", "train", code=code, **how)
    if done.returncode != expected:
        raise SystemExit(f"a training ended with {done.returncode}, not {expected}:\n{done.stderr[-4000:]}")


def ranks(folder: Path) -> bool:
    """Train both small networks on several numbers of ranks and threads."""
    code, is_same = copy_code(folder / "code"), True
    for number, (network, changes) in enumerate(NETWORKS.items()):
        table = Table(f"ranks and threads: {network}")
        for workers in (1, 2, 4):
            for threads in (1, 2):
                root, begun_s = folder / f"{number}-{workers}-{threads}", time.monotonic()
                make_root(root, code=code, **changes, train={"epochs": EPOCHS})
                trained(root, code, workers=workers, threads_per_worker=threads)
                table.add(f"ranks {workers}, threads {threads}", root, begun_s)
        is_same = is_same and table.is_same
    return is_same


def kills(folder: Path) -> bool:
    """Kill a rank at each of the moments, and resume on another number."""
    code = copy_code(folder / "dying")
    for file, text in (("step.py", DYING_STEP), ("checkpoints.py", DYING_SAVE)):
        with (code / "pipeline/training" / file).open("a") as stream:
            stream.write(text)
    changes = {"model": "probe", "train": {"epochs": EPOCHS}}
    table = Table("killed, and resumed on another number of ranks")
    undisturbed, begun_s = make_root(folder / "undisturbed", code=code, **changes), time.monotonic()
    trained(undisturbed, code, workers=2)
    table.add("undisturbed, on 2", undisturbed, begun_s)
    for before, after in ((2, 1), (1, 2), (2, 4)):
        for moment, word in MOMENTS.items():
            root, begun_s = folder / f"{before}-{after}-{word.replace(' ', '-')}", time.monotonic()
            make_root(root, code=code, **changes)
            trained(root, code, expected=os.EX_TEMPFAIL, workers=before, environment={"DIES_AT": word})
            trained(root, code, workers=after)
            table.add(f"killed on {before}: {moment}; resumed on {after}", root, begun_s)
    return table.is_same


def recipe(folder: Path, config: str | None = None) -> bool:
    """Train as the shipped recipe says, on the sample or on what a config names."""
    root = copy_checkout(ROOT, folder / "checkout")
    if config:
        values = layered(yaml.safe_load((root / "params.yaml").read_text()), load_config(root / config).recipe)
        (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    calls = environment(root, Path(sys.executable))
    table = Table(f"the shipped recipe{f', {config}' if config else ''}")
    command = ["ratchet", "run"]
    for workers, threads in ((2, 1), (1, 1), (1, 2), (4, 1)):
        begun_s = time.monotonic()
        variables = {"RATCHET_HOROVOD__WORKERS": str(workers), "RATCHET_HOROVOD__THREADS_PER_WORKER": str(threads)}
        done = subprocess.run(command, cwd=root, env=calls | variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        table.add(f"ranks {workers}, threads {threads}", root, begun_s)
        if command == ["ratchet", "run"]:
            metrics = json.loads((root / "reports/metrics.json").read_text())
            print(f"  accuracy on the test part: {metrics['test']['accuracy']:.4f}", flush=True)
        shutil.rmtree(root / "models")
        command = ["ratchet", "stage", "train"]  # again, although nothing that decides the result has changed
    return table.is_same


def hosts(folder: Path) -> bool:
    """Train on two hosts and on one."""
    code = copy_code(folder / "code")
    changes = {"model": "probe", "train": {"epochs": EPOCHS}}
    table = Table("two hosts (network namespaces, ssh) against one")
    one, begun_s = make_root(folder / "one", code=code, **changes), time.monotonic()
    trained(one, code, workers=1)
    table.add("one host, 1 rank", one, begun_s)
    two, begun_s = make_root(folder / "two", code=code, **changes), time.monotonic()
    with two_hosts(folder) as (prefix, names, interface, path):
        trained(
            two,
            code,
            workers=2,
            hosts=",".join(f"{name}:1" for name in names),
            interface=interface,
            environment={"PATH": path},
            prefix=prefix,
        )
    table.add("two hosts, 1 rank each", two, begun_s)
    return table.is_same


@contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[list[str], list[str], str, str]]:
    """Make two network namespaces that see nothing but each other, the second with an ssh server.

    Yields the words before a command that runs it in the first, the addresses, the name of the interface in both, and a
    PATH whose `ssh` reaches the second without a password. Raises SystemExit where that cannot be done.
    """
    sshd, ip = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("ip")
    if os.getuid() != 0 or not sshd or not ip:
        raise SystemExit("hosts: needs root, `ip` (iproute2) and `sshd` (apt-get install openssh-server)")
    spaces = [f"ratchet-{os.getpid()}-{end}" for end in "ab"]
    names, interface = ["10.213.0.1", "10.213.0.2"], "cable"

    def do(*words: str) -> None:
        done = subprocess.run([ip, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"hosts: ip {' '.join(words)}: {done.stderr.strip()}")

    with ExitStack() as stack:
        for space in spaces:
            do("netns", "add", space)
            stack.callback(do, "netns", "del", space)
            do("-n", space, "link", "set", "lo", "up")
        do("-n", spaces[0], "link", "add", interface, "type", "veth", "peer", "name", interface, "netns", spaces[1])
        for space, name in zip(spaces, names, strict=True):
            do("-n", space, "address", "add", f"{name}/24", "dev", interface)
            do("-n", space, "link", "set", interface, "up")
            stack.enter_context(_own_name(space, name))
        path = _ssh_server(folder / "ssh", [ip, "netns", "exec", spaces[1], sshd], names[1], stack)
        yield [ip, "netns", "exec", spaces[0]], names, interface, path


@contextmanager
def _own_name(space: str, address: str) -> Iterator[None]:
    """Let the machine's name lead to an address in a namespace: Horovod's process sets listen where it leads."""
    folder = Path("/etc/netns", space)  # `ip netns exec` mounts what is in there over /etc
    folder.mkdir(parents=True)
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{address} {socket.gethostname()}\n")
    try:
        yield
    finally:
        shutil.rmtree(folder)


def _ssh_server(folder: Path, command: list[str], address: str, stack: ExitStack) -> str:
    """Start an ssh server with keys of its own; return a PATH whose `ssh` uses them."""
    folder.mkdir()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)  # where Debian's sshd separates its privileges
    server = {
        "ListenAddress": address,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "StrictModes": "no",  # the folder is a temporary one
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PidFile": "none",
    }
    client = {
        "IdentityFile": folder / "user",
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "no",
        "LogLevel": "ERROR",
    }
    for name, settings in (("sshd_config", server), ("ssh_config", client)):
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    ssh, programs = shutil.which("ssh"), folder / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -F "{folder / "ssh_config"}" "$@"\n')
    (programs / "ssh").chmod(0o755)
    log = stack.enter_context((folder / "log").open("w"))
    process = subprocess.Popen([*command, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    for _ in range(100):
        if "Server listening" in (folder / "log").read_text():
            break
        if process.poll() is not None:
            raise SystemExit(f"hosts: sshd ended: {(folder / 'log').read_text().strip()}")
        time.sleep(0.1)
    return f"{programs}{os.pathsep}{os.environ['PATH']}"


PARTS: Mapping[str, Callable[..., bool]] = {"ranks": ranks, "kills": kills, "recipe": recipe, "hosts": hosts}


def main() -> int:
    """Run the parts that are asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run (all)")
    parser.add_argument("--config", help="of the part recipe: a file in configs/")
    arguments = parser.parse_args()
    results = {}
    for name in arguments.only:
        with tempfile.TemporaryDirectory(prefix="ratchet-same-bits-") as folder:
            extra = (arguments.config,) if name == "recipe" else ()
            try:
                results[name] = PARTS[name](Path(folder), *extra)
            except SystemExit as error:
                print(error)
                results[name] = False
    print("\n" + ", ".join(f"{name}: {'the same bits' if same else 'NOT shown'}" for name, same in results.items()))
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
