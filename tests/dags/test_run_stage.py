"""A stage's task: it tells what happened, and makes known what the stage has made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from dags import assets
from pipeline.records.run import RunRecord, State
from pipeline.runs import history
from tests.dags.task_run import PLACE, RUN, context, execute, record, stage_task
from tests.dags.written import FIGURES, manifest, metrics, registration


def test_a_stage_tells_what_happened(project: Path, said: list[str], answer: Callable[..., None]) -> None:
    answer({f"{PLACE}/.ratchet/rows/train.json": {"name": "train", "what": "8 epochs, accuracy 0.91"}})
    asked = context()
    assert execute(stage_task("train"), asked) == "8 epochs, accuracy 0.91"
    assert said[0] == f"called: -m pipeline runs stage {RUN} train"
    assert len(asked["outlet_events"]) == 0


@pytest.mark.parametrize(("state", "opened"), [("failed", 1), ("success", 1), ("running", 0)])
def test_a_stage_of_a_run_that_is_over_opens_it_first_so_that_what_the_run_has_left_stays(
    project: Path, said: list[str], answer: Callable[..., None], state: State, opened: int
) -> None:
    history.write(project, RunRecord(**record(state=state)))
    answer({f"{PLACE}/.ratchet/rows/train.json": {"what": "8 epochs"}})
    execute(stage_task("train"), context())
    calls = [line for line in said if line.startswith("called: ")]
    opening = f"called: -m pipeline runs open {project}/runs/{RUN}/request.json"
    assert calls == [*[opening] * opened, f"called: -m pipeline runs stage {RUN} train"]


def test_prepared_data_is_made_known_with_its_rows_and_version(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    answer(
        {
            f"{PLACE}/.ratchet/rows/check_prepared.json": {"what": "holds"},
            f"{PLACE}/data/prepared/train/manifest.json": manifest(90),
            f"{PLACE}/data/prepared/test/manifest.json": manifest(10),
            f"{PLACE}/data/prepared/statistics.json": {},
        }
    )
    asked = context()
    execute(stage_task("check_prepared", asset="prepared"), asked)
    assert asked["outlet_events"][assets.prepared("one")].extra == {
        "rows": {"train": 90, "test": 10},
        "version": {"train": manifest(90)["digest"], "test": manifest(10)["digest"]},
        "run": RUN,
    }


def test_a_new_champion_is_made_known_with_its_version_and_figures(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    champion = {"name": "one", "version": 3, "digest": "sha256:c"}
    answer(
        {
            f"{PLACE}/.ratchet/rows/register.json": {"what": "one v3 is champion"},
            f"{PLACE}/reports/registration.json": registration("promoted"),
            f"{PLACE}/reports/metrics.json": metrics(),
        }
    )
    asked = context()
    assert execute(stage_task("register", asset="champion"), asked) == "one v3 is champion"
    extra = asked["outlet_events"][assets.champion("one")].extra
    assert extra == {**champion, "metrics": FIGURES, "run": RUN}


def test_a_champion_of_a_graph_that_measures_nothing_is_made_known_without_figures(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    graph = project / PLACE / "dvc.yaml"
    graph.write_text(graph.read_text().replace("metrics: reports/metrics.json, ", ""))
    answer(
        {
            f"{PLACE}/.ratchet/rows/register.json": {"what": "one v3 is champion"},
            f"{PLACE}/reports/registration.json": registration("promoted"),
        }
    )
    asked = context()
    execute(stage_task("register", asset="champion"), asked)
    assert asked["outlet_events"][assets.champion("one")].extra["metrics"] == {}


def test_a_registration_that_stands_elsewhere_is_found_there(
    project: Path, said: list[str], answer: Callable[..., None]
) -> None:
    graph = project / PLACE / "dvc.yaml"
    graph.write_text(graph.read_text().replace("reports/registration.json", "reports/published.json"))
    answer(
        {
            f"{PLACE}/.ratchet/rows/register.json": {"what": "kept"},
            f"{PLACE}/reports/published.json": registration("refused", "accuracy 0.8 < 0.85"),
        }
    )
    with pytest.raises(AirflowSkipException, match=r"accuracy 0\.8 < 0\.85"):
        execute(stage_task("register", asset="champion"), context())


def test_a_champion_that_stays_is_no_news(project: Path, said: list[str], answer: Callable[..., None]) -> None:
    answer(
        {
            f"{PLACE}/.ratchet/rows/register.json": {"what": "kept"},
            f"{PLACE}/reports/registration.json": registration("refused", "accuracy 0.8 < 0.85"),
        }
    )
    with pytest.raises(AirflowSkipException, match=r"accuracy 0\.8 < 0\.85"):
        execute(stage_task("register", asset="champion"), context())
