"""Who answers a request: whom it addresses by version or label, else the champion, or for a share the challenger."""

from __future__ import annotations

from typing import Any

from pipeline.serving.model import LoadedModel
from pipeline.serving.models import Models
from pipeline.serving.refusals import NOT_FOUND, OVERLOADED, Refusal
from pipeline.serving.roles import ANSWER, CHALLENGER, CHAMPION, COPY, Chosen, Shares, is_drawn


class Choosing:
    """Chooses among the models of a service. `scope` is a request's, as ASGI has it."""

    def __init__(self, models: Models, shares: Shares) -> None:
        self._models, self._shares = models, shares

    def champion(self) -> LoadedModel:
        """Return the model that is served; raise Refusal if there is none yet."""
        if self._models.current is None:
            why = self._models.refused.why if self._models.refused else "none has come yet"
            raise Refusal(OVERLOADED, f"no model is served: {why}", {"retry-after": "5"})
        return self._models.current

    def versions(self) -> list[str]:
        """Return the versions that can be addressed, the champion's first."""
        beside = self._models.challenger.taken
        return [self.champion().version, *([beside.model.version] if beside else [])]

    def drawn(self, scope: Any) -> Chosen:
        """Return who answers a request that addresses nobody: for the canary's share the challenger."""
        champion = self.champion()
        challenger = self._models.challenger.beside(champion)
        if challenger is None or not self._models.may_answer:
            return Chosen(champion, CHAMPION)
        if not is_drawn(scope, challenger, ANSWER, self._shares.canary):
            return Chosen(champion, CHAMPION)
        return Chosen(challenger, CHALLENGER, champion)

    def addressed(self, scope: Any, name: str, version: str | None = None, label: str | None = None) -> Chosen:
        """Return who answers a request for a name, perhaps for a version or a label; raise Refusal as `named`."""
        named = self.named(name, version, label)
        return named if version is not None or label is not None else self.drawn(scope)

    def named(self, name: str, version: str | None = None, label: str | None = None) -> Chosen:
        """Return the model of a name, perhaps of a version or a label; raise Refusal if it is not served."""
        champion = self.champion()
        if name != champion.served.name:
            raise Refusal(NOT_FOUND, f"no model '{name:.80}' is served: '{champion.served.name}' is")
        beside = self._models.challenger.taken
        if beside is not None and (label == CHALLENGER or version == beside.model.version != champion.version):
            return Chosen(beside.model, CHALLENGER)
        if version is not None and version != champion.version:
            are = f"{champion.version} and {beside.model.version} are" if beside else f"{champion.version} is"
            raise Refusal(NOT_FOUND, f"version '{version:.20}' of {name} is not served: {are}")
        if label == CHALLENGER:
            raise Refusal(NOT_FOUND, f"no challenger is served: {self._models.why_no_challenger}")
        if label is not None and label != CHAMPION:
            raise Refusal(NOT_FOUND, f"no label '{label:.80}': {CHAMPION} and {CHALLENGER} are")
        return Chosen(champion, CHAMPION)

    def copied_to(self, scope: Any, champion: LoadedModel) -> LoadedModel | None:
        """Return who gets a copy of a request that this champion has answered, if anybody does."""
        challenger = self._models.challenger.beside(champion)
        is_copied = challenger is not None and is_drawn(scope, challenger, COPY, self._shares.shadow)
        return challenger if is_copied else None
