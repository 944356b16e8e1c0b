"""The peak learning rate to the end. Recipe: `train: {schedule: constant}`."""

from __future__ import annotations

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """It has no settings."""


def share(settings: Settings, step: int, steps: int) -> float:  # noqa: ARG001 - as every schedule is called
    """Return the share of the peak learning rate at step `step` of the `steps` after the warm-up."""
    return 1.0
