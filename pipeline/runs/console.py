"""How a run is shown to the person who started it: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

from pipeline.runs.stage_rows import StageRow
from pipeline.runtime.progress import LINE_INTERVAL_S, Throttle

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_MARKS = {
    "waiting": ("·", "dim"),
    "running": ("▸", "bold cyan"),
    "done": ("✓", "green"),
    "cached": ("✓", "green"),
    "unchanged": ("=", "dim"),
    "failed": ("✗", "bold red"),
}


class Console:
    """Draws the rows of a run. Use it as a context manager; call `show` whenever a row has changed."""

    def __init__(self, rows: Iterable[StageRow]) -> None:
        self._rows = {row.name: row for row in rows}
        self._live: Live | None = None
        self._throttles = {name: Throttle(LINE_INTERVAL_S) for name in self._rows}
        self._printed: dict[str, str] = {}

    def __enter__(self) -> Self:
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(self._table(), refresh_per_second=5, transient=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def show(self, row: StageRow) -> None:
        """Draw a row that has changed."""
        if self._live:
            self._live.update(self._table())
        else:
            self._print(row)

    def finish(self) -> None:
        """Print the table of all stages, unless the terminal shows it already."""
        if not self._live:
            width = max(map(len, self._rows), default=0)
            print(f"\n{'stage':{width}}  {'what happened':60}  time")  # noqa: T201
            for row in self._rows.values():
                print(f"{row.name:{width}}  {_what(row):60}  {_time(row.seconds)}".rstrip())  # noqa: T201

    def _print(self, row: StageRow) -> None:
        is_end = row.state not in ("waiting", "running")
        if not self._throttles.setdefault(row.name, Throttle(LINE_INTERVAL_S)).is_due(is_last=is_end):
            return
        text = f"{row.name}: {_what(row)}" + (f"  {_time(row.seconds)}" if is_end and row.seconds else "")
        if text != self._printed.get(row.name):
            self._printed[row.name] = text
            print(text, flush=True)  # noqa: T201

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
        table.add_column("")
        table.add_column("stage", no_wrap=True)
        table.add_column("what happened", overflow="ellipsis", no_wrap=True, min_width=40)
        table.add_column("time", justify="right", no_wrap=True)
        for row in self._rows.values():
            mark, style = _MARKS[row.state]
            seconds = row.seconds
            if row.state == "running" and row.started_s is not None:
                seconds = time.time() - row.started_s
            table.add_row(
                Text(mark, style), Text(row.name, style), Text(_what(row, bar=True)), Text(_time(seconds), "dim")
            )
        return table


def _what(row: StageRow, *, bar: bool = False) -> str:
    if row.state == "running" and row.total:
        share = min(row.done / row.total, 1.0)
        drawn = f"{'━' * round(share * 20):┄<20} " if bar else ""
        return f"{drawn}{share:4.0%}  {row.what}"
    if row.state == "failed":
        return "failed"  # why is said once, at the end, by whoever ends the run
    return row.what or row.state


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
