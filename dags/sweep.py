"""Every hour, removes the workspaces that are no longer needed."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.sdk import DAG  # noqa: E402

from dags.tasks import Sweep  # noqa: E402

with DAG(
    "ratchet_sweep",
    schedule="30 * * * *",
    catchup=False,
    is_paused_upon_creation=False,  # it trains nothing, and nobody thinks of switching it on
    max_active_runs=1,
    description="removes the workspaces of runs that were deleted here, or that failed or were abandoned long ago",
    tags=["ratchet"],
) as dag:
    Sweep(task_id="sweep", retries=0)
