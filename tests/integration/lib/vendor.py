"""An upstream that queues every job until the test says so, and remembers which key each request
showed: for what becomes of jobs and credentials while the gateway is reloaded.

    with Vendor() as vendor:
        house = gateway(upstream=vendor.entry)
        ...
        vendor.refuse(old_key)
        assert vendor.keys("status")[-1] == new_key
        vendor.finish()
"""

import threading

from .build import wait_until
from .http_upstream import HttpUpstream

SOLVED = {"status": "solved", "solution": []}


class Vendor(HttpUpstream):
    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()
        self._requests = []  # guarded by _changed, like the rest: (endpoint, key)
        self._refused = set()
        self._held = None
        self._dropping = 0
        self._final = None
        self._jobs = 0
        self._same_id = None
        self._silent = 0

    def __exit__(self, *_):
        self.answer()
        self.finish()
        self.speak()
        super().__exit__()

    def refuse(self, *keys):
        """From now on these are no keys, and all others are."""
        with self._changed:
            self._refused = set(keys)

    def hesitate(self, endpoint="solve"):
        """No job, or what else is asked for, is answered any more until answer()."""
        with self._changed:
            self._held = endpoint

    def repeat_id(self, job_id="h-same"):
        """All jobs that come next get this id; None: each one of its own."""
        with self._changed:
            self._same_id = job_id

    def answer(self):
        with self._changed:
            self._held = None
            self._changed.notify_all()

    def keep_silent(self, count):
        """So many polls that come next get no answer, until speak()."""
        with self._changed:
            self._silent = count
            self._speaks = False

    def speak(self):
        with self._changed:
            self._speaks = True
            self._changed.notify_all()

    def drop(self, count):
        """So many jobs that come next get no answer: their connections are closed."""
        with self._changed:
            self._dropping = count

    def finish(self, value=None):
        """All jobs are solved from now on, or what else is said of them."""
        with self._changed:
            self._final = value or SOLVED

    def queue_again(self):
        """Jobs are not finished any more."""
        with self._changed:
            self._final = None

    def keys(self, endpoint):
        """Those that came, in order."""
        with self._changed:
            return [key for name, key in self._requests if name == endpoint]

    def wait_for(self, endpoint, count):
        """Waits until so many requests have come in all. Returns their keys."""
        wait_until(lambda: len(self.keys(endpoint)) >= count, 20.0,
                   f"{count} requests of {endpoint}", 0.005)
        return self.keys(endpoint)

    def respond(self, request):
        response = self._judge(request.endpoint, request.key)
        if response is None:
            return None
        status, value = response
        return status, [("Content-Type", "application/json")], value

    def _judge(self, endpoint, key):
        with self._changed:
            self._requests.append((endpoint, key))
            if endpoint == "solve" and self._dropping > 0:
                self._dropping -= 1
                return None
            if endpoint == "status" and self._silent > 0:
                self._silent -= 1
                self._changed.wait_for(lambda: self._speaks)
                return None
            self._changed.wait_for(lambda: self._held != endpoint)
            if key in self._refused:
                return 401, {"status": "Unauthorized", "message": "Invalid APIKEY"}
            if endpoint == "balance":
                return 200, {"plan id": key[-4:], "plan type": "paid", "planlimit": 1000,
                             "status": "active", "used": 1}
            if self._final:
                return 200, self._final
            if endpoint == "status":
                return 200, {"status": "in queue"}
            self._jobs += 1
            job_id = self._same_id or f"h-vendor-{self._jobs}"
            return 200, {"status": "new", "id": job_id, "target": "", "createdat": 1}
