"""Which model is served: the one that a folder, or its pointer, names; taken only once it is proven.

A followed folder has one folder a version, and the file `current`, which names one of them; the follower replaces that
file atomically. A model that cannot be taken changes nothing: the last good one stays, and it is said why. Its name is
kept beside the pointer, in `last_good`, so that it stays over a restart too.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import RatchetError, StorageError, shortened
from pipeline.records.following import FOLLOWER_FILE, Following
from pipeline.records.served_model import SERVED_FILE
from pipeline.serving.log import Log
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel, load
from pipeline.serving.pointers import LAST_GOOD, POINTER, pointed_to
from pipeline.storage.artifacts import write_file
from pipeline.storage.record_files import read_record

LOOK_EVERY_S = 0.5
Loading = Callable[[Path], LoadedModel]


class RefusedModel(NamedTuple):
    """A model that was not taken: the name of its folder, and why in one line without paths."""

    folder: str
    why: str


class Models:
    """The model that is served, and the one that was to be but is refused."""

    def __init__(self, folder: Path, metrics: Metrics, log: Log, loading: Loading = load) -> None:
        self._folder, self._metrics, self._log, self._loading = folder, metrics, log, loading
        self.current: LoadedModel | None = None
        self.refused: RefusedModel | None = None
        self.following: Following | None = None
        self._seen: str | None = None

    @property
    def is_followed(self) -> bool:
        """Whether the folder has versions and a pointer, now or to come, and is no served folder itself."""
        return not (self._folder / SERVED_FILE).is_file()

    def open(self) -> None:
        """Load the first model. Of a followed folder a refused or missing one is no error: there may be another yet."""
        if not self.is_followed:
            self._take(self._loading(self._folder))
            return
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
        """Take the model that the pointer names if that is another one than at the last look."""
        name = pointed_to(self._folder, POINTER)
        if name is None or name == self._seen:
            return
        self._seen = name
        self._try(name)
        gc.collect()  # a model that was let go is held by cycles until then

    async def follow(self) -> None:
        """Look again and again, beside the event loop; never ends by itself."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.following = self._followed()
            if self.is_followed and pointed_to(self._folder, POINTER) not in (None, self._seen):
                await asyncio.to_thread(self.look)

    def _followed(self) -> Following | None:
        """Return what the follower found at its last look, if there is one."""
        with suppress(RatchetError):  # none yet, or not whole any more: then nothing is known of it
            return read_record(self._folder / FOLLOWER_FILE, Following)
        return None

    def _try(self, name: str) -> None:
        folder = self._folder / name
        try:
            model = self._loading(folder)
        except Exception as error:  # noqa: BLE001 - whatever a folder raises, the last good model stays
            why = str(error) if isinstance(error, RatchetError) else type(error).__name__
            why = shortened(why.replace(f"{folder}/", "").replace(f"{self._folder}/", ""))
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

    def _take(self, model: LoadedModel) -> None:
        self._metrics.serves(model, is_swap=self.current is not None)
        self.current, self.refused = model, None
        self._log("model taken", **self._served(), engine=model.engine_name)

    def _served(self) -> dict[str, str | int | None]:
        served = self.current.served if self.current else None
        return {"name": served.name, "version": served.version, "digest": served.digest} if served else {}
