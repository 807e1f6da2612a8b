"""What goes wrong in a campaign: drawn from a seed, as data; and the proxy that spoils S3."""

import math
import random
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults import Fault, FaultyProxy, Flipped, Refusal, _Server

BURST, STOPPED, SILENT = "requests go wrong", "S3 is not there", "S3 does not answer"
POD, NODE, WEBHOOK = "a pod is deleted", "the node is lost", "an admission webhook does not answer"
TERMINATED = "a run is terminated"
CONTROLLER, SERVER = "Argo's controller is killed", "Argo's server is killed"
Kinds = dict[str, tuple[int, float, float]]
REQUESTS: dict[str, tuple[Fault | Refusal, tuple[str, ...]]] = {
    "a request gets 503": (Refusal(503, "SlowDown"), ("GET", "HEAD", "PUT")),
    "a request gets 500": (Refusal(500, "InternalError"), ("GET", "HEAD", "PUT")),
    "a reply is cut": (Fault.HALF_BODY, ("GET",)),
    "a byte of a reply is flipped": (Fault.FLIPPED_BYTE, ("GET",)),
    "a byte of an upload is flipped": (Fault.FLIPPED_UPLOAD, ("PUT",)),
    "a reply is lost": (Fault.LOST_REPLY, ("GET", "HEAD", "PUT")),
}
"""What can happen to one request, and of which methods."""
S3: Kinds = {BURST: (12, 5, 30), STOPPED: (2, 1, 60), SILENT: (1, 1, 30)}
"""To S3, with its weight in the draw, and how long it lasts: seconds, at least and at most."""
CLUSTER: Kinds = {POD: (24, 1, 1), CONTROLLER: (3, 1, 1), SERVER: (2, 1, 1), WEBHOOK: (3, 5, 25), TERMINATED: (3, 1, 1), NODE: (1, 20, 60)}
"""To the cluster."""
LONGEST_PAUSE_S = {"S3": 16, "cluster": 24}
"""Between two troubles, by where they are."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One thing that goes wrong."""

    kind: str
    pause_s: float
    """Before it."""
    lasts_s: float
    share: float
    """Of the requests that a burst hits."""


def troubles(seed: str, kinds: Kinds, longest_pause_s: float) -> Iterator[Trouble]:
    """Without end, the same for the same seed. A lost node is followed by the controller's end, after which Argo looks at all pods anew."""
    draw = random.Random(seed)  # noqa: S311 - to be drawn again
    weights = [weight for weight, _, _ in kinds.values()]
    while kinds:
        [kind] = draw.choices(list(kinds), weights)
        _, least, most = kinds[kind]
        lasts_s = math.exp(draw.uniform(math.log(least), math.log(most)))
        yield Trouble(kind=kind, pause_s=draw.uniform(1, longest_pause_s), lasts_s=lasts_s, share=draw.uniform(0.1, 0.8))
        if kind == NODE and CONTROLLER in kinds:
            yield Trouble(kind=CONTROLLER, pause_s=longest_pause_s, lasts_s=1, share=0)


class StormyProxy(FaultyProxy):
    """A proxy whose requests go wrong while it is told so; it counts what it did."""

    def __init__(self, upstream: str, host: str, seed: str, kinds: Collection[str] = REQUESTS) -> None:
        """In a burst each request that is hit draws one of these kinds."""
        super().__init__(upstream, host=host)
        self._kinds = sorted(kinds)
        self.counts: Counter[str] = Counter()
        """Of what happened to requests, by its kind."""
        self.requests = 0
        self._draw = random.Random(seed)  # noqa: S311 - to be drawn again
        self._burst: Trouble | None = None
        self._is_there, self._answers = threading.Event(), threading.Event()
        self._is_there.set()
        self._answers.set()

    @contextmanager
    def spoilt(self, trouble: Trouble) -> Iterator[None]:
        """While it lasts, S3 is as the trouble says."""
        if trouble.kind == BURST:
            self._burst = trouble
        elif trouble.kind == SILENT:
            self._answers.clear()
        else:
            self._stop()
        try:
            yield
        finally:
            self._burst = None
            self._answers.set()
            if not self._is_there.is_set():
                self._start()

    def take(self, method: str, path: str) -> Fault | Flipped | Refusal | None:
        """The fault that is drawn for this request, if any; ConnectionError where the server is not there."""
        self.requests += 1
        self.served.clear()  # nobody asks, and an hour's are many
        self._answers.wait()
        if not self._is_there.is_set():
            raise ConnectionAbortedError
        burst = self._burst
        kinds = [kind for kind in self._kinds if method in REQUESTS[kind][1]]
        if burst is None or self._draw.random() > burst.share or not kinds:
            return super().take(method, path)
        kind = self._draw.choice(kinds)
        self.counts[kind] += 1
        return REQUESTS[kind][0]

    def _stop(self) -> None:
        """Refuse connections, and end those that there are with their next request."""
        self._is_there.clear()
        self._server.shutdown()
        self._server.server_close()

    def _start(self) -> None:
        self._server = _Server(self._server.server_address[:2], self._server.RequestHandlerClass)
        self._is_there.set()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
