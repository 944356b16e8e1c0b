"""The model that is asked beside the champion: taken only if it is proven, and takes and gives what the champion does.

Whatever becomes of it, the champion goes on alone, and it is said why.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pipeline.records.served_model import ServedModel
from pipeline.serving.log import Log
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel, why_not_taken

Loading = Callable[[Path], LoadedModel]


class Beside(NamedTuple):
    """A challenger, and the champion that it was held against when it was taken."""

    model: LoadedModel
    champion: LoadedModel


class Challenger:
    """The challenger of one service, if there is one; `why` says why there is none, "" if none is wanted."""

    def __init__(self, metrics: Metrics, log: Log, loading: Loading) -> None:
        self._metrics, self._log, self._loading = metrics, log, loading
        self.taken: Beside | None = None
        self.why = ""
        self._seen: tuple[Path | None, LoadedModel | None] = (None, None)

    def beside(self, champion: LoadedModel) -> LoadedModel | None:
        """Return the challenger of this champion."""
        taken = self.taken
        return taken.model if taken is not None and taken.champion is champion else None

    def is_new(self, folder: Path | None, champion: LoadedModel | None) -> bool:
        """Return whether there is anything to look at since the last time."""
        return folder != self._seen[0] or champion is not self._seen[1]

    def look(self, folder: Path | None, champion: LoadedModel | None) -> None:
        """Take the served folder's model beside a champion, or say why not. Without either there is no challenger."""
        if not self.is_new(folder, champion):
            return
        self._seen = (folder, champion)
        if folder is None or champion is None:
            self._leave("none is named")
            return
        model = self.taken.model if self.taken else None
        if model is None or model.folder != folder:
            self._leave("another one is named")
            try:
                model = self._loading(folder)
            except Exception as error:  # noqa: BLE001 - whatever a folder raises, the champion goes on alone
                self._refuse(folder, why_not_taken(error, folder, folder.parent))
                return
        if model.served.digest == champion.served.digest:
            self._leave("it is the champion")
        elif why := difference(champion.served, model.served):
            self._refuse(folder, why)
        else:
            self._take(Beside(model, champion))

    def make_room(self) -> bool:
        """Let the challenger go, since a champion needs its memory; return whether there was one.

        It is tried again at the next look.
        """
        if self.taken is None:
            return False
        self._leave("its memory is needed for the next champion")
        self._seen = (None, None)
        return True

    def _take(self, taken: Beside) -> None:
        is_another = self.taken is None or self.taken.model is not taken.model
        self.taken, self.why = taken, ""
        if is_another:
            served = taken.model.served
            self._metrics.challenged_by(taken.model)
            self._log("challenger taken", name=served.name, version=served.version, digest=served.digest)

    def _refuse(self, folder: Path, why: str) -> None:
        self._leave(why)
        self._metrics.refuses_challenger()
        self._log("challenger refused", folder=folder.name, why=why)

    def _leave(self, why: str) -> None:
        self.why = why
        self._metrics.challenged_by(None)
        if self.taken is not None:
            served = self.taken.model.served
            self.taken = None
            gc.collect()  # a model that was let go is held by cycles until then
            self._log("challenger ended", version=served.version, digest=served.digest, why=why)


def difference(champion: ServedModel, challenger: ServedModel) -> str:
    """Return why a challenger cannot be asked what a champion is asked and answer in its place; "" if it can."""
    if challenger.name != champion.name:
        return f"it is a version of {challenger.name}, the champion one of {champion.name}"
    if challenger.version == champion.version:
        return f"it has the champion's version number, {champion.version or 0}: no client could tell one from the other"
    own, other = ({each.name: each for each in served.inputs} for served in (challenger, champion))
    if odd := sorted(name for name in own.keys() | other.keys() if own.get(name) != other.get(name)):
        return f"it takes other features than the champion: {', '.join(odd)} differ"
    if (challenger.task, challenger.output) != (champion.task, champion.output):
        return f"it answers with {challenger.output} ({challenger.task}), the champion with {champion.output}"
    if challenger.classes != champion.classes:
        return "it answers other classes than the champion, or the same in another order"
    if challenger.unit != champion.unit:
        return f"it answers in '{challenger.unit}', the champion in '{champion.unit}'"
    return ""
