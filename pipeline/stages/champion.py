"""Stage champion: brings the model in use, the one this candidate has to meet, out of the registry into the graph."""

from __future__ import annotations

from pipeline import artifacts
from pipeline.models import stored
from pipeline.registry.champion import champion_to_meet, write_champion
from pipeline.registry.peek import open_reader
from pipeline.registry.store import resolve_store
from pipeline.stages.context import StageContext


def run(stage: StageContext) -> str:
    """Publish `models/champion`; return whom the candidate has to meet, in words."""
    candidate = stored.digest(stage.dep("models/candidate"))
    store = resolve_store(stage.root, stage.execution.mlflow)
    reader = open_reader(store)
    to_meet = champion_to_meet(reader, stage.param("name", str), candidate)
    with artifacts.published_folder(stage.out("models/champion")) as folder:
        written = write_champion(folder, store, reader, to_meet)
    if written.champion is None:
        return "no champion yet: this is the first model"
    return written.problem or f"{written.champion.name} v{written.champion.version} is to be met"
