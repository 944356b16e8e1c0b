"""The buttons of a run's last task: its report, its version in the registry, its curves.

A frame of Airflow's own pages lets no link out of itself; a button of a task opens a page of its own. What only an
ended task needs is imported where it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

ROOT = Path(__file__).resolve().parents[1]


class ReportLink(BaseOperatorLink):
    """Leads to the page of the run."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return its address."""
        from dags.notify import report_url

        return report_url(ti_key.dag_id, ti_key.run_id)


class VersionLink(BaseOperatorLink):
    """Leads to the registered version in MLflow; where that is not served, to what the run's own tab says of it."""

    name = "Registered version"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return its address, as it is when the task ends."""
        from dags import pages
        from dags.notify import run_url

        address = pages.version_address(ROOT, ti_key.dag_id, ti_key.run_id)
        return address or f"{run_url(ti_key.dag_id, ti_key.run_id)}/plugin/registry"


class TensorBoardLink(BaseOperatorLink):
    """Leads to the curves of the training; where TensorBoard is not served, to what the run's own tab says of it."""

    name = "TensorBoard"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return its address, as it is when the task ends."""
        from dags import pages
        from dags.notify import run_url

        address = pages.training_address(ROOT, ti_key.dag_id, ti_key.run_id)
        return address or f"{run_url(ti_key.dag_id, ti_key.run_id)}/plugin/registry"
