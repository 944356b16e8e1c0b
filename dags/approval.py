"""A person's yes before a candidate is published, where a config asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from dags.tasks import ROOT, run_id_of
from pipeline.records.verdict import VERDICT_FILE, Verdict
from pipeline.runs import workspaces
from pipeline.storage.record_files import read_record

if TYPE_CHECKING:
    from airflow.sdk import Context


class Approve(ApprovalOperator):
    """Asks whether to publish a candidate that has passed the gate; a refused one needs nobody's answer."""

    def execute(self, context: Context) -> Any:
        """Ask, and wait for the answer; go on at once where the gate has said no already."""
        verdict = read_record(workspaces.workspace_of(ROOT, run_id_of(context)) / VERDICT_FILE, Verdict)
        if not verdict.lets_through:
            self.log.info("nothing to approve: %s", verdict.reason)
            return None
        return super().execute(context)
