"""What every command has: its words, its options, what it does; and how it speaks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pipeline.errors import UsageError
from pipeline.graph import find_root

Handler = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """One line for an error."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and leaving."""
        raise UsageError(f"{message}; see `{self.prog} --help`")


@dataclass(frozen=True)
class Command:
    """One word after `ratchet`. `fill` adds its options, or its actions, each with a handler of its own."""

    name: str
    summary: str
    examples: str
    fill: Callable[[argparse.ArgumentParser], None]


def project_root() -> Path:
    """Return the folder of the project that the command was given in; raise UsageError outside of one."""
    return find_root(Path.cwd())


def add_actions(command: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """Add a place for actions (`ratchet runs list`) to a command."""
    return command.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=Parser)


def add_json(command: argparse.ArgumentParser) -> None:
    """Add the option `--json`."""
    command.add_argument("--json", action="store_true", help="for programs")


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Return `KEY=VALUE` texts as a mapping; raise UsageError naming the option."""
    found = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageError(f"{option} {text}: expected KEY=VALUE, like {option} train.epochs=3")
        found[key] = value
    return found


def say(text: str) -> None:
    """Print a line for the person who gave the command."""
    print(text)  # noqa: T201


def relative(path: Path) -> str:
    """Return a path as seen from where the command was given."""
    return os.path.relpath(path)
