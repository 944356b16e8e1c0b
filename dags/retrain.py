"""One DAG per file in configs/: `retrain_<config>`, its tasks and edges computed from dvc.yaml."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.sdk import DAG, Param, TaskGroup, get_parsing_context  # noqa: E402

from dags import assets, derive, form  # noqa: E402
from dags.notify import TellFailure, TellVerdict  # noqa: E402
from dags.tasks import APPROVE, CLOSE, OPEN, CloseRun, OpenRun, RunStage  # noqa: E402
from pipeline.configs import Config, load_config  # noqa: E402
from pipeline.errors import RatchetError, UsageError  # noqa: E402
from pipeline.graph import GRAPH_FILE, PARAMS_FILE, parse_graph  # noqa: E402
from pipeline.params import merge, parse_yaml  # noqa: E402

_START = datetime(2026, 1, 1, tzinfo=UTC)
_RUNS_AT_ONCE = 4


class BrokenConfigs(DAG):
    """Holds what is wrong with the configs that make no DAG: Airflow shows it as this file's import error."""

    problems: tuple[str, ...] = ()

    def validate(self) -> None:
        """Refuse to be loaded, and say why."""
        raise UsageError(" | ".join(self.problems))


def build(path: Path, shipped: dict[str, Any], declared: dict[str, Any]) -> DAG:
    """Make the DAG of one config on top of `params.yaml` and `dvc.yaml`, both as plain values.

    Raises UsageError or StorageError naming the file and the key.
    """
    name = path.stem
    where = str(path.relative_to(ROOT))
    config = load_config(path)
    values = merge(shipped, config.recipe)
    recipe = form.recipe_of(values, where)
    specs = derive.task_specs(parse_graph(declared, values))
    try:
        dag = DAG(
            f"retrain_{name}",
            schedule=_schedule(name, config),
            start_date=_START,
            catchup=False,
            max_active_runs=_RUNS_AT_ONCE,
            description=config.description,
            doc_md=_document(name, config, specs),
            tags=[*config.tags, "ratchet"],
            default_args={"owner": config.owner, "on_failure_callback": TellFailure()},
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error
    opening = OpenRun(task_id=OPEN, dag=dag, config=where, retries=2, doc_md="makes the run's worktree").as_setup()
    closing = CloseRun(
        task_id=CLOSE,
        dag=dag,
        config=name,
        retries=2,
        on_success_callback=TellVerdict(str(ROOT)),
        doc_md="keeps the reports, removes the worktree",
    ).as_teardown(setups=opening)
    boxes = {
        group: TaskGroup(group, dag=dag, prefix_group_id=False, default_args=dag.default_args)
        for group in derive.groups(specs)
    }
    tasks: dict[str, Any] = {}
    for spec in specs:
        task = RunStage(spec=spec, config=name, model=recipe.name, dag=dag, task_group=boxes[spec.group])
        tasks[spec.stage] = task
        parents = [tasks[parent] for parent in spec.parents] or [opening]
        if spec.asset == "champion" and config.approval:
            asking = _approval(config, recipe.name, spec, dag, boxes[spec.group])
            parents >> asking
            asking >> task
        else:
            parents >> task
    # Last, because every operator copies the form that it finds; added, because the recipe's types have checked it.
    dag.params.update(
        {
            key: Param(field.default, description=field.description, **field.schema)
            for key, field in form.fields(recipe).items()
        }
    )
    last = [task for task in tasks.values() if not task.downstream_task_ids]
    last >> closing
    return dag


def _schedule(name: str, config: Config) -> Any:
    if config.watch is None:
        return config.schedule
    updated = assets.source(name)
    if config.schedule is None:
        return [updated]
    from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable

    timetable = CronTriggerTimetable(config.schedule, timezone="UTC")
    return AssetOrTimeSchedule(timetable=timetable, assets=updated)


def _approval(config: Config, model: str, spec: derive.TaskSpec, dag: DAG, box: TaskGroup) -> Any:
    from dags.approval import Approve

    assert config.approval is not None
    return Approve(
        task_id=APPROVE,
        dag=dag,
        task_group=box,
        subject=f"Publish the candidate of {model}?",
        body="\n\n".join(f"**{name}**: {{{{ ti.xcom_pull(task_ids='{name}') }}}}" for name in spec.parents),
        defaults="Reject",
        response_timeout=timedelta(hours=config.approval.deadline_hours),
        doc_md="asks a person; no answer within the deadline is a no",
    )


def _document(name: str, config: Config, specs: tuple[derive.TaskSpec, ...]) -> str:
    stages = "\n".join(f"| {spec.stage} | {spec.description} | {', '.join(spec.parents) or '–'} |" for spec in specs)
    approval = (
        f"A person approves each promotion; no answer within {config.approval.deadline_hours:g} h is a no.\n\n"
        if config.approval
        else ""
    )
    return (
        f"# {name}\n\n{config.description}\n\n"
        "Retrains the model, judges it, and publishes it only if it is at least as good as the one in use. "
        "A refused candidate is a normal outcome: the run is green and its note says why.\n\n"
        f"{approval}"
        "**Trigger** opens a form with every key of the recipe; what you change holds for that run alone.\n\n"
        "| stage | what it does | after |\n|---|---|---|\n"
        f"{stages}\n\n"
        "Each run's reports are under its tab *Report*, and are kept in `runs/<run id>/`.\n"
    )


def _build_all() -> dict[str, DAG]:
    built: dict[str, DAG] = {}
    problems = []
    shipped, declared = parse_yaml(ROOT / PARAMS_FILE), parse_yaml(ROOT / GRAPH_FILE)
    only = get_parsing_context().dag_id  # a worker that runs one task needs one DAG
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        if only not in (None, f"retrain_{path.stem}"):
            continue
        try:
            if not path.stem.isidentifier():
                raise UsageError(f"{path.relative_to(ROOT)}: a config's name is made of letters, digits and '_'")
            built[path.stem] = build(path, shipped, declared)
        except RatchetError as error:
            problems.append(str(error).replace(f"{ROOT}/", ""))
    if problems:
        broken = BrokenConfigs("retrain_broken_configs", schedule=None)
        broken.problems = tuple(problems)
        built["broken configs"] = broken
    return built


globals().update({f"dag_{index}": dag for index, dag in enumerate(_build_all().values())})
