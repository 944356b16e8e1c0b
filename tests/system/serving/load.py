"""Clients that never rest, while champions come and go, one is refused, and workers are killed: `make load`.

The test has one round of it. Each answer is held to the golden answers of the version that it names. A client asks
again only where HTTP says so: its connection was closed before any answer, which is right to repeat for what changes
nothing (RFC 9110, 9.2.2), or it got 503 with Retry-After. Everything else that is no right answer is a failure.

Exit codes: 0 no request failed and no answer was wrong, 1 else.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families

from pipeline.export.served import golden_rows, read_served
from pipeline.records.served_model import ANSWERS_FILE, GOLDEN_FOLDER, SERVED_FILE
from pipeline.serving.pointers import point_to
from pipeline.storage.artifacts import digest_file, write_json
from tests.system.project import ROOT
from tests.system.serving.zoo import write_zoo
from tests.waiting import HANG_S, size_of, wait_for

FIRST, SECOND, REFUSED = "v1", "v2", "v3"
TOLERANCE = 1e-6
_REQUESTS_OF_A_CONNECTION = 40  # so that a worker that has just come is asked, too
_MOST_ROWS = 3


@dataclass
class Seen:
    """What clients have seen; they asked again `again` times after a connection was closed, `shed` times after 503."""

    answers: Counter[str] = field(default_factory=Counter)
    again: int = 0
    shed: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Clients:
    """Threads that ask golden rows of a service, and hold each answer to those of the version that gave it."""

    def __init__(self, port: int, folders: Sequence[Path], count: int, pause_s: float) -> None:
        self._port, self._pause_s = port, pause_s
        self.seen = Seen()
        self._digests, self._answers = {}, {}
        for folder in folders:
            served = read_served(folder)
            columns, answers = golden_rows(folder)
            self._digests[str(served.version)], self._answers[str(served.version)] = served.digest, answers
        [first, *others] = self._answers.values()
        assert all(np.abs(first - other).max() > 100 * TOLERANCE for other in others), "the versions answer alike"
        self._rows = [{name: plain(values[place]) for name, values in columns.items()} for place in range(len(first))]
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        dice = random.Random(number)
        while not self._is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HANG_S)
            for _ in range(dice.randint(1, _REQUESTS_OF_A_CONNECTION)):
                places = [dice.randrange(len(self._rows)) for _ in range(dice.randint(1, _MOST_ROWS))]
                if not self._is_over.is_set():
                    self._until_answered(connection, places)
                    self._is_over.wait(self._pause_s)
            connection.close()

    def _until_answered(self, connection: http.client.HTTPConnection, places: Sequence[int]) -> None:
        body = json.dumps({"rows": [self._rows[place] for place in places]})
        began_s = time.monotonic()
        while True:
            try:
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                response = connection.getresponse()
            except ConnectionError:  # of which http.client's RemoteDisconnected is one: there was not a byte
                connection.close()
                self._count("again")
                continue
            except (http.client.HTTPException, OSError) as error:
                return self._fail(f"{type(error).__name__}: {error}")
            try:
                content = response.read()
            except (http.client.HTTPException, OSError) as error:
                connection.close()
                return self._fail(f"cut in the middle of an answer: {type(error).__name__}: {error}")
            if response.status == 503 and (pause := response.headers.get("retry-after")):
                self._count("shed")
                self._is_over.wait(float(pause))
                continue
            if response.status != 200:
                return self._fail(f"status {response.status}: {content[:200]!r}")
            return self._judge(response, json.loads(content), places, time.monotonic() - began_s)

    def _judge(self, response: http.client.HTTPResponse, content: Any, places: Sequence[int], seconds: float) -> None:
        version, digest = response.headers["x-model-version"], response.headers["x-model-digest"]
        given = np.asarray([list(each["probabilities"].values()) for each in content["predictions"]])
        said = content["model"]
        is_one = (str(said["version"]), said["digest"]) == (version, digest) and digest == self._digests.get(version)
        expected = self._answers[version][list(places)] if is_one else np.inf
        with self._lock:
            self.seen.answers[version] += 1
            self.seen.seconds.append(seconds)
            if not (is_one and given.shape == expected.shape and np.abs(given - expected).max() <= TOLERANCE):
                self.seen.wrong.append(f"version {version}, {digest}, rows {places}: {given}, not {expected}")

    def _count(self, what: str) -> None:
        with self._lock:
            setattr(self.seen, what, getattr(self.seen, what) + 1)

    def _fail(self, how: str) -> None:
        with self._lock:
            self.seen.failed.append(how)


def plain(value: Any) -> Any:
    """Return a golden value as JSON has it."""
    if isinstance(value, str):
        return value
    return None if value.ndim == 0 and np.isnan(value) else value.tolist()


@dataclass
class Service:
    """A service of several workers: what can be seen of it from outside."""

    port: int
    process: subprocess.Popen[str]
    log: Path

    def readings(self) -> dict[str, dict[str, float]]:
        """The readings by name, each by worker; of several by other labels too, the sum."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_S)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        except ConnectionError:  # that worker has just been killed
            return {}
        finally:
            connection.close()
        found: dict[str, dict[str, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                version = sample.labels.get("version", "")
                name = f"{sample.name} {version}".strip()
                by_worker = found.setdefault(name, {})
                worker = sample.labels["worker"]
                by_worker[worker] = by_worker.get(worker, 0.0) + sample.value
        return found

    def all_have(self, name: str, workers: int, value: float = 1.0) -> bool:
        """Whether a reading of every worker is so."""
        found = self.readings().get(name, {})
        return len(found) == workers and set(found.values()) == {value}

    def workers(self) -> dict[str, psutil.Process]:
        """The processes of the workers, by number."""
        found = {}
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # it has just been killed
                words = process.cmdline()
                if "--worker" in words:
                    found[words[words.index("--worker") + 1]] = process
        return found

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until something is so; as long as the log grows, there is progress."""
        return wait_for(condition, what, progress=lambda: size_of(self.log), explain=self.log.read_text)


@contextmanager
def serving(folder: Path, scratch: Path, *options: str) -> Iterator[Service]:
    """Serve a folder from when the service answers; its log is in `scratch`."""
    command = [sys.executable, "-m", "pipeline", "serve", str(folder), "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    log = scratch / "service.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stderr=stream, text=True, env=environment)
        try:
            yield Service(wait_for(lambda: port_in(log, process), "the service", explain=log.read_text), process, log)
        finally:
            process.kill()
            process.wait()


def port_in(log: Path, process: subprocess.Popen[str]) -> int | None:
    """Return on which port a service answers, if it does yet."""
    assert process.poll() is None, log.read_text()
    found: list[int] = [each["port"] for each in events(log) if each["event"] == "serving"]
    return found[0] if found else None


def events(log: Path) -> list[dict[str, Any]]:
    """Return the lines of a service's log; TensorFlow's own are passed over."""
    return [
        json.loads(line) for line in log.read_text().splitlines() if line.startswith('{"at_utc"') and line[-1] == "}"
    ]


def make_versions(folder: Path, first: Path, scratch: Path) -> list[Path]:
    """Lay a second version, and one that fails its golden rows, beside a copy of the first, which is pointed to."""
    shutil.copytree(first, folder / FIRST)
    write_zoo(folder / SECOND, scratch, version=2)
    broken = folder / REFUSED
    shutil.copytree(folder / SECOND, broken)
    answers = broken / GOLDEN_FOLDER / ANSWERS_FILE
    np.save(answers, np.load(answers)[:, ::-1])
    served = json.loads((broken / SERVED_FILE).read_text())
    served["version"] = 3
    served["golden_files"][f"{GOLDEN_FOLDER}/{ANSWERS_FILE}"] = digest_file(answers)
    write_json(broken / SERVED_FILE, served)
    point_to(folder, FIRST)
    return [folder / FIRST, folder / SECOND]


def one_round(service: Service, clients: Clients, folder: Path, workers: int, tell: Callable[[str], None]) -> None:
    """Let a champion come and one be refused, then kill the busiest worker while the first champion comes back."""
    takes(service, clients, folder, SECOND, workers)
    tell("a new champion is served by all workers")
    point_to(folder, REFUSED)
    service.wait(lambda: service.all_have("ratchet_model_refused", workers), "the refusal")
    tell("a champion whose golden rows fail is refused by all, the last good one stays")
    kill(service, workers, meanwhile=lambda: takes(service, clients, folder, FIRST, workers))
    tell("the busiest worker was killed while a champion came; a new one answers, and all have that champion")


def another_kill(service: Service, folder: Path, workers: int, tell: Callable[[str], None]) -> None:
    """Kill the busiest worker while a champion is refused: the new one has the last good one, too."""
    point_to(folder, REFUSED)
    service.wait(lambda: service.all_have("ratchet_model_refused", workers), "the refusal")
    kill(service, workers)
    service.wait(lambda: service.all_have("ratchet_model 1", workers), "the last good champion")
    tell("the busiest worker was killed while a champion was refused; a new one answers, with the last good one")


def takes(service: Service, clients: Clients, folder: Path, name: str, workers: int) -> None:
    """Point to a version, and wait until all workers have it, and clients answers of it."""
    version = name.removeprefix("v")
    before = clients.seen.answers[version]
    point_to(folder, name)
    service.wait(lambda: service.all_have(f"ratchet_model {version}", workers), f"version {version} everywhere")
    service.wait(lambda: clients.seen.answers[version] > before + 50, f"answers of version {version}")


def kill(service: Service, workers: int, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Kill the worker that has answered most, and wait until the one in its place answers."""
    asked = service.wait(lambda: service.readings().get("ratchet_requests_total"), "the readings")
    number = max(asked, key=asked.__getitem__)
    killed = service.workers()[number]
    os.kill(killed.pid, signal.SIGKILL)
    meanwhile()
    service.wait(
        lambda: (
            service.workers().get(number) not in (None, killed)
            and service.all_have("ratchet_worker_up", workers)
            and service.readings().get("ratchet_request_seconds_count", {}).get(number, 0) > 0
        ),
        f"answers of the new worker {number}",
    )


def campaign(
    folder: Path,
    first: Path,
    *,
    for_s: float = 0.0,
    clients: int,
    pause_s: float = 0.0,
    workers: int = 2,
    tell: Callable[[str], None] = print,
) -> Seen:
    """Ask and disturb for a time, at least one round; return what the clients have seen. The service must end well.

    `first` is the first version of `zoo`. A client pauses between two requests.
    """
    followed = folder / "followed"
    versions = make_versions(followed, first, folder)
    with serving(followed, folder, "--workers", str(workers)) as service:
        service.wait(lambda: service.all_have("ratchet_worker_up", workers), "all workers")
        until_s = time.monotonic() + for_s
        with Clients(service.port, versions, clients, pause_s) as asking:
            one_round(service, asking, followed, workers, tell)
            while time.monotonic() < until_s:
                another_kill(service, followed, workers, tell)
                one_round(service, asking, followed, workers, tell)
        own = list(service.workers().values())
        assert len(own) == workers
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(HANG_S) == 0
        assert not any(process.is_running() for process in own)
    return asking.seen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; print what the clients have seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for-s", type=float, default=300.0, help="how long at least, seconds (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=16, help="how many ask at once (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the service (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    began_s = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began_s:6.1f} s  {line}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_zoo(root / "first", root, version=1)
        seen = campaign(
            root, root / "first", for_s=chosen.for_s, clients=chosen.clients, workers=chosen.workers, tell=tell
        )
    for line in (*seen.wrong[:5], *seen.failed[:5]):
        print(line)
    p50, p99, most = (1000 * float(np.percentile(seen.seconds, percent)) for percent in (50, 99, 100))
    by_version = ", ".join(f"{count} of version {version}" for version, count in sorted(seen.answers.items()))
    print(
        f"{sum(seen.answers.values())} answers ({by_version}), {len(seen.wrong)} wrong; {len(seen.failed)} failed; "
        f"{seen.again} asked again after their connection was closed, {seen.shed} after 503 with Retry-After; "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {most:.0f} ms"
    )
    return 1 if seen.wrong or seen.failed else 0


if __name__ == "__main__":
    sys.exit(main())
