"""DVC's configuration in a run's workspace: the one that holds in the user's folder, but without git.

DVC is asked, and its files are not parsed: it merges four levels and resolves paths by rules of its own. The answer may
hold credentials, so it is written for its owner alone, and is no part of a photograph.
"""

from __future__ import annotations

import os
from pathlib import Path

SITE_CACHE = Path(".ratchet") / "dvc"  # else every workspace would leave a folder among the system's temporary files


def write(workspace: Path, home: Path) -> None:
    """Write a workspace's `.dvc/config.local`: what DVC says of the folder `home`. Raises ConfigError as DVC does."""
    from configobj import ConfigObj
    from dvc.config import Config, _pack_named, merge

    theirs = Config(str(home / ".dvc"))
    values = theirs.load_config_to_level()
    own = {
        "core": {"no_scm": True, "site_cache_dir": str(workspace / SITE_CACHE)},
        "cache": {"dir": str(theirs["cache"].get("dir") or home / ".dvc" / "cache")},
    }
    merge(values, own)
    folder = workspace / ".dvc"
    folder.mkdir(exist_ok=True)
    path = folder / "config.local"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    # Not by `Config.edit`, which cannot write a path that is not ASCII, though DVC reads it.
    packed = ConfigObj(_pack_named(Config._save_paths(values, str(path))), encoding="utf-8")  # noqa: SLF001
    with path.open("wb") as stream:
        packed.write(stream)
