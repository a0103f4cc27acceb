"""solvegate-sim as the tests use it."""

import json
import urllib.parse

from . import canary, proc
from .build import BUILD, wait_until
from .http import open_blocking
from .process import Process

STOP_TIMEOUT = 5.0


class Simulator(Process):
    def __init__(self, directory, name="sim", mode="free", api=1, latency=0.1, jitter=None,
                 concurrency=None, faults=(), tls=None, apikey=canary.STORED_APIKEY, port=0):
        self.name = name
        self.mode = mode
        self.api = api
        argv = [BUILD / "solvegate-sim", "--mode", mode, "--api", api, "--latency", latency]
        argv += ["--uid", canary.STORED_UID, "--apikey", apikey, "--seed", 1]
        argv += ["--port", port]
        if jitter is not None:
            argv += ["--jitter", jitter]
        if concurrency is not None:
            argv += ["--concurrency", concurrency]
        for fault in faults:
            argv += ["--fault", fault]
        if tls is not None:
            argv += ["--tls-certificate", tls.certificate, "--tls-key", tls.key]
        super().__init__(argv, directory / f"{name}.log")
        self.wait_ready()
        self.url = self.urls[0]
        self.prefix = "/api" if api == 1 else ""

    def call(self, method, target, body=None, headers=None):
        """A request to the simulator itself. Returns the HTTP status and the body."""
        connection = open_blocking(self.url)
        try:
            connection.request(method, target, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _control(self, method, target, body=None):
        status, answer = self.call(method, target, body)
        assert 200 <= status < 300, f"{method} {target}: {status} {answer!r}"
        return answer

    def counters(self):
        return json.loads(self._control("GET", "/sim/counters"))

    def settled_counters(self):
        """The same once the balance is told that a gateway asks for at its start."""
        def settled():
            counters = self.counters()
            return counters if counters["balance_requests"] and not counters["requests_now"] else None

        return wait_until(settled, 10.0, "the balance is told")

    def requests(self, endpoint=None):
        """The API requests received, in order of arrival."""
        every = json.loads(self._control("GET", "/sim/requests"))
        return [r for r in every if endpoint in (None, r["endpoint"])]

    def fault(self, *specs):
        self._control("POST", "/sim/faults", "\n".join(specs).encode())

    def write_strays(self):
        """Has the stray responses written that wait, until none does. Nothing but requests that it
        has already may be answered meanwhile."""
        def over():
            self._control("POST", "/sim/strays")
            return self.counters()["strays_waiting"] == 0

        wait_until(over, 20.0, "the stray responses are written")

    def clear_faults(self):
        self._control("DELETE", "/sim/faults")

    def wait_for_bytes(self, count=1):
        """Waits until so many requests have come to it, frozen as it is."""
        port = urllib.parse.urlsplit(self.url).port
        wait_until(lambda: sum(map(bool, proc.connections(port))) >= count, 10.0,
                   f"{count} requests at the simulator")

    def reset(self):
        self._control("POST", "/sim/reset")

    def solve_directly(self, job):
        """What the simulator answers without a gateway between. Returns the body."""
        headers = {"uid": canary.STORED_UID, "apikey": canary.STORED_APIKEY,
                   "Content-Type": "application/json"}
        return self.call("POST", f"{self.prefix}/solve", job.body, headers)[1]
