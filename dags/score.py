"""Scores by each new champion: `score_<config>` follows the champion's asset where a config says what is scored.

The words of the command come from the config's file and from the event's version, a number; a form has no part in them,
and no shell reads them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow.sdk import DAG  # noqa: E402

from dags import assets  # noqa: E402
from dags.commands import RatchetOperator  # noqa: E402
from pipeline.errors import RatchetError  # noqa: E402
from pipeline.recipe.configs import Config, Scoring, config_files, load_config  # noqa: E402
from pipeline.recipe.recipe import PARAMS_FILE  # noqa: E402
from pipeline.recipe.strict_yaml import parse_yaml  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import Context


class Score(RatchetOperator):
    """Scores a source by the champion that an event tells of; by the one of now, if the run was asked for by hand."""

    def __init__(self, *, config: str, model: str, scoring: Scoring, **arguments: Any) -> None:
        self.asset = assets.champion(model)
        super().__init__(**arguments)
        self.config, self.model = config, model
        self.source, self.target = scoring.input, scoring.output

    def execute(self, context: Context) -> None:
        """Run `ratchet score`; what it has finished when it is killed is not done again by the next try."""
        events = context["triggering_asset_events"]
        version = newest_version(events.get(self.asset, ()))
        which = self.model if version is None else f"{self.model}@{version}"
        named = ("--config", f"configs/{self.config}.yaml", "--model", which, "--by-version")
        self.call("score", *named, "--", self.source, self.target)


def newest_version(events: Iterable[Any]) -> int | None:
    """Return the version that the last of some events of a champion tells of; None if none does."""
    found = [(event.extra or {}).get("version") for event in sorted(events, key=lambda event: event.timestamp)]
    numbers = [number for number in found if isinstance(number, int) and not isinstance(number, bool)]
    return numbers[-1] if numbers else None


def _build_all() -> list[DAG]:
    """Return the DAGs; retrain.py reports whatever is wrong with a config."""
    built: list[DAG] = []
    try:
        own = parse_yaml(ROOT / PARAMS_FILE).get("name")
    except RatchetError:
        return built
    for path in config_files(ROOT):
        try:
            config = load_config(path)
            if config.score is not None and path.stem.isidentifier():
                model = config.recipe.get("name", own)
                built.append(_dag(path.stem, str(model), config, config.score))
        except (RatchetError, ValueError):
            continue
    return built


def _dag(name: str, model: str, config: Config, scoring: Scoring) -> DAG:
    dag = DAG(
        f"score_{name}",
        schedule=[assets.champion(model)],
        catchup=False,
        max_active_runs=1,
        description=f"scores {scoring.input} into {scoring.output} when {model} has a new champion",
        tags=[*config.tags, "ratchet"],
        default_args={"owner": config.owner},
    )
    Score(
        task_id="score",
        config=name,
        model=model,
        scoring=scoring,
        retries=2,
        doc_md="asks the new champion about every row; each version's answers have a folder of their own",
        dag=dag,
    )
    return dag


globals().update({f"dag_{index}": dag for index, dag in enumerate(_build_all())})
