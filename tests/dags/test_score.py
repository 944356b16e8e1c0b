"""Scoring by each new champion: the DAG follows the champion's asset, and its words come from the config alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

from dags import assets
from dags.commands import RETRY_POLICY, StepFailed, TryLater
from dags.score import Score, newest_version
from pipeline.recipe.configs import Scoring
from tests.dags.conftest import Checkout, kept
from tests.dags.task_run import dag_run, execute

SCORE = {"input": "new/pictures", "output": "scores"}


def event(extra: dict[str, Any] | None, hour: int = 1, name: str = "one") -> Any:
    """An event of a champion, as a DAG run that it has started gets it."""
    asset = SimpleNamespace(name=f"{name}_champion", uri=f"ratchet://{name}/champion")
    return SimpleNamespace(
        asset=asset, extra=extra, timestamp=datetime(2026, 11, 30, hour, tzinfo=UTC), source_aliases=[]
    )


def called(said: list[str]) -> list[str]:
    """The words after `python -m pipeline`, as the stand-in has got them: one line."""
    [line] = [line for line in said if line.startswith("called: ")]
    return line.removeprefix("called: -m pipeline ").split(" ")


def run(*events: Any, conf: dict[str, Any] | None = None, source: str = SCORE["input"]) -> None:
    scoring = Scoring(input=source, output=SCORE["output"])
    task = Score(task_id="score", config="one", model="one", scoring=scoring)
    context = {
        "dag_run": dag_run(dag_id="score_one", conf=conf or {}),
        "params": conf or {},
        "triggering_asset_events": TriggeringAssetEventsAccessor.build(events),
    }
    execute(task, context)


def test_a_config_that_says_what_is_scored_has_a_dag_that_follows_its_champion(checkout: Checkout) -> None:
    checkout.config("one", score=SCORE, tags=["pictures"], owner="ann")
    checkout.config("two")
    bag = checkout.bag()
    assert bag.import_errors == {}
    assert [name for name in bag.dags if name.startswith("score_")] == ["score_one"]
    dag = bag.dags["score_one"]
    assert [asset.uri for asset in kept(dag).timetable.asset_condition.objects] == [assets.champion("one").uri]
    assert dag.tags == {"pictures", "ratchet"}
    assert (dag.owner, dag.max_active_runs, dag.catchup) == ("ann", 1, False)
    assert dag.params == {}


def test_its_one_task_is_tried_again_where_that_can_help_and_changes_no_asset(checkout: Checkout) -> None:
    checkout.config("one", score=SCORE)
    [task] = checkout.dag("score_one").tasks
    assert (task.task_id, task.retries) == ("score", 2)
    assert task.retry_policy.serialize() == RETRY_POLICY.serialize()
    assert task.outlets == []


def test_the_champion_is_that_of_the_configs_model(checkout: Checkout) -> None:
    checkout.config("one", score=SCORE, recipe={"name": "another"})
    dag = checkout.dag("score_one")
    assert [asset.uri for asset in kept(dag).timetable.asset_condition.objects] == [assets.champion("another").uri]


@pytest.mark.parametrize(
    "score",
    [{"input": "new"}, {"input": "", "output": "scores"}, {**SCORE, "model": "one"}, {**SCORE, "output": "a\nb"}],
    ids=["no output", "no input", "an unknown key", "a line break"],
)
def test_what_is_no_scoring_is_told_by_its_key_and_makes_no_dag(checkout: Checkout, score: dict[str, str]) -> None:
    checkout.config("one", score=score)
    bag = checkout.bag()
    assert [name for name in bag.dags if name.endswith("_one")] == []
    [told] = bag.import_errors.values()
    assert "configs/one.yaml" in told
    assert "score" in told


def test_the_version_of_the_event_is_scored_by(project: Path, said: list[str]) -> None:
    run(event({"name": "one", "version": 7, "digest": "sha256:0a"}))
    assert called(said) == [
        *("score", "--config", "configs/one.yaml", "--model", "one@7", "--by-version", "--", "new/pictures", "scores")
    ]


def test_of_several_events_the_last_counts(project: Path, said: list[str]) -> None:
    run(event({"version": 9}, 3), event({"version": 8}, 2), event({"version": 7}, 1))
    assert "one@9" in called(said)


def test_a_run_that_was_asked_for_by_hand_scores_by_the_champion_of_now(project: Path, said: list[str]) -> None:
    run()
    assert called(said)[3:5] == ["--model", "one"]


@pytest.mark.parametrize("conf", [{"input": "/etc"}, {"version": "1; rm -rf /"}, {"model": "$(id)"}], ids=str)
def test_nothing_of_a_form_is_in_the_command(project: Path, said: list[str], conf: dict[str, Any]) -> None:
    run(event({"version": 7}), conf=conf)
    assert called(said)[-2:] == ["new/pictures", "scores"]
    assert not any(value in word for value in conf.values() for word in called(said))


@pytest.mark.parametrize("extra", [None, {}, {"version": "7; id"}, {"version": True}, {"version": 7.5}], ids=str)
def test_an_event_that_tells_of_no_version_is_none(extra: Any) -> None:
    assert newest_version([event(extra)]) is None
    assert newest_version([event({"version": 3}, 1), event(extra, 2)]) == 3


def test_an_event_of_another_model_does_not_count(project: Path, said: list[str]) -> None:
    run(event({"version": 7}, name="two"))
    assert "one" in called(said)


def test_a_path_that_looks_like_an_option_is_a_path(project: Path, said: list[str]) -> None:
    run(source="--served=elsewhere")
    words = called(said)
    assert words[words.index("--") + 1] == "--served=elsewhere"


@pytest.mark.parametrize(("code", "kind"), [(75, TryLater), (65, StepFailed)])
def test_a_failure_is_told_in_its_line_and_tried_again_where_that_can_help(
    project: Path, answer: Any, code: int, kind: type[Exception]
) -> None:
    answer(says="ratchet: scores: why", leaves_with=code)
    with pytest.raises(kind, match="scores: why"):
        run()
