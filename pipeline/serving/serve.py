"""Runs the service until it is told to end: takes its address, loads its model, answers, finishes what it has begun."""

from __future__ import annotations

import gc
import ipaddress
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StorageError, UsageError
from pipeline.export.bounds import MachineBounds
from pipeline.records.served_model import SERVED_FILE
from pipeline.serving.engine import AUTO
from pipeline.serving.limits import Limits
from pipeline.serving.prediction_log import LogSettings
from pipeline.serving.roles import Shares
from pipeline.serving.workers import MOST_WORKERS, Worker, keep, taken

if TYPE_CHECKING:
    from pipeline.serving.log import Log

_BACKLOG = 4096
_OTHER_FILES = 256


@dataclass(frozen=True)
class ServeSettings:
    """What is served, where, to whom. `folder` is a served one, or a followed one; see `models`.

    `challenger` is a served folder, or whether there is to be the one that a followed folder names; with shares above 0
    there is. `port` 0 takes a free one. `workers` processes answer, each with models of its own; see `workers`. `calls`
    is how many calls of the model run at once in each; None: half of the cores, shared among the workers.
    """

    folder: Path
    challenger: Path | bool = False
    shares: Shares = field(default_factory=Shares)
    host: str = "127.0.0.1"
    port: int = 8600
    tokens: Path | None = None
    engine: str = AUTO
    workers: int = 1
    calls: int | None = None
    limits: Limits = field(default_factory=Limits)
    is_batching: bool = True
    prediction_log: Path | None = None
    logged: LogSettings | None = None
    is_plain: bool = False  # without the parser and the loop in C, and without their bounds of a head
    follower: Sequence[str] = ()  # the command of a follower to be kept running, in the folder `project`
    project: Path = Path()
    bounds: MachineBounds = field(default_factory=MachineBounds)


def serve(settings: ServeSettings) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises UsageError for an address that all may reach without tokens, StorageError for one that cannot be had; what
    `model.load` raises for a served folder.
    """
    if settings.shares.is_any and settings.challenger is False and (settings.folder / SERVED_FILE).is_file():
        raise UsageError(
            "--canary-share and --shadow-share need a challenger: name its served folder, `--challenger FOLDER`"
        )
    if settings.tokens is None and not is_loopback(settings.host):
        raise UsageError(
            f"--host {settings.host} can be reached from other machines, so access tokens are needed: "
            "`ratchet serve --new-token NAME --tokens FILE` makes one, then add --tokens FILE"
        )
    if settings.tokens is not None:
        from pipeline.serving.tokens import read_tokens

        if not read_tokens(settings.tokens):
            raise UsageError(
                f"{settings.tokens}: has no token; `ratchet serve --new-token NAME --tokens FILE` adds one"
            )
    if not 1 <= settings.workers <= MOST_WORKERS:
        raise UsageError(f"--workers {settings.workers}: must be from 1 to {MOST_WORKERS}")
    listening = _bound(settings.host, settings.port)
    with listening:
        return _serve(settings, listening) if settings.workers == 1 else keep(settings, listening)


def serve_as_worker(folder: Path, number: int) -> int:
    """Serve as one of several workers, whose settings are in a folder, until SIGTERM; return the exit code."""
    settings, listening, worker = taken(folder, number)
    with listening:
        return _serve(settings, listening, worker)


def is_loopback(host: str) -> bool:
    """Return whether a host's address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise UsageError(f"--port {port}: a port is a number from 0 to {2**16 - 1}")
    try:
        [(family, kind, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        raise StorageError(
            f"cannot serve on {host} port {port}: {error.strerror}; choose another by --host and --port"
        ) from error
    return listening


def _serve(settings: ServeSettings, listening: socket.socket, worker: Worker | None = None) -> int:
    import uvicorn

    from pipeline.serving.app import build
    from pipeline.serving.batching import Batcher
    from pipeline.serving.connections import bounded
    from pipeline.serving.log import JsonLog
    from pipeline.serving.metrics import Metrics
    from pipeline.serving.models import Models
    from pipeline.serving.prediction_log import PredictionLog
    from pipeline.serving.readings import Readings
    from pipeline.serving.service import Service
    from pipeline.serving.supervising import Supervisor
    from pipeline.serving.tokens import Tokens
    from pipeline.serving.within import within

    for number in (signal.SIGTERM, signal.SIGINT):  # what is the first process of a container has no default for them
        signal.signal(number, _leave)
    # TensorFlow imports Keras if it is there; a SavedModel needs none of it.
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
    log = JsonLog(worker=worker.number) if worker else JsonLog()
    metrics = Metrics()
    limits = replace(settings.limits, connections=_take_files(settings.limits.connections))
    _pass_on_warnings(log)
    calls = settings.calls or max(1, len(os.sched_getaffinity(0)) // 2)
    challenger = settings.challenger or settings.shares.is_any
    calls_beside = max(1, math.ceil(calls * settings.shares.canary))
    # A thread of TensorFlow's for each call: several would only hand a call's operations to each other. One for copies,
    # one for the golden rows of a model that comes.
    threads = calls + (calls_beside + 1 if challenger else 0) + (0 if (settings.folder / SERVED_FILE).is_file() else 1)
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(threads))
    load = within(settings.bounds, together=worker.folder if worker else None)
    supervisor = Supervisor(settings.follower, settings.project, log) if settings.follower else None
    with closing(supervisor) if supervisor else nullcontext():
        models = Models(settings.folder, metrics, log, lambda folder: load(folder, settings.engine), challenger)
        models.open()
        service = Service(
            models=models,
            batcher=Batcher(limits, metrics, calls=calls, is_batching=settings.is_batching),
            metrics=metrics,
            log=log,
            limits=limits,
            tokens=Tokens(settings.tokens) if settings.tokens else None,
            prediction_log=PredictionLog(settings.prediction_log, settings.logged, metrics.logged, log)
            if settings.prediction_log and settings.logged
            else None,
            readings=Readings(*worker) if worker else None,
            shares=settings.shares,
            calls_beside=calls_beside,
        )
        app = build(service)
        config = uvicorn.Config(
            app,
            http="h11" if settings.is_plain else bounded(limits, app.refuse_at_once),
            loop="asyncio" if settings.is_plain else "uvloop",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=int(limits.idle_s),
            timeout_graceful_shutdown=int(limits.end_s),
        )
        gc.collect()
        gc.freeze()  # what has been loaded stays: to look through it would hold up answers for a tenth of a second
        host, port = listening.getsockname()[:2]
        log(
            "serving", host=host, port=port, calls=calls, connections=limits.connections,
            tokens=settings.tokens is not None,
        )  # fmt: skip
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises again what it has obeyed
            signal.signal(number, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listening])
    log("ended")
    return 0


def _leave(number: int, _: object) -> None:
    """End while the model is still loaded: there is nobody to answer yet."""
    raise SystemExit(128 + number)


def _take_files(connections: int) -> int:
    """Allow this process as many open files as it may have; return how many connections may be, no more than wanted.

    Files are left for models that are loaded, tokens and logs.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # a hard limit that the kernel does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if files == resource.RLIM_INFINITY else min(connections, max(files // 2, files - _OTHER_FILES))


def _pass_on_warnings(log: Log) -> None:
    """Let the server's warnings be lines of the log, in its form; what reads forms would log bytes of them."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log("server", level=record.levelname.lower(), message=record.getMessage()[:200])

    logger = logging.getLogger("uvicorn")
    logger.handlers = [Handler(logging.WARNING)]
    logger.propagate = False
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
