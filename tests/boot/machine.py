"""The booted tree as the checks use it: commands, units, the journal, and tools that call."""

import contextlib
import http.client
import json
import os
import subprocess
import threading
import time

GATEWAY = ("127.0.0.1", 8118)
SIMULATOR = ("127.0.0.1", 18118)
SITE = "staging.example.com"
PATIENCE = 30.0  # seconds, for what takes moments on an idle machine


def wait_until(true, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not (value := true()):
        assert time.monotonic() < end, f"not within {patience:.0f} s: {what}"
        time.sleep(0.05)
    return value


def run(*argv, ok=True):
    """Runs a command and returns it when it is done, with .text, all that it wrote. ok: whether it
    must succeed; None for either."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=90,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"})
    done.text = done.stdout
    assert ok is None or (done.returncode == 0) == ok, \
        f"{' '.join(argv)}: exit status {done.returncode}: {done.text[-1500:]}"
    return done


def systemctl(*argv, ok=True):
    return run("systemctl", "--no-pager", "--full", *argv, ok=ok)


def shown(name, unit="solvegate.service"):
    """A property of the unit."""
    return systemctl("show", "--value", "-p", name, unit).text.strip()


def main_pid():
    return int(shown("MainPID"))


def is_active(unit):
    return shown("ActiveState", unit) == "active"


def wait_active():
    wait_until(lambda: is_active("solvegate.service"), "solvegate.service is active")


def journal(*argv):
    """The records of the service, or those that argv selects, as objects. A field of one may be
    null, or a list of bytes."""
    run("journalctl", "--sync")
    text = run("journalctl", "--no-pager", "-o", "json", *(argv or ("-u", "solvegate.service"))).text
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@contextlib.contextmanager
def journal_since():
    """Yields a function that returns the messages written since."""
    cursor = run("journalctl", "--no-pager", "-n", "0", "--show-cursor").text
    cursor = cursor.rpartition("-- cursor: ")[2].strip()
    yield lambda: [str(record.get("MESSAGE")) for record in journal("-u", "solvegate.service", "--after-cursor", cursor)]


def call(method, target, body=None, headers=None, address=GATEWAY, patience=90.0):
    """A request on a connection of its own. Returns the HTTP status and the JSON in the answer."""
    connection = http.client.HTTPConnection(*address, timeout=patience)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


_last_job = iter(range(1, 1 << 30))


def job(site=SITE):
    """A job's body, unlike all before it, so that no answer of it is remembered."""
    return json.dumps({"images": {"0": f"AAAA{next(_last_job):08d}"}, "target": "bus", "site": site,
                       "method": "hcaptcha_base64"})


def solve(site=SITE):
    """Returns the HTTP status and the answer to a job, which is waited for."""
    return call("POST", "/api/solve", job(site),
                {"Content-Type": "application/json", "Prefer": "wait=60"})


def solve_well(site=SITE):
    status, answer = solve(site)
    assert status == 200 and answer["status"] == "solved", (status, answer)
    return answer


def jobs_upstream():
    """How many jobs the simulator was sent."""
    status, requests = call("GET", "/sim/requests", address=SIMULATOR)
    assert status == 200, requests
    return sum(request["endpoint"] == "solve" for request in requests)


class Load:
    """Tools that call without pause while the block runs, each time on a new connection: some ask
    for a job that is solved, some bring jobs. Each call must be answered; a new job may be told that
    the daemon is draining."""

    POLLERS, SOLVERS = 6, 2

    def __init__(self):
        self.id = solve_well()["id"]
        self.answered = 0
        self.failures = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._go_on, args=(calls,), daemon=True) for calls in
                         [self._poll] * self.POLLERS + [self._solve] * self.SOLVERS]

    def _poll(self):
        status, answer = call("GET", f"/api/status?id={self.id}")
        return None if status == 200 and answer["status"] == "solved" else f"poll: {status} {answer}"

    def _solve(self):
        status, answer = solve()
        right = status == 200 or (status == 503 and answer["code"] == "draining")
        return None if right else f"solve: {status} {answer}"

    def _go_on(self, calls):
        while not self._over.is_set():
            try:
                failure = calls()
            except (OSError, http.client.HTTPException, ValueError) as error:
                failure = f"{calls.__name__.strip('_')}: {error!r}"
            with self._lock:
                self.answered += failure is None
                if failure:
                    self.failures.append(failure)

    def wait_for_more(self, count=200):
        """Waits until so many more calls are answered."""
        enough = self.answered + count
        wait_until(lambda: self.answered >= enough or self.failures,
                   f"{count} more answers under load")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        try:
            self.wait_for_more()
        except AssertionError:
            self._over.set()
            raise
        return self

    def __exit__(self, kind, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            assert not self.failures, (f"{len(self.failures)} calls failed, {self.answered} were "
                                       f"answered: {self.failures[:5]}")
