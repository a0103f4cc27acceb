"""An upstream whose responses a test writes to the byte, to jobs, polls and balance requests.

    def respond(request):               # on a thread of its own, for each request that arrives
        if request.endpoint == "solve":
            return 200, [], {"status": "new", "id": "A1"}
        return 200, [("Retry-After", "1")], b'{"status":"solved"}'
    with Answering(respond) as upstream:
        house = gateway(upstream=upstream.entry)
"""

import threading

from .http_upstream import HttpUpstream


class Answering(HttpUpstream):
    """respond is what HttpUpstream.respond() calls, with request.number as the number of the
    request among those of its endpoint, from 1 on."""

    def __init__(self, respond):
        super().__init__()
        self._respond = respond
        self._lock = threading.Lock()
        self._requests = []  # guarded by _lock

    def requests(self, endpoint):
        """Those that have come so far, in order."""
        with self._lock:
            return [request for request in self._requests if request.endpoint == endpoint]

    def respond(self, request):
        with self._lock:
            request.number = 1 + sum(other.endpoint == request.endpoint
                                     for other in self._requests)
            self._requests.append(request)
        return self._respond(request)
