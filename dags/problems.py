"""What is wrong with the configs, as this file's import error: Airflow shows it on its first page.

It has a file of its own because Airflow switches off every DAG of a file that has an import error, and a broken config
is to disable its own DAG only.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.sdk import DAG  # noqa: E402

from dags import retrain, watch  # noqa: E402
from pipeline.errors import UsageError  # noqa: E402


class Problems(DAG):
    """Never becomes a DAG: a refusal while it is checked is shown in one line, without a traceback."""

    lines: tuple[str, ...] = ()

    def validate(self) -> None:
        """Refuse to be loaded, and say why."""
        raise UsageError(" | ".join(self.lines))


lines = (*retrain.problems, *watch.problems)
if lines:
    problems = Problems("ratchet_problems", schedule=None)
    problems.lines = lines
