"""Once a day, removes the workspaces that are no longer needed."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.sdk import DAG  # noqa: E402

from dags.tasks import Sweep  # noqa: E402

with DAG(
    "ratchet_sweep",
    schedule="30 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    description="removes the workspaces of runs that were deleted here, or that failed or were abandoned long ago",
    tags=["ratchet"],
) as dag:
    Sweep(task_id="sweep", retries=0)
