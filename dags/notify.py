"""Notifications: a message when a run fails, a candidate is refused, or a new champion is in use.

Off until configured. Each channel is one of Airflow's own connections, by its id; one that does not exist is not used:

    ratchet_email     SMTP; the addresses are in its extra: {"to": ["oncall@example.org"]}
    ratchet_slack     Slack incoming webhook
    ratchet_webhook   HTTP; the message is sent as a JSON object by POST
"""

from __future__ import annotations

import html
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseHook, BaseNotifier, conf
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

from pipeline.errors import RatchetError

if TYPE_CHECKING:
    from airflow.sdk import Connection, Context

    from pipeline.records.metrics import MetricsReport

EMAIL, SLACK, WEBHOOK = "ratchet_email", "ratchet_slack", "ratchet_webhook"
REPORT = "reports/index.html"


class NotifyFailure(BaseNotifier):
    """Reports that a task has failed and will not be retried, with the line that says why."""

    def notify(self, context: Context) -> None:
        """Send the message; nothing for the closing of a failed run: the failed task has sent it already."""
        from dags.commands import RunFailed

        if isinstance(context.get("exception"), RunFailed):
            return
        run, task = context["dag_run"], context["ti"].task_id
        why = str(context.get("exception") or "") or "it ended without a word: see its log"
        send(
            {
                "event": "failed",
                "title": f"{run.dag_id} failed at {task}",
                "sentence": why,
                "figures": {},
                "links": {"run": run_url(run.dag_id, run.run_id), "log": str(context["ti"].log_url)},
                "run": run.run_id,
            }
        )


class NotifyVerdict(BaseNotifier):
    """Reports the result of a run: a new champion, or a refused candidate. Sends nothing if nothing has changed."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root

    def notify(self, context: Context) -> None:
        """Send the message."""
        from pathlib import Path

        run = context["dag_run"]
        message = verdict_message(Path(self.root), run.dag_id, run.run_id)
        if message:
            send(message)


def verdict_message(root: Any, dag_id: str, run_id: str) -> dict[str, Any] | None:
    """Return the message about a finished run; None if there is nothing to report."""
    from pipeline.graph import load_graph
    from pipeline.runs import history, outcome

    try:
        record = history.read(root, history.id_for(dag_id, run_id))
    except RatchetError:
        return None
    titles = {
        "promote": "has a new champion",
        "refuse": "refused its candidate",
        "rejected": "has a candidate that was not approved",
    }
    if record.state != "success" or record.outcome not in titles:
        return None
    folder = root / record.folder
    graph = load_graph(folder)
    figures = _figures(outcome.metrics_of(folder, graph)) if graph.find("metrics") else {}
    registration = outcome.find_registration(folder, graph)
    is_held = registration is not None and registration.outcome == "held"
    title = "has a candidate that a bound of its machine holds back" if is_held else titles[record.outcome]
    return {
        "event": record.outcome,
        "title": f"{dag_id} {title}",
        "sentence": "; ".join(
            dict.fromkeys(filter(None, (record.sentence, registration.sentence if registration else "")))
        ),
        "figures": figures,
        "links": {"run": run_url(dag_id, run_id), "report": report_url(dag_id, run_id)},
        "run": run_id,
    }


def _figures(report: MetricsReport) -> dict[str, float]:
    """Return the figures of the test part that the task wants in messages; of a task that is gone, the primary one."""
    from pipeline.recipe.task import kind_of

    try:
        names = [metric.name for metric in kind_of(report.task).metrics if metric.in_messages]
    except RatchetError:
        names = [report.primary]
    return {name: round(report.test[name], 4) for name in names if name in report.test}


def send(message: dict[str, Any]) -> None:
    """Send a message through every configured channel; if one fails, the others are still tried."""
    problems = []
    for name, send_by in ((EMAIL, _by_email), (SLACK, _by_slack), (WEBHOOK, _by_webhook)):
        connection = None
        try:
            connection = _connection(name)
            if connection is not None:
                send_by(connection, message)
        except Exception as error:  # noqa: BLE001 - whatever a mail server or a webhook answers
            secret = connection.password if connection else None
            problems.append(f"{name}: {type(error).__name__}: {error}".replace(secret or "\0", "***"))
    if problems:
        raise RuntimeError(f"not every notification was sent: {'; '.join(problems)}")


def as_text(message: dict[str, Any]) -> str:
    """Return a message as lines of plain text."""
    figures = ", ".join(f"{name} {value}" for name, value in message["figures"].items())
    links = [f"{name}: {address}" for name, address in message["links"].items()]
    return "\n".join(filter(None, (message["title"], message["sentence"], figures, *links)))


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run in Airflow's UI."""
    return f"{_base()}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def report_url(dag_id: str, run_id: str, path: str = REPORT) -> str:
    """Return the address at which the plugin serves a run's report, or another file kept with it."""
    return f"{_base()}/ratchet/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}/{path}"


def _base() -> str:
    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")


def _connection(name: str) -> Connection | None:
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None
    except AirflowRuntimeError as error:
        if "NOT_FOUND" in str(error):
            return None
        raise


def _by_email(connection: Connection, message: dict[str, Any]) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    to = connection.extra_dejson.get("to")
    if not to:
        raise ValueError(f'its extra names nobody: {{"to": ["oncall@example.org"]}} is missing in connection {EMAIL}')
    with SmtpHook(smtp_conn_id=EMAIL) as hook:
        hook.send_email_smtp(
            to=to, subject=message["title"], html_content=f"<pre>{html.escape(as_text(message))}</pre>"
        )


def _by_slack(_: Connection, message: dict[str, Any]) -> None:
    from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

    quiet = logging.getLogger(f"{__name__}.slack")
    quiet.setLevel(logging.CRITICAL)  # when it fails, Slack's client logs the address, which is the secret
    SlackWebhookHook(slack_webhook_conn_id=SLACK, logger=quiet).send(text=as_text(message))


def _by_webhook(_: Connection, message: dict[str, Any]) -> None:
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook(method="POST", http_conn_id=WEBHOOK)
    hook.run(endpoint="", data=json.dumps(message), headers={"Content-Type": "application/json"})
