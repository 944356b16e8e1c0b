"""What is wrong with the configs, as this file's import error: Airflow shows it on its home page.

It has a file of its own because Airflow disables every DAG of a file that has an import error, and a broken config must
disable only its own DAG.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.sdk import DAG  # noqa: E402

from dags import retrain, watch  # noqa: E402


class WrongConfigs(Exception):
    """All lines together: each is short enough to be read, and all of them are shown."""


class Problems(DAG):
    """Never becomes a DAG: Airflow shows an error raised in `validate` in one line, without a traceback."""

    lines: tuple[str, ...] = ()

    def validate(self) -> None:
        """Raise WrongConfigs with what is wrong."""
        raise WrongConfigs(" | ".join(self.lines))


lines = (*retrain.problems, *watch.problems)
if lines:
    problems = Problems("ratchet_problems", schedule=None)
    problems.lines = lines
