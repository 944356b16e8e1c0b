"""Proves that this environment's Horovod works: two real processes reduce tensors and both check the result.

    .venv/bin/python scripts/prove_horovod.py

A wheel that imports is no proof: it may lack Gloo, or have been built against another TensorFlow. The two processes
meet through Horovod's own rendezvous server, on the loopback interface only. Leaves with 0 and one line, or 70 and why.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

TIMEOUT_S = 180.0
WORLD_SIZE = 2
LOOPBACK = "127.0.0.1"
LARGE = 1_000_003  # elements: more than a fusion buffer's alignment would hide, and not a multiple of anything

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def be_a_rank() -> None:
    """Run in each of the two processes: reduce, gather and broadcast, and compare with what must come out."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import horovod.tensorflow as hvd
    import tensorflow as tf

    hvd.init()
    rank = hvd.rank()
    if hvd.size() != WORLD_SIZE:
        raise AssertionError(f"the world has {hvd.size()} processes, not {WORLD_SIZE}")
    ramp = tf.range(LARGE, dtype=tf.float32)
    total = hvd.allreduce(ramp * (rank + 1), op=hvd.Sum, name="sum")
    tf.debugging.assert_equal(total, ramp * 3)
    pair = [tf.fill([7], float(rank)), tf.fill([3, 5], 2.0 * rank)]
    small, wide = hvd.grouped_allreduce(pair, op=hvd.Average, name="mean")
    tf.debugging.assert_equal(small, tf.fill([7], 0.5))
    tf.debugging.assert_equal(wide, tf.fill([3, 5], 1.0))
    gathered = hvd.allgather(tf.fill([rank + 1], rank), name="gather")
    tf.debugging.assert_equal(gathered, [0, 1, 1])
    root = hvd.broadcast(tf.constant([rank, 10 + rank]), root_rank=1, name="broadcast")
    tf.debugging.assert_equal(root, [1, 11])
    hvd.shutdown()


def start_rank(rank: int, port: int, output: IO[str]) -> subprocess.Popen[str]:
    """Start one process of the world whose rendezvous server listens on `port`."""
    environment = os.environ | {
        "HOROVOD_HOSTNAME": "localhost",
        "HOROVOD_RANK": str(rank),
        "HOROVOD_SIZE": str(WORLD_SIZE),
        "HOROVOD_LOCAL_RANK": str(rank),
        "HOROVOD_LOCAL_SIZE": str(WORLD_SIZE),
        "HOROVOD_CROSS_RANK": "0",
        "HOROVOD_CROSS_SIZE": "1",
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": LOOPBACK,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        "HOROVOD_GLOO_IFACE": "lo",
        "HOROVOD_GLOO_TIMEOUT_SECONDS": "60",
        # A proof of communication needs no accelerator, and must not wait for one that others use.
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    libc = ctypes.CDLL(None)
    return subprocess.Popen(
        [sys.executable, __file__, "--rank"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        # However this process dies, the kernel then kills the rank.
        preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )


def watch(ranks: list[subprocess.Popen[str]], outputs: Sequence[IO[str]], timeout_s: float) -> str | None:
    """Wait for all ranks, or for the first that fails: the others would only wait for it. Return why it failed."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        codes = [process.poll() for process in ranks]
        for rank, code in enumerate(codes):
            if code:
                outputs[rank].seek(0)
                tail = " | ".join(outputs[rank].read().strip().splitlines()[-8:])
                return f"rank {rank} left with {code}: {tail}"
        if codes == [0] * WORLD_SIZE:
            return None
        time.sleep(0.05)
    return f"the two processes did not finish within {timeout_s:g} s"


def prove(timeout_s: float) -> str | None:
    """Run the two processes to their end; return why it failed, or None when both agreed."""
    from horovod.runner.common.util.hosts import get_host_assignments, parse_hosts
    from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer
    from horovod.runner.util.threads import in_thread

    # Horovod's RendezvousServer listens on every interface; this one on the loopback address alone.
    with RendezvousHTTPServer((LOOPBACK, 0), RendezvousHandler, 0) as server, ExitStack() as files:
        server.init(get_host_assignments(parse_hosts(f"localhost:{WORLD_SIZE}"), WORLD_SIZE))
        outputs = [files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(WORLD_SIZE)]
        ranks: list[subprocess.Popen[str]] = []
        try:
            for rank, output in enumerate(outputs):
                ranks.append(start_rank(rank, server.server_address[1], output))
            listener = in_thread(target=server.serve_forever)
            failure = watch(ranks, outputs, timeout_s)
            server.shutdown()
            listener.join()
            return failure
        finally:
            for process in ranks:
                process.kill()
                process.wait()


def tensorflow_version() -> str:
    """Return the version of the TensorFlow that is installed, with or without GPUs."""
    try:
        return importlib.metadata.version("tensorflow-cpu")
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version("tensorflow")


def main() -> int:
    """Prove it; return the exit code."""
    parser = argparse.ArgumentParser(description="Prove Horovod with a real two-process allreduce.")
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--timeout-s", type=float, default=TIMEOUT_S, help="give up after so many seconds (180)")
    arguments = parser.parse_args()
    if arguments.rank:
        be_a_rank()
        return 0
    began = time.monotonic()
    try:
        failure = prove(arguments.timeout_s)
        versions = importlib.metadata.version("horovod"), tensorflow_version()
    except ImportError as error:
        failure = f"{error} (run make setup)"
    if failure is not None:
        print(f"Horovod is not to be trusted: {failure}", file=sys.stderr)
        return 70
    built = f"Horovod {versions[0]} on TensorFlow {versions[1]}"
    print(f"{built}: two processes agree on {LARGE:,} sums, {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
