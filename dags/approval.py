"""A person's approval before a candidate is published, if its config requires one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from dags.tasks import ROOT, run_id_of
from pipeline.graph import load_graph
from pipeline.records.verdict import Verdict
from pipeline.runs import workspaces
from pipeline.storage.record_files import read_record

if TYPE_CHECKING:
    from airflow.sdk import Context


class Approve(ApprovalOperator):
    """Asks a person whether to publish a candidate that has passed the gate; a refused one needs no approval."""

    def execute(self, context: Context) -> Any:
        """Ask, and wait for the answer; return at once if the gate has refused the candidate."""
        workspace = workspaces.workspace_of(ROOT, run_id_of(context))
        verdict = read_record(workspace / load_graph(workspace).artifact("verdict"), Verdict)
        if not verdict.promotes:
            self.log.info("nothing to approve: %s", verdict.reason)
            return None
        return super().execute(context)
