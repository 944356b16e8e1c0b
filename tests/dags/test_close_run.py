"""The end of a run: as its stages have ended, with its candidate made known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dags import assets
from dags.commands import RunFailed
from dags.tasks import CloseRun
from tests.dags.task_run import RUN, context, execute, record
from tests.dags.written import FIGURES, metrics, registration, verdict


@pytest.mark.parametrize(
    "states",
    [
        {"open": "success", "train": "success", "register": "success", "close": "running"},
        {"open": "success", "train": "success", "register": "skipped"},
        {"train": "success", "close": "failed"},  # an earlier try of closing
    ],
)
def test_a_run_whose_stages_have_not_failed_is_closed_as_a_success(
    project: Path, said: list[str], answer: Callable[..., None], states: dict[str, str]
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="success", sentence="why")})
    asked = context(states=states)
    told = execute(CloseRun(task_id="close", config="one"), asked)
    assert said[0] == f"called: -m pipeline runs close {RUN} --state success"
    assert told == {"run": RUN, "folder": f"runs/{RUN}", "outcome": None, "note": "why"}
    assert len(asked["outlet_events"]) == 0


@pytest.mark.parametrize("states", [{"train": "failed", "register": "upstream_failed"}, {"train": "upstream_failed"}])
def test_a_run_with_a_failed_stage_is_closed_as_a_failure_and_red_itself(
    project: Path, said: list[str], answer: Callable[..., None], states: dict[str, str]
) -> None:
    answer({f"runs/{RUN}/record.json": record(state="failed", sentence="why")})
    asked = context(states=states)
    with pytest.raises(RunFailed, match=r"^the run failed: why$"):
        execute(CloseRun(task_id="close", config="one"), asked)
    assert said[0] == f"called: -m pipeline runs close {RUN} --state failed"
    assert len(asked["outlet_events"]) == 0


@pytest.mark.parametrize(("outcome", "is_registered"), [("promote", True), ("refuse", True), ("rejected", False)])
def test_a_candidate_is_made_known_whatever_came_of_it(
    project: Path, said: list[str], answer: Callable[..., None], outcome: str, is_registered: bool
) -> None:
    files = {
        f"runs/{RUN}/record.json": record(state="success", outcome=outcome, sentence="why"),
        f"runs/{RUN}/reports/verdict.json": verdict("refuse" if outcome == "refuse" else "promote"),
        f"runs/{RUN}/reports/metrics.json": metrics(),
    }
    if is_registered:
        files[f"runs/{RUN}/reports/registration.json"] = registration("promoted" if outcome == "promote" else "refused")
    answer(files)
    asked = context(states={"train": "success"})
    execute(CloseRun(task_id="close", config="one"), asked)
    [event] = asked["outlet_events"][assets.candidates("one")].asset_alias_events
    assert event.dest_asset_key.uri == assets.candidate("one").uri
    assert event.extra == {
        "run": RUN,
        "outcome": outcome,
        "reason": "why",
        "digest": "sha256:c",
        "version": 3 if is_registered else None,
        "metrics": FIGURES,
    }


def test_what_another_attempt_made_known_is_its_own(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    folder = f"runs/{RUN}/attempts/2"
    answer(
        {
            f"runs/{RUN}/record.json": record(state="success", outcome="refuse", sentence="then"),
            f"runs/{RUN}/reports/verdict.json": verdict("refuse"),
            f"{folder}/record.json": record(state="success", outcome="promote", sentence="now", attempt=2),
            f"{folder}/dvc.yaml": yaml.safe_load((project / "dvc.yaml").read_text()),
            f"{folder}/params.yaml": yaml.safe_load((project / "params.yaml").read_text()),
            f"{folder}/reports/verdict.json": verdict("promote"),
            f"{folder}/reports/metrics.json": metrics(),
            f"{folder}/reports/registration.json": registration("promoted", version=7),
        }
    )
    asked = context(states={"train": "success"})
    told = execute(CloseRun(task_id="close", config="one"), asked)
    assert (told["folder"], told["outcome"]) == (folder, "promote")
    [event] = asked["outlet_events"][assets.candidates("one")].asset_alias_events
    assert (event.extra["outcome"], event.extra["version"]) == ("promote", 7)
