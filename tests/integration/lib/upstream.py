"""An upstream that a test makes up, for what the simulator has no fault for: it sees a job's body,
or answers when the test says so.

    def answer(number, body):           # on a thread of its own, for each job that arrives
        return 503, {"Retry-After": "3"}, LATER
    with Upstream(answer) as upstream:
        house = gateway(upstream=upstream.entry)
"""

import threading
import time

from .http_upstream import HttpUpstream

LATER = {"status": "error", "message": "not now"}
SOLVED = {"status": "solved", "id": "made-up", "solution": []}


class Upstream(HttpUpstream):
    """answer is given the number of the job, from 1 on, and its body; it returns the HTTP status,
    header fields and the object. balance is what it says of the account, with 200; None: 404."""

    def __init__(self, answer, balance=None):
        super().__init__()
        self.balance = balance
        self.arrivals = []  # the moment of each job, by the monotonic clock
        self._answer = answer
        self._lock = threading.Lock()

    def respond(self, request):
        if request.endpoint != "solve":
            return 404 if self.balance is None else 200, [], self.balance or LATER
        with self._lock:
            self.arrivals.append(time.monotonic())
            number = len(self.arrivals)
        status, fields, value = self._answer(number, request.body)
        return status, [("Content-Type", "application/json"), *fields.items()], value
