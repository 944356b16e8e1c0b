"""A person's yes before a candidate is published, where a config asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from dags.tasks import ROOT, run_id_of
from pipeline import workspace
from pipeline.artifacts import read_json

if TYPE_CHECKING:
    from airflow.sdk import Context


class Approve(ApprovalOperator):
    """Asks whether to publish a candidate that has passed the gate; a refused one needs nobody's answer."""

    def execute(self, context: Context) -> Any:
        """Ask, and wait for the answer; go on at once where the gate has said no already."""
        verdict = read_json(workspace.place_of(ROOT, run_id_of(context)) / "reports" / "verdict.json")
        if verdict["outcome"] != "promote":
            self.log.info("nothing to approve: %s", verdict["reason"])
            return None
        return super().execute(context)
