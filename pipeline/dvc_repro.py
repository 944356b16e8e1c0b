"""`dvc repro` by the short way: `python -m pipeline.dvc_repro [--single-item] [--force] [--wait] [STAGE]`.

DVC's command line loads all of its commands before it runs one, and Python takes everything apart when it has. A run in
steps pays for both at every stage. This calls the function behind the command, which says the same and does the same.
"""

from __future__ import annotations

import argparse
import gc
import logging
from typing import NoReturn

_OBJECTS_BEFORE_A_LOOK = 200_000  # for garbage: a short life that makes much and drops little (700 by default)
_FAILED = 255


def main() -> NoReturn:
    """Reproduce, and leave with 0, or with 255 after a line that begins with `ERROR:`."""
    parser = argparse.ArgumentParser(prog="dvc repro")
    parser.add_argument("--single-item", action="store_true", help="the stage alone, not what it needs")
    parser.add_argument("--force", action="store_true", help="even what is up to date")
    parser.add_argument("--wait", action="store_true", help="for DVC's lock, however long")
    parser.add_argument("stage", nargs="?")
    options = parser.parse_args()

    from pipeline import processes

    gc.set_threshold(_OBJECTS_BEFORE_A_LOOK)
    from dvc.repo import Repo
    from dvc.ui import ui

    ui.enable()
    try:
        with Repo(_wait_for_lock=options.wait) as repo:
            repo.reproduce(options.stage, single_item=options.single_item, force=options.force)
    except Exception:
        logging.getLogger("dvc").exception("")  # DVC's own handler makes its one line of it: ERROR: what: why
        processes.leave(_FAILED)
    processes.leave(0)


if __name__ == "__main__":
    main()
