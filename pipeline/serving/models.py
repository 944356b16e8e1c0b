"""Which model is served: the one that a folder, or its pointer, names; taken only once it is proven.

A followed folder has one folder a version, and the file `current`, which names one of them; the follower replaces that
file atomically. A model that cannot be taken changes nothing: the last good one stays, and it is said why. Its name is
kept beside the pointer, in `last_good`, so that it stays over a restart too. A challenger is a folder that is named, or
the one that the pointer `challenger` names; it is loaded once the champion answers.
"""

from __future__ import annotations

import asyncio
import gc
import math
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import RatchetError, StorageError, TryAgain
from pipeline.records.following import FOLLOWER_FILE, Following
from pipeline.records.served_model import SERVED_FILE
from pipeline.serving.challenger import Challenger, Loading
from pipeline.serving.log import Log
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel, load, why_not_taken
from pipeline.serving.pointers import CHALLENGER_POINTER, LAST_GOOD, POINTER, pointed_to
from pipeline.storage.artifacts import write_file
from pipeline.storage.record_files import read_record

LOOK_EVERY_S = 0.5
_AGAIN_S = 30.0  # after which there may be memory for a model, if none is served


class RefusedModel(NamedTuple):
    """A model that was not taken: the name of its folder, and why in one line without paths."""

    folder: str
    why: str


class Models:
    """The model that is served, the one that was to be but is refused, and the one beside it.

    `challenger` is a served folder; or True: the one that a followed folder's pointer names, if it does.
    """

    def __init__(
        self, folder: Path, metrics: Metrics, log: Log, loading: Loading = load, challenger: Path | bool = False
    ) -> None:
        self._folder, self._metrics, self._log, self._loading = folder, metrics, log, loading
        self.current: LoadedModel | None = None
        self.refused: RefusedModel | None = None
        self.challenger = Challenger(metrics, log, loading)
        self._wanted_challenger = challenger
        self.following: Following | None = None
        self._seen: str | None = None
        self._again_at_s = math.inf  # of the monotonic clock

    @property
    def is_followed(self) -> bool:
        """Whether the folder has versions and a pointer, now or to come, and is no served folder itself."""
        return not (self._folder / SERVED_FILE).is_file()

    def open(self) -> None:
        """Load the first model. Of a followed folder a refused or missing one is no error: there may be another yet."""
        if not self.is_followed:
            self._take(self._loading(self._folder))
            return
        self._again_at_s = math.inf
        name = self._seen = pointed_to(self._folder, POINTER)
        if name is not None:
            self._try(name)
        good = pointed_to(self._folder, LAST_GOOD)
        if self.current is None and good not in (None, name):
            assert good is not None
            refused = self.refused
            self._try(good)
            self.refused = refused
            if refused is not None:
                self._metrics.refuses()

    def look(self) -> None:
        """Take the model that the pointer names if that is another one than at the last look; then the challenger.

        If none is served for want of memory, which others may have taken, try again from time to time.
        """
        if self._is_again:
            self.open()
        elif (name := self._next()) is not None:
            self._seen = name
            self._try(name)
            gc.collect()  # a model that was let go is held by cycles until then
        self.challenger.look(self._challenger_folder(), self.current)

    async def follow(self) -> None:
        """Look again and again, beside the event loop; never ends by itself."""
        while True:
            self.following = self._followed()
            if (
                self._is_again
                or self._next() is not None
                or self.challenger.is_new(self._challenger_folder(), self.current)
            ):
                await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def has_challenger(self) -> bool:
        """Whether a challenger is wanted."""
        return self._wanted_challenger is not False

    @property
    def may_answer(self) -> bool:
        """Whether the challenger's answers may be given to whoever asks for the champion.

        Of a folder that a person has named, yes; of a version that the follower has brought, if the follower says so.
        """
        if isinstance(self._wanted_challenger, Path):
            return True
        taken, said = self.challenger.taken, self.following.challenger if self.following else None
        return taken is not None and said is not None and said.may_answer and said.version == taken.model.served.version

    @property
    def why_no_challenger(self) -> str:
        """Why there is no challenger, or why it answers nobody who asks for the champion; "" if it does."""
        if self.challenger.taken is not None:
            return "" if self.may_answer else "the gate has not let it pass, so it answers only who addresses it"
        if not self.has_challenger:
            return "none is asked for (`--challenger`)"
        said = self.following.challenger if self.following else None
        return (said.why if said else "") or self.challenger.why or "none has come yet"

    @property
    def _is_again(self) -> bool:
        return self.current is None and time.monotonic() >= self._again_at_s

    def _next(self) -> str | None:
        """Return the folder that the pointer names, if that is another one than at the last look."""
        name = pointed_to(self._folder, POINTER) if self.is_followed else None
        return None if name == self._seen else name

    def _challenger_folder(self) -> Path | None:
        if isinstance(self._wanted_challenger, Path):
            return self._wanted_challenger
        name = pointed_to(self._folder, CHALLENGER_POINTER) if self._wanted_challenger and self.is_followed else None
        return self._folder / name if name else None

    def _followed(self) -> Following | None:
        """Return what the follower found at its last look, if there is one."""
        with suppress(RatchetError):  # none yet, or not whole any more: then nothing is known of it
            return read_record(self._folder / FOLLOWER_FILE, Following)
        return None

    def _try(self, name: str) -> None:
        folder = self._folder / name
        try:
            model = self._loaded(folder)
        except Exception as error:  # noqa: BLE001 - whatever a folder raises, the last good model stays
            why = why_not_taken(error, folder, self._folder)
            if isinstance(error, TryAgain):
                self._again_at_s = time.monotonic() + _AGAIN_S
            self._metrics.refuses()
            self.refused = RefusedModel(name, why)
            self._log("model refused", folder=name, why=why, served=self._served())
            return
        self._take(model)
        with_name = f"{name}\n".encode()
        try:
            write_file(self._folder / LAST_GOOD, with_name)
        except StorageError as error:
            self._log("last good model not noted", why=str(error))

    def _loaded(self, folder: Path) -> LoadedModel:
        try:
            return self._loading(folder)
        except TryAgain:  # there is no room for it beside what is loaded: no challenger is to keep a champion out
            if not self.challenger.make_room():
                raise
        return self._loading(folder)

    def _take(self, model: LoadedModel) -> None:
        self._metrics.serves(model, is_swap=self.current is not None)
        self.current, self.refused = model, None
        self._log("model taken", **self._served(), engine=model.engine_name)

    def _served(self) -> dict[str, str | int | None]:
        served = self.current.served if self.current else None
        return {"name": served.name, "version": served.version, "digest": served.digest} if served else {}
