"""Stage champion: brings the models that the candidate is compared with from the registry into the graph."""

from __future__ import annotations

from pipeline.models import stored
from pipeline.registry.challenge import challenge
from pipeline.registry.champion import write_anchor, write_champion
from pipeline.registry.reader import champion_of, open_reader
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder


def run(stage: StageContext) -> str:
    """Publish `models/champion` and `models/anchor`; return in words which versions the candidate is compared with."""
    candidate, name = stored.digest(stage.dep("models/candidate")), stage.param("name", str)
    store = stage.store()
    reader = open_reader(store)
    met = challenge(reader, name, champion_of(reader, name), candidate)
    with published_folder(stage.out("models/champion")) as folder:
        champion = write_champion(folder, store, reader, met)
    with published_folder(stage.out("models/anchor")) as folder:
        anchor = write_anchor(folder, store, reader, met)
    if champion.problem or anchor.problem:
        return str(champion.problem or anchor.problem)
    if champion.identity is None or anchor.identity is None:
        return "no champion yet: this is the first model"
    held = f"held to the anchor v{anchor.identity.version}"
    return f"compared with {champion.identity.name} v{champion.identity.version}, {held}"
