"""Where ranks run, and the command that starts each there."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.launching.hosts import assign_slots, is_local, parse_hosts, remote_command


def test_a_host_without_slots_takes_all_workers() -> None:
    assert parse_hosts("localhost", 3) == [("localhost", 3)]


def test_hosts_are_filled_in_their_order() -> None:
    slots = assign_slots(parse_hosts("one:2,two:2", 3), 3)
    assert [(slot.host, slot.rank, slot.local_rank, slot.cross_rank) for slot in slots] == [
        ("one", 0, 0, 0),
        ("one", 1, 1, 0),
        ("two", 2, 0, 1),
    ]
    assert [(slot.local_size, slot.cross_size) for slot in slots] == [(2, 2), (2, 1), (1, 2)]


slots_and_workers = st.lists(st.integers(1, 4), min_size=1, max_size=5).flatmap(
    lambda slots: st.tuples(st.just(slots), st.integers(1, sum(slots)))
)


@given(slots_and_workers)
def test_places_are_those_of_horovods_own_launcher(case: tuple[list[int], int]) -> None:
    from horovod.runner.common.util import hosts as horovod_hosts

    slots, workers = case
    text = ",".join(f"host{number}:{count}" for number, count in enumerate(slots))
    ours = assign_slots(parse_hosts(text, workers), workers)
    theirs = horovod_hosts.get_host_assignments(horovod_hosts.parse_hosts(text), workers, workers)
    assert [slot.host for slot in ours] == [slot.hostname for slot in theirs]
    for name in ("rank", "local_rank", "cross_rank", "size", "local_size", "cross_size"):
        assert [getattr(slot, name) for slot in ours] == [getattr(slot, name) for slot in theirs], name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one:1,two:1", "2 slots for 3 workers"),
        ("one:1,two", "'two' is not host:slots"),
        ("one:x", "'one:x' is not host:slots"),
        ("one:0", "'one:0' is not host:slots"),
        ("-oProxyCommand=sh:3", "is not host:slots"),
        ("", "'' is not host:slots"),
        ("one:2,one:2", "one appears twice"),
    ],
)
def test_hosts_that_cannot_serve_are_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_hosts(text, 3)


def test_this_machine_is_known_as_local() -> None:
    assert is_local("localhost")
    assert is_local("127.0.0.1")
    assert not is_local("192.0.2.1")  # TEST-NET-1: nobody's


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(UsageError, match=r"host 'nowhere\.invalid' cannot be found"):
        is_local("nowhere.invalid")


def test_a_remote_rank_gets_folder_environment_and_arguments_as_they_are() -> None:
    command = remote_command("node1", Path("/a folder"), {"HOROVOD_RANK": "1", "X": "a b;c"}, ["/a folder/job.json"])
    assert command[:-1] == ["ssh", "-o", "BatchMode=yes", "node1"]
    assert shlex.split(command[-1]) == [
        *["cd", "/a folder", "&&", "exec", "env", "HOROVOD_RANK=1", "X=a b;c"],
        *[sys.executable, "-m", "pipeline.launching.worker", "/a folder/job.json"],
    ]
