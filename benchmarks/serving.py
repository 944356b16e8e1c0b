"""What the service costs beside the bare call of its model, and what sharing calls is worth: ratios, in one run.

    python benchmarks/serving.py [FOLDER] [--seconds 5] [--clients 1,32,64] [--plain]
    python benchmarks/serving.py [FOLDER] --shadow | --idle 5000 | --minutes 10
    python benchmarks/serving.py [FOLDER] --starts 5
    python benchmarks/serving.py [FOLDER] --others bentoml=PYTHON litserve=PYTHON [--rounds 3]

FOLDER is one that `ratchet export` has written; without, a CNN of 220 k parameters for grey images of 28 × 28 is made.
Each service is a process of its own, asked over loopback with a PNG a request by a process of clients that keep their
connections; client and service share the cores, but for a second measurement at twice saturation and for `--minutes`,
where each has one half of them (of two virtual cores perhaps one real one). `--plain` measures uvicorn's parser and
loop without C, too.
Prints p50 and p99 of a request, rows in a second, and the ratios; and what happens at twice saturation: requests come
at the times of a Poisson process, whatever is answered, and a request's time counts from when it should have been sent.

Instead: `--shadow` asks the same service in turns with and without a challenger that gets a copy of each request.
`--idle` opens so many connections that say nothing: each takes an open file of the service (`ulimit -n`, RLIMIT_NOFILE)
and one of this process. `--minutes` asks for so long at twice saturation, and prints the service's memory each half
minute. `--starts` starts the service so often with each engine, in turns with a process that only imports the engine's
package and loads the model, and prints medians: asked is at most what TensorFlow's takes and three seconds.

`--others` measures BentoML and LitServe with the same SavedModel in turns with ours (`serving_peers.py`), each in an
environment of its own that has no Ratchet (`serving_elsewhere.py`), with the TensorFlow of `requirements/pipeline.in`;
FOLDER is then of pictures of 28 × 28 in grey. BentoML uses uvloop and httptools where they are, as Ratchet does:

    uv venv BENTO && uv pip install --python BENTO/bin/python bentoml uvloop httptools tensorflow-cpu==2.21.0 pillow
    uv venv LIT && uv pip install --python LIT/bin/python litserve python-multipart tensorflow-cpu==2.21.0 pillow
    python benchmarks/serving.py --others bentoml=BENTO/bin/python litserve=LIT/bin/python

Asked of it: at one image ahead of both, with 32 and 64 clients at least twice BentoML's rows in a second.

Exit codes: 0 measured, and with `--others` all is as asked; 1 something of that is not.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.asking import Found, load, memory_mib, question
from benchmarks.serving_peers import compare, named

ROOT = Path(__file__).parents[1]
START_S = 120.0
OVERLOAD_TIMES = 4  # as long as what is asked alone
CALM_S = 2.0  # an overload lasts for a second after the last that was refused: nothing tells when it has ended
MANY = 64  # clients that keep a service busy all the time
ENGINES = ("saved_model", "onnx")
ALLOWED_START_S = 3.0  # beyond a bare import and load


def made_folder(root: Path, version: int = 1, formats: Sequence[str] = ("saved_model",)) -> Path:
    """Export an untrained CNN of the size of the demo's: its speed is that of a trained one."""
    from pipeline.export.served import write_served
    from pipeline.models import stored
    from pipeline.models.build import build
    from pipeline.records.architecture import Architecture
    from pipeline.records.feature import FeatureSpec

    side = 28
    settings = {"raw_height": side, "raw_width": side, "channels": 1, "height": side, "width": side}
    image = FeatureSpec(
        name="image", kind="image", dtype="uint8", shape=(side, side, 1), settings=settings,
        fitted={"mean": [72.0], "std": [90.0]},
    )  # fmt: skip
    architecture = Architecture(
        name="cnn", settings={"filters": [32, 64], "dense": 64}, task="classification", features=(image,),
        classes=tuple("0123456789"),
    )  # fmt: skip
    stored.save(root / "stored", architecture, build(architecture))
    rows = {"image": np.random.default_rng(1).integers(0, 256, (256, side, side, 1)).astype(np.uint8)}
    target = root / "served"
    write_served(
        root / "stored",
        root / "exports",
        target,
        rows,
        name="made",
        version=version,
        formats=list(dict.fromkeys(formats)),
    )
    return target


BARE = """
import sys, time, json
from pathlib import Path
import numpy as np
from pipeline.export.served import golden_rows, read_served
from pipeline.serving.engine import open_engine
began = time.perf_counter()
folder, engine = Path(sys.argv[1]), sys.argv[2]
_, opened = open_engine(folder, read_served(folder), engine)
start_s = time.perf_counter() - began
columns, _ = golden_rows(folder)
found = {"start_s": start_s}
for rows in (1, 64):
    given = {name: values[:rows] for name, values in columns.items()}
    for _ in range(30): opened.answer(given)
    seconds, until = [], time.perf_counter() + 3
    while time.perf_counter() < until:
        at = time.perf_counter(); opened.answer(given); seconds.append(time.perf_counter() - at)
    found[str(rows)] = [1000 * float(np.percentile(seconds, each)) for each in (50, 95)]
print(json.dumps(found))
"""


def bare(folder: Path, engine: str) -> dict[str, Any]:
    """Return p50 and p95 of the bare call at 1 and 64 rows, ms, and how long the load took."""
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(folder), engine], capture_output=True, text=True, check=True, env=environment()
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


@contextmanager
def service(folder: Path, *options: str) -> Iterator[tuple[int, int, float]]:
    """Run a service; yield its port, its process and how long it took to be ready, in seconds."""
    began_s = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "serve", str(folder), "--port", "0", *options],
            stderr=log,
            env=environment(),
        )
        try:
            while True:
                log.seek(0)
                events = [json.loads(line) for line in log.read().splitlines() if line.startswith("{")]
                port = next((event["port"] for event in events if event["event"] == "serving"), None)
                if port:
                    break
                if process.poll() is not None or time.perf_counter() - began_s > START_S:
                    log.seek(0)
                    raise SystemExit(f"the service did not start: {log.read()[-500:]}")
                time.sleep(0.02)
            yield port, process.pid, time.perf_counter() - began_s
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextmanager
def port_of(folder: Path, *options: str) -> Iterator[int]:
    """Run a service; yield its port."""
    with service(folder, *options) as (port, _, _):
        yield port


def ask(port: int, path: str) -> str:
    """Return what a page of a service says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    content = connection.getresponse().read().decode()
    connection.close()
    return content


def reading(port: int, name: str) -> float:
    """Return one reading of a service, by its name with its labels; 0 if it has none."""
    lines = [line for line in ask(port, "/metrics").splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def told(found: Found) -> str:
    return (
        f"p50 {found.ms(50):7.2f} ms, p99 {found.ms(99):7.2f} ms, {found.rows_per_s:7.0f} rows/s, "
        f"{found.refused} refused, {found.failed} failed"
    )


def with_copies(folder: Path, scratch: Path, engine: list[str], seconds: float) -> None:
    """Ask in turns with and without copies for a challenger: one client, several at a third of the most, and all."""
    beside = made_folder(scratch / "beside", 2, ["saved_model", *engine[1:]])
    shadowed = ["--challenger", str(beside), "--shadow-share", "1"]
    content = question()
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(service(folder, *engine, *more))[0]
            for name, more in (("without", []), ("copies", shadowed))
        }
        while json.loads(ask(ports["copies"], "/model"))["challenger"]["model"] is None:
            time.sleep(0.1)
        most = max(load(port, content, 32, 2.0).rows_per_s for port in ports.values())
        for clients, rate in ((1, None), (8, most / 3), (32, None)):
            found = {name: Found() for name in ports}
            fates = ("compared", "failed", "dropped")
            before = {fate: reading(ports["copies"], f'ratchet_shadow_copies_total{{fate="{fate}"}}') for fate in fates}
            for _ in range(4):
                for name, port in ports.items():
                    one = load(port, content, clients, seconds / 2, rate)
                    found[name].seconds += one.seconds
                    found[name].refused += one.refused
                    found[name].failed += one.failed
                    found[name].wall_s += one.wall_s
            print(f"{clients} clients{f', {rate:.0f} requests/s' if rate else ''}")
            for name, each in found.items():
                print(f"  {name:8} {told(each)}")
            ratios = [found["copies"].ms(percent) / found["without"].ms(percent) for percent in (50, 99)]
            copies = {
                fate: reading(ports["copies"], f'ratchet_shadow_copies_total{{fate="{fate}"}}') - count
                for fate, count in before.items()
            }
            said = ", ".join(f"{count:.0f} {fate}" for fate, count in copies.items())
            print(f"  ratios: p50 {ratios[0]:.2f}, p99 {ratios[1]:.2f}; copies: {said}")


def with_idle(folder: Path, engine: list[str], count: int, seconds: float) -> None:
    """Open connections that say nothing, and ask beside them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    content = question()
    with service(folder, *engine) as (port, pid, _):
        load(port, content, 4, 1.0)
        alone, before = load(port, content, 4, seconds), memory_mib(pid)
        with ExitStack() as stack:
            began_s = time.perf_counter()
            idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
            opened_s = time.perf_counter() - began_s
            beside, after = load(port, content, 4, seconds), memory_mib(pid)
            files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            print(
                f"{count} connections opened in {opened_s:.1f} s; the service has {files} files open of {hard} it may"
            )
            print(f"memory {before:.0f} -> {after:.0f} MiB: {1024 * (after - before) / count:.1f} KiB a connection")
            print(f"4 clients, alone:    {told(alone)}")
            print(f"4 clients, beside:   {told(beside)}; p50 {beside.ms(50) / alone.ms(50):.2f} x alone")
            for each in idle:
                each.settimeout(120)
                try:
                    if each.recv(1) != b"":
                        raise SystemExit("the service said something to a connection that had asked nothing")
                except ConnectionResetError:
                    pass
            print(f"all were closed by the service within {time.perf_counter() - began_s:.0f} s")
        print(f"memory afterwards {memory_mib(pid):.0f} MiB; {told(load(port, content, 4, seconds))}")


def for_minutes(folder: Path, engine: list[str], minutes: float) -> None:
    """Ask at twice saturation for minutes, and watch the memory."""
    content = question()
    with ExitStack() as stack:
        port, pid, _ = stack.enter_context(service(folder, *engine))
        load(port, content, 4, 1.0)
        if len(os.sched_getaffinity(0)) > 1:
            stack.enter_context(apart(pid))
        most = load(port, content, MANY, 5.0).rows_per_s
        time.sleep(CALM_S)
        alone = load(port, content, 1, 5.0)
        total, sizes = Found(), []
        print(f"{2 * most:.0f} requests/s asked on {2 * MANY} connections; alone {told(alone)}")
        for part in range(round(2 * minutes)):
            found = load(port, content, 2 * MANY, 30.0, 2 * most)
            sizes.append(memory_mib(pid))
            total.failed += found.failed
            total.refused += found.refused
            total.seconds += found.seconds
            total.wall_s += found.wall_s
            print(f"  {(part + 1) / 2:4.1f} min: memory {sizes[-1]:.0f} MiB, {told(found)}", flush=True)
        settled = sizes[min(2, len(sizes) - 1) :]
        time.sleep(CALM_S)
        again = load(port, content, 1, 5.0)
        alone.seconds += again.seconds
        print(f"after the first minute: {min(settled):.0f} to {max(settled):.0f} MiB; {told(total)}")
        print(
            f"p99 of all that was accepted: {total.ms(99) / alone.ms(99):.1f} x unloaded ({alone.ms(99):.2f} ms, "
            f"before and after; 5 asked); {total.rows_per_s / most:.2f} of the most"
        )


@contextmanager
def apart(pid: int) -> Iterator[None]:
    """Let a service run on one half of the cores (two at least) and its clients, this process, on the other.

    Where they share cores, an answer waits while the kernel lets a client run on, and the other way round. Of an odd
    number the clients have one more.
    """
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    keep_to(pid, cores[:half])
    os.sched_setaffinity(0, cores[half:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
        keep_to(pid, cores)


def keep_to(pid: int, cores: Sequence[int]) -> None:
    """Let all threads of a process run on these cores alone, as those that they start will."""
    kept: set[str] = set()
    while new := _threads(pid) - kept:
        for thread in new:
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(int(thread), cores)
        kept |= new


def _threads(pid: int) -> set[str]:
    with suppress(FileNotFoundError):  # the process has ended
        return {each.name for each in Path(f"/proc/{pid}/task").iterdir()}
    return set()


def overloaded(port: int, pid: int, content: bytes, seconds: float) -> None:
    """Ask at twice saturation, and alone before and after; print what those that were let in waited."""
    most = load(port, content, MANY, seconds).rows_per_s
    time.sleep(CALM_S)
    alone, before = load(port, content, 1, seconds), memory_mib(pid)
    over = load(port, content, 2 * MANY, OVERLOAD_TIMES * seconds, 2 * most)
    after = memory_mib(pid)
    time.sleep(CALM_S)
    again = load(port, content, 1, seconds)
    alone.seconds += again.seconds
    late_ms = 1000 * float(np.percentile(over.lags_s, 99)) if over.lags_s else float("nan")
    print(
        f"    {2 * most:.0f}/s asked for {OVERLOAD_TIMES * seconds:g} s (clients late by {late_ms:.1f} ms, p99): "
        f"accepted p50 {over.ms(50):.2f} ms, p99 {over.ms(99):.2f} ms = {over.ms(99) / alone.ms(99):.1f} x unloaded "
        f"({alone.ms(99):.2f} ms; 5 asked); {over.rows_per_s:.0f} accepted/s = {over.rows_per_s / most:.2f} of the "
        f"most, {over.refused} refused, {over.failed} failed; memory {before:.0f} -> {after:.0f} MiB"
    )


LOAD = {
    "saved_model": "import sys, tensorflow as tf; tf.saved_model.load(sys.argv[1])",
    "onnx": "import sys, onnxruntime as ort; ort.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])",
}


def starts(folder: Path, times: int) -> None:
    """Start the service with each engine, and only what that imports and loads, in turns."""
    from pipeline.export.served import read_served

    served = read_served(folder)
    paths = {engine: folder / form.path for engine in ENGINES if (form := served.format(engine)) is not None}
    alone_s: dict[str, list[float]] = {engine: [] for engine in paths}
    ready_s: dict[str, list[float]] = {engine: [] for engine in paths}
    for _ in range(times):
        for engine, path in paths.items():
            began_s = time.perf_counter()
            subprocess.run([sys.executable, "-c", LOAD[engine], str(path)], check=True, stderr=subprocess.DEVNULL)
            alone_s[engine].append(time.perf_counter() - began_s)
            began_s = time.perf_counter()
            with service(folder, "--engine", engine) as (port, _, _):
                ask(port, "/health/ready")
                ready_s[engine].append(time.perf_counter() - began_s)
    allowed_s = statistics.median(alone_s["saved_model"]) + ALLOWED_START_S
    for engine in paths:
        alone, ready = statistics.median(alone_s[engine]), statistics.median(ready_s[engine])
        print(
            f"{engine:12} start to ready {ready:5.2f} s; a bare import and load {alone:5.2f} s "
            f"(asked: at most TensorFlow's and {ALLOWED_START_S:g} s, {allowed_s:.2f} s)"
        )


def instead(options: argparse.Namespace, folder: Path, scratch: Path, others: Mapping[str, Path]) -> int | None:
    """Measure what is asked for instead of the service alone; return the exit code, None if that is nothing."""
    engine = ["--engine", options.engine]
    if not (options.shadow or options.idle or options.minutes or options.starts or others):
        return None
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; engine {options.engine}")
    if options.shadow:
        with_copies(folder, scratch, engine, options.seconds)
    elif options.idle:
        with_idle(folder, engine, options.idle, options.seconds)
    elif options.minutes:
        for_minutes(folder, engine, options.minutes)
    elif options.starts:
        starts(folder, options.starts)
    elif not compare(folder, lambda: port_of(folder, *engine), others, options.rounds, options.seconds):
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", default="1,32,64")
    parser.add_argument("--engine", default="saved_model")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--shadow", action="store_true")
    parser.add_argument("--idle", type=int, metavar="CONNECTIONS")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--starts", type=int, metavar="TIMES")
    parser.add_argument("--others", nargs="+", default=[], metavar="NAME=PYTHON", help="bentoml, litserve: who has it")
    parser.add_argument("--rounds", type=int, default=3, help="of --others (3)")
    options = parser.parse_args(arguments)
    counts, others = [int(each) for each in options.clients.split(",")], named(options.others)
    with tempfile.TemporaryDirectory() as scratch:
        engine = ["--engine", options.engine]
        formats = ["saved_model", *(ENGINES if options.starts else [options.engine])]
        folder = options.folder or made_folder(Path(scratch), formats=formats)
        code = instead(options, folder, Path(scratch), others)
        if code is not None:
            return code
        alone = bare(folder, options.engine)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; engine {options.engine}")
        print(f"bare call: 1 row p50 {alone['1'][0]:.2f} ms (p95 {alone['1'][1]:.2f}), "
              f"64 rows p50 {alone['64'][0]:.2f} ms; loaded in {alone['start_s']:.1f} s")  # fmt: skip
        content = question()
        kinds: dict[str, list[str]] = {"batching": [], "without": ["--batch-rows", "1", "--queue-ms", "60000"]}
        if options.plain:
            kinds["plain"] = ["--plain-http"]
        results: dict[tuple[str, int], Found] = {}
        for kind, more in kinds.items():
            with service(folder, *engine, *more) as (port, pid, start_s):
                print(f"\n{kind}: ready in {start_s:.1f} s")
                load(port, content, 4, 1.0)
                for count in counts:
                    found = results[kind, count] = load(port, content, count, options.seconds)
                    print(f"  {count:3} clients: {told(found)}")
                if kind == "batching":
                    print("  twice saturation, clients and service share the cores:")
                    overloaded(port, pid, content, options.seconds)
                    if (cores := len(os.sched_getaffinity(0))) > 1:
                        print(f"  twice saturation, the service on {cores // 2} of {cores} cores, clients on the rest:")
                        with apart(pid):
                            overloaded(port, pid, content, options.seconds)
        print("\nratios")
        one = results["batching", counts[0]].ms(50)
        print(f"  one image: p50 {one:.2f} ms; allowed 1.5 x bare + 1 ms = {1.5 * alone['1'][0] + 1:.2f} ms")
        for count in counts[1:]:
            gain = results["batching", count].rows_per_s / results["without", count].rows_per_s
            print(f"  {count} clients: {gain:.2f} x the same service without batching")
        if options.plain:
            for count in counts:
                gain = results["batching", count].rows_per_s / results["plain", count].rows_per_s
                print(f"  {count} clients: {gain:.2f} x without httptools and uvloop")
        print("  BentoML and LitServe were NOT measured: --others names who has them (see --help)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
