"""Starts the ranks of a training, supervises them, and ends them all when one is lost.

The ranks find each other through Horovod's own rendezvous server, which runs here; on one machine they talk over the
loopback interface. Every rank dies with this process, even on SIGKILL: on this machine by the kernel, on another host
because its standard input ends. This process does not load TensorFlow.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import pipeline
from pipeline.errors import UsageError, nearest
from pipeline.launching.devices import device_variables, slots_of
from pipeline.launching.hosts import LOOPBACK, Slot, is_local, remote_command, worker_command
from pipeline.launching.supervision import Rank, supervise
from pipeline.recipe.execution import HorovodSettings
from pipeline.runtime import surroundings
from pipeline.runtime.imports import IMPORTS_VARIABLE
from pipeline.runtime.progress import Progress
from pipeline.storage import artifacts
from pipeline.training.checkpoints import finished_epochs
from pipeline.training.job import Job
from pipeline.training.rank import rank_environment

JOB_FILE = "job.json"
_CODE_FOLDER = Path(pipeline.__file__).parent.parent


def train(job: Job, settings: HorovodSettings, progress: Progress) -> None:
    """Run a job on as many workers as the settings say, until all its epochs are done; do nothing if they already are.

    Raises what a rank raised, TryAgain if a rank was lost, UsageError if the workers cannot be started.
    """
    if finished_epochs(Path(job.work), job.train.virtual_workers) >= job.train.epochs:
        return
    slots = slots_of(settings)
    shown = device_variables(job.train.device, slots, os.environ)
    path = Path(job.work, JOB_FILE)
    artifacts.write_json(path, job.model_dump(mode="json"))
    startup = ExitStack()
    startup.enter_context(progress.starting("1 worker" if settings.workers == 1 else f"{settings.workers} workers"))
    with (
        startup,
        rendezvous(settings, slots) as variables,
        _ranks(slots, path, rank_environment(job.threads) | variables, shown) as ranks,
    ):
        supervise(ranks, progress, at_step=startup.close)


@contextmanager
def rendezvous(settings: HorovodSettings, slots: Sequence[Slot]) -> Iterator[dict[str, str]]:
    """Run Horovod's rendezvous server within the block; yield the environment variables that lead ranks to it.

    For a single worker, which trains without Horovod, there are none. Raises UsageError if Horovod is not installed.
    """
    if settings.workers == 1:
        yield {}
        return
    if importlib.util.find_spec("horovod") is None:
        raise UsageError(
            f"Horovod is not installed, and horovod.workers is {settings.workers}: "
            "run `make setup` to build it, or set horovod.workers to 1"
        )
    from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

    address = _interface_address(settings.interface)
    # Horovod's own RendezvousServer listens on every interface; this one only on the one that is used.
    with RendezvousHTTPServer((address, 0), RendezvousHandler, 0) as server:
        server.init([_slot_info(slot) for slot in slots])
        listener = threading.Thread(target=server.serve_forever, daemon=True)
        listener.start()
        try:
            yield {
                "HOROVOD_CONTROLLER": "gloo",
                "HOROVOD_CPU_OPERATIONS": "gloo",
                "HOROVOD_GLOO_IFACE": settings.interface,
                "HOROVOD_GLOO_RENDEZVOUS_ADDR": address,
                "HOROVOD_GLOO_RENDEZVOUS_PORT": str(server.server_address[1]),
                "HOROVOD_GLOO_TIMEOUT_SECONDS": str(max(1, round(settings.start_timeout_s))),
                "HOROVOD_CYCLE_TIME": f"{settings.cycle_time_ms:g}",
                "HOROVOD_FUSION_THRESHOLD": "0",  # the step fuses its tensors itself, always in the same way
                "NCCL_SOCKET_IFNAME": f"={settings.interface}",  # GPUs' sums, where Horovod was built for NCCL
            }
        finally:
            server.shutdown()
            listener.join()


@contextmanager
def _ranks(
    slots: Sequence[Slot], job: Path, environment: Mapping[str, str], own: Sequence[Mapping[str, str]]
) -> Iterator[list[Rank]]:
    """Start a process for each slot, with its `own` variables; none is left when the block ends, however it ends."""
    ranks: list[Rank] = []
    try:
        ranks.extend(_start(slot, job, {**environment, **its}) for slot, its in zip(slots, own, strict=True))
        yield ranks
    finally:
        for rank in ranks:
            rank.end()


def _start(slot: Slot, job: Path, environment: Mapping[str, str]) -> Rank:
    settings = {**environment, **(slot.environment() if slot.size > 1 else {})}
    if IMPORTS_VARIABLE in os.environ:  # on another host too: what a rank imports is checked against dvc.yaml
        settings[IMPORTS_VARIABLE] = os.environ[IMPORTS_VARIABLE]
    errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by Rank.end
    here = is_local(slot.host)
    if here:
        command = worker_command(["--parent", str(os.getpid()), str(job)])
    else:
        there = {**surroundings.chosen({}, _CODE_FOLDER), **settings}
        command = remote_command(slot.host, _CODE_FOLDER, there, [str(job)])
    process = subprocess.Popen(
        command,
        cwd=_CODE_FOLDER,
        env=os.environ | settings,
        stdin=subprocess.DEVNULL if here else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        process_group=0,  # Ctrl-C is for the launcher, which then ends the ranks
    )
    return Rank(slot.rank, slot.host, process, errors)


def _slot_info(slot: Slot) -> object:
    from horovod.runner.common.util.hosts import SlotInfo

    return SlotInfo(slot.host, slot.rank, slot.local_rank, slot.cross_rank, slot.size, slot.local_size, slot.cross_size)


def _interface_address(interface: str) -> str:
    if interface == "lo":
        return LOOPBACK
    import psutil

    addresses = psutil.net_if_addrs()
    if interface not in addresses:
        close = nearest(interface, addresses)
        raise UsageError(f"horovod.interface: no interface '{interface}' on this machine{close}")
    for entry in addresses[interface]:
        if entry.family.name == "AF_INET":
            return str(entry.address)
    raise UsageError(f"horovod.interface: '{interface}' has no IPv4 address; choose another")
