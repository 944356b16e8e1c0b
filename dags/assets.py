"""The assets: the sources of data and the results of runs. Other DAGs can be scheduled on each of them."""

from __future__ import annotations

from airflow.sdk import Asset


def source(config: str) -> Asset:
    """Return the asset of a config's source: updated by `watch_<config>` when the source has really changed."""
    return Asset(name=f"{config}_source", uri=f"ratchet://{config}/source", group="ratchet")


def prepared(config: str) -> Asset:
    """Return the asset of a config's prepared data that have passed their contract."""
    return Asset(name=f"{config}_prepared", uri=f"ratchet://{config}/prepared", group="ratchet")


def candidate(config: str) -> Asset:
    """Return the asset of a config's candidates: one event per verdict, passed or refused."""
    return Asset(name=f"{config}_candidate", uri=f"ratchet://{config}/candidate", group="ratchet")


def champion(model: str) -> Asset:
    """Return the asset of a registered model's champion: updated when another version takes its place."""
    return Asset(name=f"{model}_champion", uri=f"ratchet://{model}/champion", group="ratchet")
