"""The command `ratchet`: runs the code of the project around the current folder, whatever PYTHON… says.

Of a name of its own, because it comes before `pipeline` can be trusted: PYTHONPATH may lead to another package of that
name, or to other libraries than those of this environment.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import NoReturn

# Neither of these changes what the code does. Any other PYTHON… may: asserts and docstrings gone, warnings as errors.
_HARMLESS = {"PYTHONPATH", "PYTHONUTF8", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"}


def main() -> NoReturn:
    """Run a command with the project's code, in an interpreter that nothing but its installation has set up."""
    is_strange = any(name.startswith("PYTHON") and name not in _HARMLESS for name in os.environ)
    if not sys.flags.ignore_environment and (is_strange or sys.getfilesystemencoding() != "utf-8"):
        os.execv(sys.executable, [sys.executable, "-E", "-X", "utf8", __file__, *sys.argv[1:]])  # noqa: S606
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in os.environ else []
    foreign = {os.path.abspath(path) for path in inherited}  # noqa: PTH100 - as the interpreter itself makes them
    sys.path[:] = [str(_code()), *(path for path in sys.path if path not in foreign)]
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)  # which any earlier code of a project has, too
    raise SystemExit


def _code() -> Path:
    """Return the project around the current folder; outside of any, the folder that this file is in."""
    try:
        here = Path.cwd()
    except OSError:  # it has been removed, which the command says
        return Path(__file__).resolve().parent
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "pipeline" / "__main__.py").is_file():
            return folder
    return Path(__file__).resolve().parent


if __name__ == "__main__":
    main()
