"""`python -m pipeline` is `ratchet`."""

import sys

if __name__ == "__main__":
    if sys.argv[1:3] == ["runs", "stage"]:
        from pipeline.runs import dvc_repro

        dvc_repro.warm_up()  # while we load, and look what there is to do, DVC loads beside us
    from pipeline.cli.command_line import main

    sys.exit(main())
