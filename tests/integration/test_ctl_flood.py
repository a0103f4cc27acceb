"""solvegatectl answers while tools take all there is of the public port."""

import contextlib
import statistics
import time

from lib import expect
from lib.build import SANITIZE, wait_until
from lib.ctl import told, told_json
from lib.flood import IDLE, idle_connections, needs_files
from lib.gateway import DRAIN_TIMEOUT
from lib.http import exchange, open_blocking
from lib.job import job

QUEUED = 1000
NEVER = 60

RUNS = 9
BOUND = 0.1 if SANITIZE is None else 2.0  # seconds; a sanitizer's start alone takes long


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


@needs_files
def test_status_is_there_at_once_under_5000_idle_connections_and_a_full_queue(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=NEVER), upstream={"max_in_flight": 1},
                    limits={"connections": IDLE, "connections_per_address": IDLE, "queue_jobs": QUEUED,
                            "header_timeout": 600.0, "drain_timeout": DRAIN_TIMEOUT})
    fill_queue(house, QUEUED)
    with idle_connections(house):
        wait_until(lambda: told_json(house.socket, "status")["connections"]["open"] >= IDLE, 30.0)
        status = told_json(house.socket, "status")
        assert (status["queue"]["jobs"], status["ready"]) == (QUEUED, False)
        taken = sorted(seconds_of(house, "status") for _ in range(RUNS))
        print("seconds:", taken)
        assert statistics.median(taken) < BOUND, taken
        assert len(told_json(house.socket, "jobs", "--limit", "1000")["jobs"]) == 1000
