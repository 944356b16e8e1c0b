"""`python -m pipeline` is `ratchet`."""

import os
import sys

if __name__ == "__main__":
    if sys.argv[1:3] == ["runs", "stage"]:
        from pipeline.runs import dvc_repro

        dvc_repro.warm_up()  # DVC loads in parallel while we load and find out what there is to do
    if "DVC_STAGE" in os.environ:
        from pipeline.runtime.warm import short_way

        short_way.take(sys.argv[1:])
    from pipeline.cli.command_line import main

    sys.exit(main())
