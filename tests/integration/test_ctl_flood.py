"""solvegatectl answers while tools take all there is of the public port."""

import contextlib
import resource
import socket
import statistics
import time
import urllib.parse

import pytest

from lib import expect
from lib.build import SANITIZE, patience, wait_until
from lib.ctl import told, told_json
from lib.gateway import DRAIN_TIMEOUT
from lib.http import exchange, open_blocking
from lib.job import job

IDLE = 5000
QUEUED = 1000
BESIDE = 1000  # descriptors for all else
NEVER = 60

RUNS = 9
BOUND = 0.1 if SANITIZE is None else 2.0  # seconds; a sanitizer's start alone takes long


def descriptors():
    """How many this process can have, and a daemon that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if hard == resource.RLIM_INFINITY else hard


@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def idle_connections(house, count):
    address = urllib.parse.urlsplit(house.url)
    with contextlib.ExitStack() as held:
        for _ in range(count):
            held.enter_context(socket.create_connection((address.hostname, address.port),
                                                        timeout=patience(20)))
        yield


def fill_queue(house, count):
    """Posts jobs on one connection until the queue takes no more; one more is under way."""
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
    with contextlib.closing(open_blocking(house.url)) as connection:
        for seed in range(count + 1):
            task = job(images=1, size=20, seed=seed)
            expect.pending(exchange(connection, "POST", "/api/solve", task.body, headers))
        refused = exchange(connection, "POST", "/api/solve", job(seed="beyond").body, headers)
    expect.error(refused, 503, "queue_full")


def seconds_of(house, *command):
    start = time.monotonic()
    told(house.socket, *command)
    return time.monotonic() - start


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.skipif(descriptors() < IDLE + BESIDE,
                    reason=f"RLIMIT_NOFILE leaves no room for {IDLE} connections")
def test_status_is_there_at_once_under_5000_idle_connections_and_a_full_queue(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=NEVER), upstream={"max_in_flight": 1},
                    limits={"connections": IDLE, "queue_jobs": QUEUED, "header_timeout": 600.0,
                            "drain_timeout": DRAIN_TIMEOUT})
    fill_queue(house, QUEUED)
    with idle_connections(house, IDLE):
        wait_until(lambda: told_json(house.socket, "status")["connections"]["open"] >= IDLE, 30.0)
        status = told_json(house.socket, "status")
        assert (status["queue"]["jobs"], status["ready"]) == (QUEUED, False)
        taken = sorted(seconds_of(house, "status") for _ in range(RUNS))
        print("seconds:", taken)
        assert statistics.median(taken) < BOUND, taken
        assert len(told_json(house.socket, "jobs", "--limit", "1000")["jobs"]) == 1000
