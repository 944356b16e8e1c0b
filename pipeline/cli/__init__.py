"""The command `ratchet`: one file per group of commands, and `command_line`, which joins them."""

from pipeline.cli.command_line import main as main
