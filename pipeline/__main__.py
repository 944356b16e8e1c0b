"""`python -m pipeline` is `ratchet`."""

import os
import sys

_ROOM_BYTES = 16 * 2**20


def _write_no_half_bytecode() -> None:
    """Let this process and those that it starts write no bytecode where the disk is nearly full.

    Python would leave half a file, and from then on fail to read it, also when there is room again.
    """
    found = os.statvfs(os.path.dirname(__file__))  # noqa: PTH120 - before anything is imported
    if found.f_bavail * found.f_frsize < _ROOM_BYTES:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


if __name__ == "__main__":
    _write_no_half_bytecode()
    if sys.argv[1:3] == ["runs", "stage"]:
        from pipeline.runs import dvc_repro

        dvc_repro.warm_up()  # DVC loads in parallel while we load and find out what there is to do
    if "DVC_STAGE" in os.environ:
        from pipeline.runtime.warm import short_way

        short_way.take(sys.argv[1:])
    from pipeline.cli.command_line import main

    sys.exit(main())
