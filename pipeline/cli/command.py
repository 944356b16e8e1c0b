"""What all commands share: their description, common options, and how they print."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pipeline.errors import StorageError, UsageError
from pipeline.graph import find_root
from pipeline.runtime import surroundings, user

Handler = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and exiting."""
        raise UsageError(f"{message}; see `{self.prog} --help`")


@dataclass(frozen=True)
class Command:
    """One word after `ratchet`. `fill` adds its options, or its actions, each with its own handler."""

    name: str
    summary: str
    examples: str
    fill: Callable[[argparse.ArgumentParser], None]


def project_root() -> Path:
    """Return the folder of the project around the current folder; raise UsageError if there is none.

    A user without a name or a home, as in many containers, gets what libraries ask for; see `runtime/user.py`. Raises
    StorageError if the current folder has been removed.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise StorageError("the current folder has been removed; change to the project's folder") from error
    root = find_root(here)
    os.environ.update(user.missing_variables(os.environ, root / ".ratchet" / "home"))
    return root


def require_known_variables() -> None:
    """Raise UsageError for a variable that looks like Ratchet's own and means nothing, or names no folder."""
    if wrong := surroundings.wrong_variable(os.environ):
        name, why = wrong
        raise UsageError(f"{name:.80} in the environment: {why}")


def add_actions(command: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """Add subcommands (`ratchet runs list`) to a command; return what they are added to."""
    return command.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=Parser)


def add_json(command: argparse.ArgumentParser) -> None:
    """Add the option `--json`."""
    command.add_argument("--json", action="store_true", help="for programs")


def pairs(texts: Sequence[str], option: str, like: str = "train.epochs=3") -> dict[str, str]:
    """Return `KEY=VALUE` texts as a mapping; raise UsageError naming the option."""
    found = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageError(f"{option} {text}: expected KEY=VALUE, like {option} {like}")
        found[key] = value
    return found


def say(text: str) -> None:
    """Print a line for the user."""
    print(text)  # noqa: T201


def relative(path: Path) -> str:
    """Return a path relative to the current folder."""
    return os.path.relpath(path)
