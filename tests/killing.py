"""Kills a process at every point at which it changes the file system, one point a process.

A point is where Python is about to change something on disk: each kind of change, at each line of the product that
makes it; of a line that makes many, the first, the middle and the last one.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate", "os.chmod"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PRODUCTS = (str(Path(__file__).parents[1] / "pipeline"), "/site-packages/dvc")  # DVC's own changes count too
_SURVIVED, _FAILED = 0, 1

Act = Callable[[], object]


def points(act: Act, report: Path) -> dict[str, list[int]]:
    """Let a child act; return the ordinals of its changes by their place, like `workspaces.py:83 os.rename`."""
    with report.open("w", buffering=1) as stream:  # line by line: the child leaves without closing it

        def note(number: int, place: str) -> None:
            stream.write(f"{number} {place}\n")

        assert _in_child(act, note) == _SURVIVED
    found: dict[str, list[int]] = {}
    for line in report.read_text().splitlines():
        number, _, place = line.partition(" ")
        found.setdefault(place, []).append(int(number))
    return found


def chosen(found: dict[str, list[int]], *, each_once: bool = False) -> list[tuple[str, int]]:
    """Return the first, the middle and the last change at each place; with `each_once`, the last one."""
    return [
        (place, number)
        for place, numbers in found.items()
        for number in sorted({numbers[-1]} if each_once else {numbers[0], numbers[len(numbers) // 2], numbers[-1]})
    ]


def kill_at(act: Act, point: int) -> None:
    """Let a child process act, and kill it just before its change of that ordinal."""

    def kill(number: int, _: str) -> None:
        if number == point:
            os.kill(os.getpid(), signal.SIGKILL)

    assert _in_child(act, kill) == -signal.SIGKILL, f"change {point} did not come"


def _in_child(act: Act, at_change: Callable[[int, str], None]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = _FAILED
        try:
            warnings.simplefilter("ignore")  # what pytest makes errors of
            _watch(at_change)
            act()
            code = _SURVIVED
        except BaseException:  # noqa: BLE001 - a child of pytest must not return into it
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _watch(at_change: Callable[[int, str], None]) -> None:
    number, is_noting = 0, False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal number, is_noting
        is_change = event in _CHANGES or (event == "open" and arguments[2] & _WRITES)
        if not is_change or is_noting or arguments[0] == os.devnull:
            return
        is_noting = True
        at_change(number, f"{_place()} {event}")
        number, is_noting = number + 1, False

    sys.addaudithook(hook)


def _place() -> str:
    frame: Any = sys._getframe(2)
    while frame is not None:
        if any(product in frame.f_code.co_filename for product in _PRODUCTS):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"
