"""What `/metrics` tells, in Prometheus' text format: requests, rows, time by part, the queue, the models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from pipeline.records.following import Following
from pipeline.serving.model import LoadedModel
from pipeline.serving.roles import CHALLENGER, CHAMPION

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_TIMES_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_DIFFERENCES = (1e-6, 1e-4, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100, 1000, 10_000, 1_000_000)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
READ, ENCODE = "read", "encode"


class Metrics:
    """The readings of one service. Names of clients, features and values are in none of them."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a time beside every counter, which nobody reads
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "ratchet_requests",
            "Requests answered, by route, protocol and status.",
            ("route", "status"),
            registry=registry,
        )
        self._request_s = Histogram(
            "ratchet_request_seconds", "From a request's head to its answer's end.", ("route",), buckets=_TIMES_S,
            registry=registry,
        )  # fmt: skip
        self._part_s = Histogram(
            "ratchet_part_seconds", "Time of a prediction by part: read, queue, model, encode.", ("part",),
            buckets=_TIMES_S, registry=registry,
        )  # fmt: skip
        self._rows = Counter("ratchet_rows", "Rows answered.", ("version",), registry=registry)
        self._batch = Histogram(
            "ratchet_batch_rows", "Rows of one call of the model.", buckets=_ROWS, registry=registry
        )
        self._queue = Gauge("ratchet_queue_rows", "Rows that wait for a call.", registry=registry)
        self._drain = Gauge("ratchet_drain_rows_per_second", "Rows answered in a second, if busy.", registry=registry)
        self._shed = Counter(
            "ratchet_shed_rows", "Rows, or requests unread, refused because too many waited.", registry=registry
        )
        self._dropped = Counter(
            "ratchet_dropped_rows", "Rows not asked: their client had gone, or their deadline passed.", ("why",),
            registry=registry,
        )  # fmt: skip
        self._errors = Counter("ratchet_errors", "Requests that failed by a fault of the service.", registry=registry)
        self._model = Gauge(
            "ratchet_model", "The model that is served: 1.", ("name", "version", "digest", "engine"), registry=registry
        )
        self._loaded_at = Gauge("ratchet_model_loaded_timestamp_seconds", "When it was loaded.", registry=registry)
        self._age = Gauge("ratchet_model_age_seconds", "For how long it has been served.", registry=registry)
        self._swaps = Counter("ratchet_swaps", "Models taken in place of another.", registry=registry)
        self._refused_models = Counter("ratchet_refused_models", "Models that were not taken.", registry=registry)
        self._is_refusing = Gauge(
            "ratchet_model_refused", "1 while the model to be served is refused, and the last good one stays.",
            registry=registry,
        )  # fmt: skip
        self._logged = Counter(
            "ratchet_prediction_log_rows", "Rows of the prediction log.", ("fate",), registry=registry
        )
        self._follower = Gauge("ratchet_follower", "The state of the follower: 1.", ("state",), registry=registry)
        self._follower_silent = Gauge("ratchet_follower_silent_seconds", "Since its last look.", registry=registry)
        self._open_bodies = Gauge("ratchet_bodies_bytes", "Bytes of bodies that are being answered.", registry=registry)
        self._challenger = Gauge(
            "ratchet_challenger", "The model beside it: 1.", ("name", "version", "digest", "engine"), registry=registry
        )
        self._is_refusing_challenger = Gauge(
            "ratchet_challenger_refused", "1 while the challenger is refused, and the champion goes on alone.",
            registry=registry,
        )  # fmt: skip
        self._role_requests = Counter(
            "ratchet_role_requests", "Requests that a role answered.", ("role", "version"), registry=registry
        )
        self._role_errors = Counter(
            "ratchet_role_errors",
            "Requests, copies too, that a role did not answer: it failed, refused, was late or busy.",
            ("role", "version", "why"),
            registry=registry,
        )
        self._role_s = Histogram(
            "ratchet_role_seconds", "From a request's rows, read, to a role's answer: queue and model.", ("role",),
            buckets=_TIMES_S, registry=registry,
        )  # fmt: skip
        self._call_s = Histogram(
            "ratchet_role_call_seconds", "One call of a role's model.", ("role",), buckets=_TIMES_S, registry=registry
        )
        self._call_rows = Counter("ratchet_role_call_rows", "Rows of these calls.", ("role",), registry=registry)
        self._instead = Counter(
            "ratchet_canary_fallbacks", "Requests of the canary that the champion answered instead.", registry=registry
        )
        self._copies = Counter(
            "ratchet_shadow_copies", "Copies: compared, failed, or dropped since there was too much to do.", ("fate",),
            registry=registry,
        )  # fmt: skip
        self._shadow_rows = Counter(
            "ratchet_shadow_rows", "Rows whose two answers were compared.", ("version",), registry=registry
        )
        self._disagreements = Counter(
            "ratchet_shadow_disagreements", "Those of another class, or that only one of the two had an answer to.",
            ("version",), registry=registry,
        )  # fmt: skip
        self._differences = Histogram(
            "ratchet_shadow_difference", "Of a row: of any probability, the largest; or of the number, in its unit.",
            ("version",), buckets=_DIFFERENCES, registry=registry,
        )  # fmt: skip

        # Of what each request notes: to find a reading by its labels takes longer than to add to it.
        self._requests_of: Callable[..., Counter] = cache(self._requests.labels)
        self._request_s_of: Callable[..., Histogram] = cache(self._request_s.labels)
        self._part_s_of: Callable[..., Histogram] = cache(self._part_s.labels)
        self._rows_of: Callable[..., Counter] = cache(self._rows.labels)
        self._role_requests_of: Callable[..., Counter] = cache(self._role_requests.labels)
        self._role_s_of: Callable[..., Histogram] = cache(self._role_s.labels)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Note an answered request."""
        self._requests_of(route, str(status)).inc()
        self._request_s_of(route).observe(seconds)

    def part(self, name: str, seconds: float) -> None:
        """Note how long a part of a prediction took."""
        self._part_s_of(name).observe(seconds)

    def answered(self, version: str, rows: int) -> None:
        """Note rows that were answered."""
        self._rows_of(version).inc(rows)

    def batch(self, rows: int, requests: int, waited_s: Sequence[float], call_s: float) -> None:  # noqa: ARG002
        """See `batching.Observer`."""
        self._batch.observe(rows)
        self._part_s_of("model").observe(call_s)
        self.called(CHAMPION, rows, call_s)
        queue = self._part_s_of("queue")
        for seconds in waited_s:
            queue.observe(seconds)

    def shed(self, rows: int) -> None:
        """See `batching.Observer`."""
        self._shed.inc(rows)

    def dropped(self, rows: int, why: str) -> None:
        """See `batching.Observer`."""
        self._dropped.labels(why).inc(rows)

    def answered_by(self, role: str, version: str, seconds: float) -> None:
        """Note a request that a role has answered, and how long it took."""
        self._role_requests_of(role, version).inc()
        self._role_s_of(role).observe(seconds)

    def not_answered_by(self, role: str, version: str, why: str) -> None:
        """Note a request or a copy that a role has not answered: `failed`, `refused`, `late` or `busy`."""
        self._role_errors.labels(role, version, why).inc()

    def called(self, role: str, rows: int, seconds: float) -> None:
        """Note one call of a role's model."""
        self._call_s.labels(role).observe(seconds)
        self._call_rows.labels(role).inc(rows)

    def fell_back(self) -> None:
        """Note a request of the canary that the champion answered instead."""
        self._instead.inc()

    def copied(self, fate: str) -> None:
        """Note a copy: `compared`, `failed` or `dropped`."""
        self._copies.labels(fate).inc()

    def compared(self, version: str, rows: int, disagreements: int, differences: Iterable[float]) -> None:
        """Note how a challenger's answers to a copy differ from the champion's."""
        self._shadow_rows.labels(version).inc(rows)
        self._disagreements.labels(version).inc(disagreements)
        histogram = self._differences.labels(version)
        for difference in differences:
            histogram.observe(difference)

    def failed(self) -> None:
        """Note a fault of the service."""
        self._errors.inc()

    def logged(self, rows: int, fate: str) -> None:
        """Note rows of the prediction log: `written`, or `lost` because the disk was too slow or full."""
        self._logged.labels(fate).inc(rows)

    def serves(self, model: LoadedModel, *, is_swap: bool) -> None:
        """Note which model is served from now on."""
        self._model.clear()
        served = model.served
        self._model.labels(served.name, model.version, served.digest, model.engine_name).set(1)
        self._loaded_at.set(model.loaded_at_s)
        self._is_refusing.set(0)
        if is_swap:
            self._swaps.inc()

    def refuses(self) -> None:
        """Note that a model was not taken."""
        self._refused_models.inc()
        self._is_refusing.set(1)

    def challenged_by(self, model: LoadedModel | None) -> None:
        """Note which challenger there is from now on."""
        self._challenger.clear()
        self._is_refusing_challenger.set(0)
        if model is not None:
            self._challenger.labels(model.served.name, model.version, model.served.digest, model.engine_name).set(1)

    def refuses_challenger(self) -> None:
        """Note that a challenger was not taken."""
        self._is_refusing_challenger.set(1)

    def text(
        self,
        *,
        model: LoadedModel | None,
        queued_rows: int,
        rows_per_s: float,
        bodies_bytes: int,
        following: Following | None,
    ) -> bytes:
        """Return all readings."""
        if following is not None:
            self._follower.clear()
            self._follower.labels(following.state).set(1)
            self._follower_silent.set(max(0.0, time.time() - following.looked_at_s))
        self._queue.set(queued_rows)
        self._drain.set(rows_per_s)
        self._open_bodies.set(bodies_bytes)
        if model is not None:
            self._age.set(time.time() - model.loaded_at_s)
        return generate_latest(self._registry)


class ChallengerCalls:
    """What the challenger's queue tells the readings: calls. Those of the champion's queue are about it alone."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def batch(self, rows: int, requests: int, waited_s: Sequence[float], call_s: float) -> None:  # noqa: ARG002
        """See `batching.Observer`."""
        self._metrics.called(CHALLENGER, rows, call_s)

    def shed(self, rows: int) -> None:
        """See `batching.Observer`; the request is counted as one that the challenger has not answered."""

    def dropped(self, rows: int, why: str) -> None:
        """See `batching.Observer`; as `shed`."""
