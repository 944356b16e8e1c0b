"""Parses a command line, runs its command, and turns whatever it raises into one line and an exit code.

Each command imports what it needs when it runs: start-up and the no-op run stay quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from pipeline.cli import export, fetch, gate, gc, init, project, quarantine, registry, run, runs, score, split, stage
from pipeline.cli.bugs import BUG_EXIT_CODE, as_bug, traceback_text
from pipeline.cli.command import Command, Parser
from pipeline.errors import RatchetError, UsageError, as_full_disk, nearest
from pipeline.runtime.shell import without_shell

_COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        init.COMMAND, run.COMMAND, runs.COMMAND, stage.COMMAND, project.GRAPH, project.REPORT, project.DOCTOR,
        gate.COMMAND, registry.COMMAND, score.COMMAND, split.COMMAND, fetch.COMMAND, quarantine.COMMAND,
        export.COMMAND, gc.COMMAND,
    )
}  # fmt: skip
_EXIT_CODES = """\
exit codes: 0 done (a refused candidate is a normal outcome) · 2 usage, recipe or set-up · 65 data or contract ·
            70 bug · 74 input/output · 75 try again · 130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    with _outlasting_its_reader():
        return _main(arguments)


def _main(arguments: Sequence[str] | None) -> int:
    words = without_shell(list(sys.argv[1:] if arguments is None else arguments))
    is_debug = "--debug" in words
    try:
        options = _parser().parse_args(_checked([word for word in words if word != "--debug"]))
        options.is_own_process = arguments is None
        return int(options.handler(options))
    except RatchetError as error:
        if is_debug:
            print(traceback_text(), file=sys.stderr, end="")  # noqa: T201
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("interrupted; what was finished is kept, run again to go on", 130)
    except Exception as error:  # noqa: BLE001 - the last resort: a bug becomes one line, and its traceback a file
        if is_debug:
            print(traceback_text(), file=sys.stderr, end="")  # noqa: T201
            return BUG_EXIT_CODE
        if full := as_full_disk(error):
            return _complain(str(full), full.exit_code)
        return _complain(as_bug(error), BUG_EXIT_CODE)


class _Outlasting:
    """An output that goes on when nobody reads it any more, as after `ratchet run | head -1`: the work is done."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, to nowhere once the reader has gone."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        """Pass on what is kept back."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what the stream still holds goes there too
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _outlasting_its_reader() -> Iterator[None]:
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    stream = sys.stdout
    sys.stdout = _Outlasting(stream)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = stream


def _complain(message: str, exit_code: int) -> int:
    print(f"ratchet: {message}", file=sys.stderr)  # noqa: T201
    return exit_code


def _checked(words: list[str]) -> list[str]:
    """Refuse an unknown command with the nearest one, which argparse does not name."""
    commands = list(_COMMANDS)
    if words and not words[0].startswith("-") and words[0] not in commands:
        raise UsageError(f"no command '{words[0]}'{nearest(words[0], commands)}")
    return words


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ratchet",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Retrain a model; replace the one in use only when test rows show the new one to be better.",
        epilog="examples:\n  ratchet run                          bring everything up to date\n"
        "  ratchet run --set train.epochs=3     try a change in a run of its own\n"
        "  ratchet registry list                the models published so far\n\n"
        "Every command takes --debug: a traceback instead of one line.\n" + _EXIT_CODES,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for command in _COMMANDS.values():
        subparser = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=f"examples:\n{command.examples}\n\n{_EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.fill(subparser)
    return parser
