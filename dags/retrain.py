"""One DAG per file in configs/: `retrain_<config>`, its tasks and edges computed from dvc.yaml."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.sdk import DAG, AssetOrTimeSchedule, Param, TaskGroup, TriggerRule, get_parsing_context  # noqa: E402
from airflow.sdk.exceptions import AirflowException  # noqa: E402

from dags import assets, derive, form  # noqa: E402
from dags.derive import APPROVE, CHAMPION, CLOSE, OPEN  # noqa: E402
from dags.notify import NotifyFailure, NotifyVerdict  # noqa: E402
from dags.schedules import cron  # noqa: E402
from dags.tasks import CloseRun, OpenRun, RunStage  # noqa: E402
from pipeline.errors import RatchetError, UsageError  # noqa: E402
from pipeline.graph import GRAPH_FILE, Graph, parse_graph  # noqa: E402
from pipeline.recipe.configs import Config, competing, config_files, load_config, passed_over  # noqa: E402
from pipeline.recipe.layers import Layers  # noqa: E402
from pipeline.recipe.recipe import PARAMS_FILE, Recipe  # noqa: E402
from pipeline.recipe.resolving import checked  # noqa: E402
from pipeline.recipe.strict_yaml import parse_yaml  # noqa: E402


def build(path: Path, shipped: dict[str, Any], declared: dict[str, Any], below: Recipe) -> DAG:
    """Build the DAG of one config on top of `params.yaml` and `dvc.yaml`, both as plain values; `below` is the former.

    Raises UsageError or StorageError naming the file and the key.
    """
    where = str(path.relative_to(ROOT))
    if not path.stem.isidentifier():
        raise UsageError(f"{where}: a config's name is made of letters, digits and '_'")
    config = load_config(path)
    layers = Layers.of(shipped, PARAMS_FILE).overlaid(config.recipe, where)
    recipe = checked(layers.values, layers.where) if config.recipe else below
    graph = parse_graph(declared, layers.values)
    specs = derive.task_specs(graph)
    if config.approval:
        _check_approval(where, graph, specs)
    try:
        return _dag(path.stem, where, config, recipe, specs)
    except (TypeError, ValueError, AirflowException) as error:  # what only Airflow itself checks
        raise UsageError(f"{where}: {error}") from error


def _dag(name: str, where: str, config: Config, recipe: Recipe, specs: tuple[derive.TaskSpec, ...]) -> DAG:
    dag = DAG(
        f"retrain_{name}",
        schedule=_schedule(name, where, config),
        catchup=False,
        description=config.description,
        doc_md=_document(name, config, recipe, specs),
        tags=[*config.tags, *_times(config), "ratchet"],
        default_args={"owner": config.owner, "on_failure_callback": NotifyFailure()},
    )
    opening = OpenRun(task_id=OPEN, dag=dag, config=where, retries=2, doc_md="makes the run's workspace").as_setup()
    closing = CloseRun(
        task_id=CLOSE,
        dag=dag,
        config=name,
        skippable=derive.publishing(specs),
        retries=2,
        on_success_callback=NotifyVerdict(str(ROOT)),
        doc_md="keeps the reports, removes the workspace",
    ).as_teardown(setups=opening, on_failure_fail_dagrun=True)
    closing.trigger_rule = TriggerRule.ALL_DONE  # a run marked as failed before it was opened must not end green
    boxes = {
        group: TaskGroup(group, dag=dag, prefix_group_id=False, default_args=dag.default_args)
        for group in derive.groups(specs)
    }
    tasks: dict[str, Any] = {}
    for spec in specs:
        task = RunStage(spec=spec, config=name, model=recipe.name, dag=dag, task_group=boxes[spec.group])
        tasks[spec.stage] = task
        parents = [tasks[parent] for parent in spec.parents] or [opening]
        if spec.asset == CHAMPION and config.approval:
            asking = _approval(config, recipe.name, spec, dag, boxes[spec.group])
            parents >> asking
            asking >> task
        else:
            parents >> task
    # Last, because every operator copies the params it finds; by update, because the recipe's types have checked them.
    dag.params.update(
        {
            key: Param(field.default, description=field.description, **field.schema)
            for key, field in form.fields(recipe).items()
        }
    )
    last = [task for task in tasks.values() if not task.downstream_task_ids]
    last >> closing
    dag.validate()
    return dag


def _check_approval(where: str, graph: Graph, specs: tuple[derive.TaskSpec, ...]) -> None:
    """Raise UsageError unless there is something to approve, and something that waits for it."""
    if not any(spec.asset == CHAMPION for spec in specs):
        raise UsageError(f"{where}: approval: nothing waits for it: no stage of {GRAPH_FILE} has `asset: {CHAMPION}`")
    try:
        graph.artifact("verdict")
    except UsageError as error:
        raise UsageError(f"{where}: approval: {error}") from error


def _schedule(name: str, where: str, config: Config) -> Any:
    timetable = cron(config.schedule, f"{where}: schedule") if config.schedule is not None else None
    if config.watch is None:
        return timetable
    updated = assets.source(name)
    return AssetOrTimeSchedule(timetable=timetable, assets=updated) if timetable else [updated]


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
        retries=1,  # asked again if Airflow itself loses the question
        response_timeout=timedelta(hours=config.approval.deadline_hours),
        doc_md="asks a person; no answer within the deadline is a no",
    )


def _times(config: Config) -> list[str]:
    """Return the schedule as a label: where a DAG waits for an asset too, Airflow's list shows that and no cron."""
    return [f"{config.schedule} UTC"] if config.schedule and config.watch else []


def _document(name: str, config: Config, recipe: Recipe, specs: tuple[derive.TaskSpec, ...]) -> str:
    facts = {
        "model": f"`{recipe.name}`, in the registry",
        "source": f"`{recipe.data.path}`",
        "schedule": f"`{config.schedule}`, UTC" if config.schedule else "none: only when asked",
        "watch": f"`{config.watch}`, UTC: a run begins when the source has changed" if config.watch else "never",
        "config": f"`configs/{name}.yaml`",
    }
    about = "\n".join(f"| {what} | {text} |" for what, text in facts.items())
    stages = "\n".join(f"| {spec.stage} | {spec.description} | {', '.join(spec.parents) or '–'} |" for spec in specs)
    approval = (
        f"A person approves each promotion; no answer within {config.approval.deadline_hours:g} h is a no.\n\n"
        if config.approval
        else ""
    )
    return (
        f"# {name}\n\n{config.description}\n\n"
        f"| | |\n|---|---|\n{about}\n\n"
        "Retrains the model, judges it, and publishes it only if the gate lets it replace the one in use. "
        "A refused candidate is a normal outcome: the run is green and its note says why.\n\n"
        f"{approval}"
        "**Trigger** opens a form with every key of the recipe; what you change holds for that run alone.\n\n"
        "| stage | what it does | after |\n|---|---|---|\n"
        f"{stages}\n\n"
        "What came of each run is under the tab *Outcomes*, a run's reports under its tab *Report*, its version under "
        "*Registry*; all versions over time are under *Champions* in the menu.\n"
    )


def _build_all() -> tuple[list[DAG], list[str]]:
    """Return the DAGs, and what is wrong with the other configs: problems.py makes Airflow show it."""
    built: list[DAG] = []
    wrong: list[str] = []
    only = get_parsing_context().dag_id  # a worker that runs one task needs one DAG
    try:
        shipped, declared = parse_yaml(ROOT / PARAMS_FILE), parse_yaml(ROOT / GRAPH_FILE)
        recipe = checked(shipped, PARAMS_FILE)  # what is wrong for every config: once, and naming its own file
        derive.task_specs(parse_graph(declared, shipped))
        wrong += passed_over(ROOT)
        models: dict[str, str] = {}
        for path in config_files(ROOT):
            if only not in (None, f"retrain_{path.stem}"):
                continue
            try:
                built.append(build(path, shipped, declared, recipe))
            except RatchetError as error:
                wrong.append(_line(error))
            else:
                models[str(path.relative_to(ROOT))] = built[-1].params["name"]
        wrong += competing(models)
    except RatchetError as error:
        wrong.append(_line(error))
    return built, wrong


def _line(error: RatchetError) -> str:
    return str(error).replace(f"{ROOT}/", "")


_built, problems = _build_all()
globals().update({f"dag_{index}": dag for index, dag in enumerate(_built)})
