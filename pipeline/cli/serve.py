"""`ratchet serve`: answer over HTTP with a served folder, or with the champion of the registry."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.command import Command, project_root, say
from pipeline.errors import DataError, UsageError

if TYPE_CHECKING:
    from pipeline.serving.roles import Shares

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def _fill(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folder", nargs="?", type=Path,
        help="a folder that `ratchet export` has written; of --model, where its versions are kept",
    )  # fmt: skip
    command.add_argument("--model", metavar="NAME", help="the champion of this name in the project's registry")
    command.add_argument("--follow", action="store_true", help="go on to the next champion of --model, and so on")
    command.add_argument(
        "--formats", default="", help="further forms of --model to have at hand, as of `ratchet export`"
    )
    command.add_argument(
        "--challenger", metavar="WHICH",
        help="a model beside the champion: a served folder, or of --model NAME@VERSION, a number or an alias",
    )  # fmt: skip
    command.add_argument(
        "--canary-share", type=_number, default=0.0, help="the share of the requests that it answers (default: none)"
    )
    command.add_argument(
        "--shadow-share", type=_number, default=0.0, help="the share it gets copies of, to compare (default: none)"
    )
    command.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    command.add_argument("--port", type=int, default=8600, help="the port; 0 takes a free one (default: %(default)s)")
    command.add_argument("--tokens", type=Path, metavar="FILE", help="who may ask; needed beyond this machine")
    command.add_argument("--new-token", metavar="NAME", help="add a token to FILE, print it once, and leave")
    command.add_argument("--engine", default="auto", help="saved_model or onnx (default: the SavedModel)")
    command.add_argument(
        "--workers", type=_count, default=1,
        help="processes that answer, each with a model of its own; one that dies is started again (default: 1)",
    )  # fmt: skip
    command.add_argument("--calls", type=_count, help="calls of the model at once (default: half of the cores)")
    command.add_argument("--batch-rows", type=_count, help="rows that may share a call; 1: none (default: 64)")
    command.add_argument("--batch-wait-ms", type=_number, help="how long a row may wait for others (default: 2)")
    command.add_argument("--queue-rows", type=_count, help="rows that may wait (default: 2048)")
    command.add_argument(
        "--queue-ms", type=_number, help="how long they may wait (default: 50), in an overload a twelfth"
    )
    command.add_argument("--max-body-mib", type=_count, help="largest body of a request (default: 32)")
    command.add_argument("--max-pixels", type=_count, help="largest picture (default: 16 000 000)")
    command.add_argument(
        "--max-p95-ms", type=_number, help="a model 5 %% of whose calls with one row take longer here is not taken"
    )
    command.add_argument("--max-size-mib", type=_number, help="nor is one whose form is larger")
    command.add_argument("--timeout-s", type=_number, help="longest time for an answer (default: 30)")
    command.add_argument(
        "--log-predictions", type=Path, metavar="FOLDER", help="keep what was asked and answered there"
    )
    command.add_argument("--log-share", type=float, default=1.0, help="the share of requests kept (default: all)")
    command.add_argument("--plain-http", action="store_true", help=argparse.SUPPRESS)  # for benchmarks/serving.py
    command.add_argument("--worker", type=int, help=argparse.SUPPRESS)  # for serving/workers.py: one of --workers
    command.set_defaults(handler=_serve)


def _serve(options: argparse.Namespace) -> int:
    from pipeline.export.bounds import MachineBounds
    from pipeline.serving.roles import Shares
    from pipeline.serving.serve import ServeSettings, serve, serve_as_worker

    if options.worker is not None:
        return serve_as_worker(options.folder, options.worker)
    if options.new_token is not None:
        return _new_token(options)
    if options.folder is None and options.model is None:
        raise UsageError(
            "what is to be served? name a folder that `ratchet export --to FOLDER` has written, or --model NAME"
        )
    if options.follow and options.model is None:
        raise UsageError("--follow needs --model NAME: whose champion is to be followed?")
    logged = None
    if options.log_predictions is not None:
        from pipeline.serving.prediction_log import LogSettings

        logged = LogSettings(options.log_share)
    shares = Shares(options.canary_share, options.shadow_share)
    beside = _beside(options, shares)
    folder, follower, project = _followed(options, beside) if options.model else (options.folder, [], Path())
    settings = ServeSettings(
        folder=folder,
        challenger=bool(beside) if options.model or not beside else Path(beside),
        shares=shares,
        follower=follower,
        project=project,
        host=options.host,
        port=options.port,
        tokens=options.tokens,
        engine=options.engine,
        workers=options.workers,
        calls=options.calls,
        is_batching=options.batch_rows != 1,
        is_plain=options.plain_http,
        prediction_log=options.log_predictions,
        logged=logged,
        bounds=MachineBounds(options.max_p95_ms, options.max_size_mib),
    )
    given = {
        "batch_rows": options.batch_rows,
        "wait_s": _seconds(options.batch_wait_ms),
        "queue_rows": options.queue_rows,
        "queue_s": _seconds(options.queue_ms),
        "body_bytes": options.max_body_mib and options.max_body_mib * 2**20,
        "pixels": options.max_pixels,
        "request_s": options.timeout_s,
    }
    limits = replace(settings.limits, **{key: value for key, value in given.items() if value is not None})
    return serve(replace(settings, limits=limits))


def _beside(options: argparse.Namespace, shares: Shares) -> str:
    """Return the challenger: a folder, or the version of --model; "" if there is none."""
    which: str = options.challenger or ""
    if options.model is None:
        return which
    name, _, version = which.partition("@")
    if (which or shares.is_any) and not (name == options.model and version):
        raise UsageError(
            f"--challenger {which or '(none)':.80}: expected a version of --model, like {options.model}@4 or "
            f"{options.model}@challenger, an alias"
        )
    return version


def _followed(options: argparse.Namespace, challenger: str) -> tuple[Path, list[str], Path]:
    """Return the folder of a champion's versions, the command that keeps it up to date, if any, and the project."""
    import subprocess

    from pipeline.serving.supervising import environment, follower_command

    project = project_root()
    if options.folder is None and not _PLAIN.fullmatch(options.model):
        raise UsageError(
            f"--model {options.model:.80}: no folder can have this name; say one: `ratchet serve FOLDER --model …`"
        )
    folder = options.folder or project / ".ratchet" / "serving" / options.model
    formats = [each for each in options.formats.split(",") if each]
    if options.follow:
        folder.mkdir(parents=True, exist_ok=True)
        return folder, follower_command(project, options.model, folder, formats, challenger=challenger), project
    command = follower_command(project, options.model, folder, formats, challenger=challenger, once=True)
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["the follower said nothing"]
        raise DataError(lines[-1])
    return folder, [], project


def _new_token(options: argparse.Namespace) -> int:
    from pipeline.serving.tokens import add_token

    if options.tokens is None:
        raise UsageError("--new-token needs --tokens FILE: the file that its hash is added to")
    say(add_token(options.tokens, options.new_token))
    return 0


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**40):
        raise argparse.ArgumentTypeError(f"'{text:.40}' is no whole number above 0")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"'{text:.40}' is no number from 0 on")
    return number


COMMAND = Command(
    "serve",
    "answer over HTTP with a served folder, or with the champion of the registry",
    "  ratchet serve served/\n  ratchet serve --model fashion_mnist --follow\n"
    "  ratchet serve --model fashion_mnist --follow --challenger fashion_mnist@4 --shadow-share 0.1\n"
    "  ratchet serve --new-token till-7 --tokens tokens.txt\n"
    "  ratchet serve served/ --host 0.0.0.0 --tokens tokens.txt",
    _fill,
)
