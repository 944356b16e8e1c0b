"""The readings of several workers as one text: each worker tells its own over a socket of the file system, when asked.

Whichever worker is asked for `/metrics` asks the others at that moment, and gives each reading the label `worker`. So
nothing is added up that could be counted twice, and of a worker that has died nothing is told but that it is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

LABEL = "worker"
UP = "ratchet_worker_up"
_PATIENCE_S = 1.0
_LENGTH_BYTES = 8


class Readings:
    """One worker's readings and, over sockets in a folder that only they can enter, those of the others."""

    def __init__(self, folder: Path, number: int, workers: int, patience_s: float = _PATIENCE_S) -> None:
        self._folder, self._number, self._workers, self._patience_s = folder, number, workers, patience_s
        self._server: asyncio.Server | None = None

    async def offer(self, text: Callable[[], bytes]) -> None:
        """Tell the others this worker's readings whenever they ask, until `close`."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            content = text()
            writer.write(len(content).to_bytes(_LENGTH_BYTES, "big") + content)
            writer.close()

        self._server = await asyncio.start_unix_server(answer, socket_of(self._folder, self._number))

    def close(self) -> None:
        """Tell nothing any more."""
        if self._server is not None:
            self._server.close()

    async def of_all(self, own: bytes) -> bytes:
        """Return the readings of all workers, this one's being given, and which of them answer."""
        others = [number for number in range(self._workers) if number != self._number]
        found = dict(zip(others, await asyncio.gather(*map(self._of, others)), strict=True))
        return merged({**found, self._number: own})

    async def _of(self, number: int) -> bytes | None:
        try:
            async with asyncio.timeout(self._patience_s):
                reader, writer = await asyncio.open_unix_connection(socket_of(self._folder, number))
                try:
                    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
                    return await reader.readexactly(length)
                finally:
                    writer.close()
        except (OSError, EOFError, TimeoutError):  # it is not there, is being ended, or does not move
            return None


def socket_of(folder: Path, number: int) -> Path:
    """Return where a worker tells its readings."""
    return folder / f"{number}.sock"


def merged(texts: Mapping[int, bytes | None]) -> bytes:
    """Return readings of workers, in Prometheus' text format, as one text; None is of a worker that does not answer."""

    class AsRead(Collector):
        def collect(self) -> Iterator[Metric]:
            up = GaugeMetricFamily(UP, "1 of a worker that answers, 0 of one that does not.", labels=[LABEL])
            families: dict[str, Metric] = {}
            for number, text in sorted(texts.items()):
                up.add_metric([str(number)], text is not None)
                for read in text_string_to_metric_families((text or b"").decode()):
                    family = families.setdefault(read.name, Metric(read.name, read.documentation, read.type))
                    family.samples += [
                        sample._replace(labels={LABEL: str(number), **sample.labels}) for sample in read.samples
                    ]
            yield up
            yield from families.values()

    registry = CollectorRegistry()
    registry.register(AsRead())
    return generate_latest(registry)
