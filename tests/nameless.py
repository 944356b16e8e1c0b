"""Commands as a user of whom the system knows nothing: no name, no home."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

UID = 12345
_AS_NAMELESS = ["unshare", "--user", f"--map-user={UID}", f"--map-group={UID}", "--"]
_TELLING = {"HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"}


def call_nameless(command: Sequence[str], folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user id without an entry in the list of users, and without variables that tell of a user.

    It still may do what the user of this process may: only the number is another (user_namespaces(7)). Skips the test
    where the kernel does not lend such a namespace.
    """
    try:
        can = subprocess.run([*_AS_NAMELESS, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        can = False
    if not can:
        pytest.skip("this machine lends no user namespace")
    environment = {name: value for name, value in os.environ.items() if name not in _TELLING}
    return subprocess.run(
        [*_AS_NAMELESS, *command],
        cwd=folder,
        env={**environment, **changes},
        capture_output=True,
        text=True,
        check=False,
    )
