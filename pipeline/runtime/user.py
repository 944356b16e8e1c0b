"""The user of this process, for libraries that insist on a name and a home.

A container may run as any user id, also as one that the system knows nothing about: without a name, without a home. DVC
then fails to name its cache; it, MLflow and Great Expectations to look for their settings; Java to start Spark.
"""

from __future__ import annotations

import getpass
import os
import pwd
from collections.abc import Mapping
from pathlib import Path


def is_known_to_the_system() -> bool:
    """Return whether the user id has an entry in the system's list of users; a JVM asks for nothing else."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True


def name() -> str:
    """Return the name of the user: what the environment or the system says, else one made of the user id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return f"uid-{os.getuid()}"


def missing_variables(environment: Mapping[str, str], spare: Path) -> dict[str, str]:
    """Return the variables that a process needs besides its `environment`; none for a user with a name and a home.

    `spare` is a folder, not necessarily there, to be the home of a user who has none. A home that cannot be written
    stays the home, for the settings in it; caches go to `spare`.
    """
    variables = {}
    if (home := environment.get("HOME")) and os.path.exists(home) and not os.path.isdir(home):  # noqa: PTH110, PTH112
        variables["HOME"] = str(spare)  # /dev/null, as services have it
    if is_known_to_the_system():
        return variables
    if not any(environment.get(variable) for variable in ("LOGNAME", "USER", "LNAME", "USERNAME")):  # as getpass asks
        variables["LOGNAME"] = f"uid-{os.getuid()}"
    if not environment.get("HOME"):
        variables["HOME"] = str(spare)
    elif not environment.get("XDG_CACHE_HOME") and not os.access(environment["HOME"], os.W_OK):
        variables["XDG_CACHE_HOME"] = str(spare / ".cache")
    return variables
