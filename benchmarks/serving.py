"""What the service costs beside the bare call of its model, and what sharing calls is worth: ratios, in one run.

    python benchmarks/serving.py [FOLDER] [--seconds 5] [--clients 1,32,64] [--plain]

FOLDER is one that `ratchet export` has written; without, a CNN of 220 k parameters for grey images of 28 × 28 is made.
Each service is a process of its own, asked over loopback with a PNG a request by a process of clients that keep their
connections; client and service share the cores. `--plain` measures uvicorn's parser and loop without C, too.
Prints p50 and p99 of a request, rows in a second, and the ratios; then what happens at twice saturation.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

START_S = 120.0


@dataclass
class Found:
    """What clients saw: seconds of each accepted request, and how many were refused or failed."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    wall_s: float = 0.0

    def ms(self, percent: float) -> float:
        """Return a percentile of an accepted request, in milliseconds."""
        return 1000 * float(np.percentile(self.seconds, percent)) if self.seconds else float("nan")

    @property
    def rows_per_s(self) -> float:
        return len(self.seconds) / self.wall_s if self.wall_s else 0.0


def made_folder(root: Path) -> Path:
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
    write_served(root / "stored", root / "exports", target, rows, name="made", version=1, formats=["saved_model"])
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


async def _client(port: int, content: bytes, found: Found, until_s: float, pause_s: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until_s:
        began_s = time.perf_counter()
        writer.write(content)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        status = int(head[9:12])
        if status == 200:
            found.seconds.append(time.perf_counter() - began_s)
        elif status == 503:
            found.refused += 1
        else:
            found.failed += 1
        if pause_s:
            await asyncio.sleep(max(0.0, pause_s - (time.perf_counter() - began_s)))
    writer.close()


async def _load(port: int, content: bytes, clients: int, seconds: float, rate: float | None) -> Found:
    found, began_s = Found(), time.perf_counter()
    pause_s = clients / rate if rate else 0.0
    await asyncio.gather(*(_client(port, content, found, began_s + seconds, pause_s) for _ in range(clients)))
    found.wall_s = time.perf_counter() - began_s
    return found


def load(port: int, content: bytes, clients: int, seconds: float, rate: float | None = None) -> Found:
    """Ask with so many clients at once, in a closed loop or, with a rate, as often as that, for some seconds."""
    return asyncio.run(_load(port, content, clients, seconds, rate))


def question() -> bytes:
    """Return a request with one PNG of 28 × 28."""
    from PIL import Image

    stream = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (28, 28)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    body = stream.getvalue()
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", default="1,32,64")
    parser.add_argument("--engine", default="saved_model")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args(arguments)
    counts = [int(each) for each in options.clients.split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or made_folder(Path(scratch))
        alone = bare(folder, options.engine)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; engine {options.engine}")
        print(f"bare call: 1 row p50 {alone['1'][0]:.2f} ms (p95 {alone['1'][1]:.2f}), "
              f"64 rows p50 {alone['64'][0]:.2f} ms; loaded in {alone['start_s']:.1f} s")  # fmt: skip
        content, engine = question(), ["--engine", options.engine]
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
                    print(
                        f"  {count:3} clients: p50 {found.ms(50):7.2f} ms, p99 {found.ms(99):7.2f} ms, "
                        f"{found.rows_per_s:7.0f} rows/s, {found.refused} refused, {found.failed} failed"
                    )
                if kind == "batching":
                    most = max(results[kind, count].rows_per_s for count in counts)
                    before = memory_mib(pid)
                    over = load(port, content, 128, options.seconds, 2 * most)
                    after = memory_mib(pid)
                    unloaded = results[kind, counts[0]].ms(99)
                    print(
                        f"  twice saturation ({2 * most:.0f}/s asked): accepted p50 {over.ms(50):.2f} ms, "
                        f"p99 {over.ms(99):.2f} ms = {over.ms(99) / unloaded:.1f} x unloaded; "
                        f"{len(over.seconds)} accepted, {over.refused} refused, {over.failed} failed; "
                        f"memory {before:.0f} -> {after:.0f} MiB"
                    )
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
