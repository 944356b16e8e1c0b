"""What one request, and all of them together, may take of the service."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds. What is above one is refused with a status of its own, before any work is done for it.

    `body_bytes` are those of one request, after it is inflated too; `bodies_bytes` those of all that are being read or
    answered. `pixels` are a picture's. `rows` are those of one request; `batch_rows` those of one call of the model,
    `queue_rows` those that may wait for one, as long as they are thought to wait no more than `queue_s`; two calls'
    rows always may. In an overload a request may wait less; see `overload`. `wait_s` is how
    long a row may wait for others to share its call; `body_s` how long a body may take to arrive, `headers_s` what
    comes before it, `request_s` how long an answer may take after that. A challenger has at most `canary_s` of it, and
    half of what there is, before the champion answers in its place. A connection is kept for `idle_s` without a
    request, of `connections` at most; at the end, answers that are on their way get `end_s`. `copies` wait for the
    challenger, of `copies_bytes` at most.
    """

    body_bytes: int = 32 * MIB
    bodies_bytes: int = 256 * MIB
    pixels: int = 16_000_000
    rows: int = 1024
    batch_rows: int = 64
    queue_rows: int = 2048
    queue_s: float = 0.05
    wait_s: float = 0.002
    body_s: float = 20.0
    request_s: float = 30.0
    canary_s: float = 1.0
    headers_s: float = 20.0
    idle_s: float = 75.0
    connections: int = 10_000
    end_s: float = 30.0
    copies: int = 256
    copies_bytes: int = 32 * MIB
