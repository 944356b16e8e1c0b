"""Stage champion: brings the champion that the candidate is compared with from the registry into the graph."""

from __future__ import annotations

from pipeline.models import stored
from pipeline.registry.champion import write_champion
from pipeline.registry.decision import champion_to_challenge
from pipeline.registry.reader import open_reader
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import published_folder


def run(stage: StageContext) -> str:
    """Publish `models/champion`; return in words which version the candidate is compared with."""
    candidate = stored.digest(stage.dep("models/candidate"))
    store = stage.store()
    reader = open_reader(store)
    champion = champion_to_challenge(reader, stage.param("name", str), candidate)
    with published_folder(stage.out("models/champion")) as folder:
        written = write_champion(folder, store, reader, champion)
    if written.identity is None:
        return "no champion yet: this is the first model"
    return written.problem or f"compared with {written.identity.name} v{written.identity.version}"
