"""The shell between DVC and a stage, which in our runs is this very program: so none runs in between.

`SHELL` names it there (see `runs/reproduction.py`); what a stage itself starts wants a shell that is one.
"""

from __future__ import annotations

import os
import re

SHELL = "/bin/sh"
_STAGE_COMMAND = re.compile(r"ratchet stage (?P<name>[\w.@-]+)")  # nothing in it that a shell would read otherwise


def without_shell(words: list[str]) -> list[str]:
    """Return a command's words, without the `-c` of a stage command that DVC runs through its shell.

    Any other command than `ratchet stage NAME` is left to /bin/sh.
    """
    if words[:1] == ["-c"] and len(words) == 2:
        os.environ["SHELL"] = SHELL
        if command := _STAGE_COMMAND.fullmatch(words[1]):
            return ["stage", command["name"]]
        os.execv(SHELL, [SHELL, "-c", words[1]])  # noqa: S606 - what dvc.yaml says, as DVC itself would run it
    return words
