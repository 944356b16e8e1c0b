"""Where a model comes from, as digests: what is kept in the tags of its version."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pipeline import artifacts
from pipeline.params import Recipe, parse_yaml
from pipeline.registry.records import NOBODY, PREFIX

_LOCK_FILE = "dvc.lock"
_REQUIREMENTS_FILE = "requirements/pipeline.txt"


def lineage_tags(root: Path, recipe: Recipe, data: Path, *, stage: str) -> dict[str, str]:
    """Return the tags that say which recipe, data, code and set-up a model came from; `none` where there is none.

    `stage` is the one that asks: its own entry in `dvc.lock` is left out, for DVC writes it only once it is done.
    `data` is the folder that holds the prepared parts.
    """
    commit, is_dirty = _git_state(root)
    values = {
        "recipe_digest": artifacts.digest_json(recipe.model_dump(mode="json")),
        "data_digest": _data_digest(data),
        "dvc_lock_digest": _lock_digest(root / _LOCK_FILE, stage),
        "requirements_digest": _file_digest(root / _REQUIREMENTS_FILE),
        "git_commit": commit,
        "git_dirty": is_dirty,
    }
    return {PREFIX + key: value for key, value in values.items()}


def _data_digest(data: Path) -> str:
    parts = sorted(path.parent for path in data.glob(f"*/{artifacts.MANIFEST_NAME}"))
    if not parts:
        return NOBODY
    return artifacts.digest_json({part.name: artifacts.read_manifest(part, verify=False).digest for part in parts})


def _lock_digest(path: Path, stage: str) -> str:
    """Digest the entries of all stages but one, so that it is the same however the graph is driven."""
    if not path.is_file():
        return NOBODY
    stages = parse_yaml(path).get("stages", {})
    return artifacts.digest_json({name: entry for name, entry in stages.items() if name != stage})


def _file_digest(path: Path) -> str:
    return artifacts.digest_file(path) if path.is_file() else NOBODY


def _git_state(root: Path) -> tuple[str, str]:
    """Return the commit and whether tracked files differ from it; DVC's lock is the run's own and does not count."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return NOBODY, NOBODY
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", f":(exclude){_LOCK_FILE}")
    return commit, "true" if changes else "false"


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None  # no git on this machine
    return done.stdout.strip() if done.returncode == 0 else None
