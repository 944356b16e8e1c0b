"""The command `ratchet`: one file per group of commands, and `command_line`, which joins them."""
