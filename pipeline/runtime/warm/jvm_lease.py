"""The run's JVM as the server sees it: started, leased to one stage's process at a time, put in order, ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pipeline.runtime.warm import messages

_ENDS_WITHIN_S = 2.0  # its temporary files are removed meanwhile
_DECIDES = ("conf", "login", "variables")  # what a JVM must have been started with to be the one that is wanted


@dataclass
class Jvm:
    """A JVM: `starting`, `idle`, `leased` to the client of its `user`, `released` by it, `clearing`.

    It is cleared when the user, a stage's process, has ended: until then its threads may go on giving orders.
    """

    holder: socket.socket
    wanted: Mapping[str, Any]
    state: str = "starting"
    address: dict[str, Any] = field(default_factory=dict)
    user: Any = None
    lessee: socket.socket | None = None
    pidfd: int = -1


class JvmLease:
    """Keeps at most one JVM, and who waits for it.

    `handlers` are the server's, by descriptor; `hold` has a holder forked, `answer` and `forget` end a client's
    connection, `is_running` says whether a stage's process has not ended.
    """

    def __init__(
        self,
        handlers: dict[int, Callable[[], None]],
        hold: Callable[[Mapping[str, Any], int], None],
        answer: Callable[[socket.socket, Mapping[str, Any]], None],
        forget: Callable[[socket.socket], None],
        is_running: Callable[[Any], bool],
    ) -> None:
        self._handlers, self._hold, self._is_running = handlers, hold, is_running
        self._answer, self._forget = answer, forget
        self._jvm: Jvm | None = None
        self._waiting: list[tuple[socket.socket, Any, Mapping[str, Any]]] = []
        self._ending: list[tuple[float, int]] = []  # JVMs that have been told to end: until when, and their pidfds

    @property
    def is_needed(self) -> bool:
        """Whether a stage's process has the JVM, or waits for it."""
        return bool(self._waiting) or (self._jvm is not None and self._is_running(self._jvm.user))

    def lease(self, client: socket.socket, process: Any, wanted: Mapping[str, Any]) -> None:
        """Lease a JVM, started with what is wanted, to a stage's process, now or as soon as there is one."""
        self._waiting.append((client, process, wanted))
        self._grant()

    def start(self, wanted: Mapping[str, Any]) -> None:
        """Start a JVM if there is none."""
        if self._jvm is not None:
            return
        ours, theirs = messages.pair()
        self._jvm = jvm = Jvm(ours, wanted)
        self._handlers[ours.fileno()] = lambda: self._hear(jvm)
        with theirs:
            self._hold(wanted, theirs.fileno())

    def take_back(self, client: socket.socket) -> None:
        """Note that a client gives the JVM back."""
        jvm = self._jvm
        if jvm is not None and jvm.lessee is client:
            jvm.state, jvm.lessee = "released", None
            if not self._is_running(jvm.user):
                self._clear(jvm)

    def note_end(self, process: Any) -> None:
        """Note that a stage's process has ended: what it has left in the JVM is cleared."""
        if self._jvm is not None and self._jvm.user is process and self._jvm.state == "released":
            self._clear(self._jvm)

    def drop(self, client: socket.socket) -> None:
        """Note that a client has gone. If it has not given the JVM back, a job may still run in it: it is ended."""
        self._waiting = [each for each in self._waiting if each[0] is not client]
        if self._jvm is not None and self._jvm.lessee is client:
            self.end()

    def end(self) -> None:
        """Tell the JVM to end, if there is one, and whoever has it that it does."""
        if self._jvm is None:
            return
        jvm, self._jvm = self._jvm, None
        self._handlers.pop(jvm.holder.fileno())
        jvm.holder.close()
        if jvm.pidfd >= 0:
            self._handlers.pop(jvm.pidfd)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(jvm.pidfd, signal.SIGTERM)
            self._ending.append((time.monotonic() + _ENDS_WITHIN_S, jvm.pidfd))
        if jvm.lessee is not None:
            self._forget(jvm.lessee)

    def end_in_time(self) -> bool:
        """Kill the JVMs that have had time enough to end by themselves; return whether any is still ending."""
        for until_s, pidfd in list(self._ending):
            if time.monotonic() > until_s:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            elif not select.select([pidfd], [], [], 0)[0]:
                continue
            self._ending.remove((until_s, pidfd))
            os.close(pidfd)
        return bool(self._ending)

    def _grant(self) -> None:
        """Give the JVM, if it is free, to the process that has waited longest; start one if there is none."""
        while self._waiting:
            client, process, wanted = self._waiting[0]
            jvm = self._jvm
            if jvm is None:
                self.start(wanted)
            elif jvm.state == "leased" or jvm.user not in (None, process):
                self._answer(client, {"no": "another stage is using it"})
            elif jvm.state not in ("idle", "released"):
                return
            elif any(jvm.wanted[key] != wanted[key] for key in _DECIDES):
                self.end()
            else:
                self._waiting.pop(0)
                jvm.state, jvm.user, jvm.lessee = "leased", process, client
                with suppress(OSError):
                    messages.send(client, jvm.address)

    def _hear(self, jvm: Jvm) -> None:
        """Hear a holder: that its JVM has started, or is in order again, or why not; nothing, if it was killed."""
        received = messages.receive(jvm.holder)
        message: dict[str, Any] = received[0] if received else {"failed": "its holder was killed"}
        if "failed" in message:
            self.end()
            for client, *_ in list(self._waiting):
                self._answer(client, {"no": message["failed"]})
        elif message.get("left"):
            self.end()
            print(f"a stage has left {', '.join(message['left'])}: the next one gets another JVM", flush=True)  # noqa: T201
        else:
            jvm.state = "idle"
            if "port" in message:
                self._watch(jvm, message)
        self._grant()

    def _watch(self, jvm: Jvm, address: dict[str, Any]) -> None:
        jvm.address = address
        try:
            jvm.pidfd = os.pidfd_open(address["pid"])
            self._handlers[jvm.pidfd] = self._lose
        except ProcessLookupError:
            self.end()

    def _lose(self) -> None:
        """The JVM has ended: who waits for it gets another."""
        self.end()
        self._grant()

    def _clear(self, jvm: Jvm) -> None:
        jvm.state, jvm.user = "clearing", None
        with suppress(OSError):
            messages.send(jvm.holder, {"do": "clear"})
