"""The work of the daemon grows no faster than the amount of stored data: tests/bench/growth in
small. Work is counted in instructions, by valgrind, so a busy machine changes nothing."""

import json
import os
import re

import pytest

from lib import stores
from lib.build import SANITIZE, wait_until
from lib.job import job
from lib.state import rows

BODY = job(images=1, size=100, seed="stored").body
FEW, MANY = 500, 5_000
MORE = 200  # submissions
PATIENCE = 120.0

pytestmark = pytest.mark.skipif(SANITIZE is not None or "SOLVEGATE_COVERAGE" in os.environ,
                                reason="valgrind does not run sanitizers, and gcov is slow in it")


@pytest.fixture
def work(simulator, gateway, tmp_path):
    """Runs a daemon on a store with count items, and returns the instructions that it executed."""

    def run(name, count, fill, then, **settings):
        report = tmp_path / f"{name}-{count}.valgrind"
        sim = simulator(name=f"sim-{name}-{count}", mode="pro", latency=0)
        sim.fault("solve:hang")
        house = gateway(sim, name=f"{name}-{count}", durability="full", workers=1,
                        limits={"queue_jobs": 100_000, "job_deadline": 3600.0}, **settings)
        house.stop_well()
        if count:
            fill(house.state_directory, count)
        house.ready_timeout = PATIENCE
        house.start_again(launcher=(
            "valgrind", "--tool=cachegrind", "--cache-sim=no",
            f"--cachegrind-out-file={tmp_path}/{name}-{count}.cachegrind", f"--log-file={report}"))
        then(house)
        house.stop(PATIENCE)
        return int(re.search(r"I\s+refs:\s+([\d,]+)", report.read_text())[1].replace(",", ""))

    return run


def ratio(run, **what):
    """The work for MANY items divided by that for FEW, without that for none."""
    none, few, many = (run(count=count, **what) for count in (0, FEW, MANY))
    return (many - none) / (few - none)


def queued(house):
    return json.loads(house.operate("GET", "/control/status").body)["queue"]["jobs"]


def jobs_left(house):
    return rows(house.state_directory, "SELECT count(*) FROM job")[0][0]


def test_a_start_with_overdue_jobs(work):
    def then(house):
        wait_until(lambda: queued(house) == 0, PATIENCE)

    assert ratio(work, name="overdue", then=then, fill=lambda state, count: stores.add_queued(
        state, count, BODY, deadline_ms=-1)) < 1.2 * MANY / FEW


def test_results_that_expire_together(work):
    def then(house):
        house.reload(results={"ttl": 1.0})
        wait_until(lambda: jobs_left(house) == 0, PATIENCE)

    assert ratio(work, name="expiry", fill=stores.add_results, then=then) < 1.2 * MANY / FEW


def test_a_start_with_a_ledger(work):
    assert ratio(work, name="ledger", fill=stores.add_ledger,
                 then=lambda house: None) < 1.2 * MANY / FEW


def test_submissions_beside_many_jobs_that_wait(work):
    """Also after a reload that makes their deadlines the earliest."""
    def submit(house, count):
        for number in range(count):
            house.submit(job(images=1, size=20, seed=number))

    def submit_later(house, count):
        house.reload(limits={**house.settings["limits"], "job_deadline": 1800.0})
        submit(house, count)

    def cost(waiting, name, then):
        """Of MORE submissions, by twice as many."""
        some, more = (
            work(f"{name}-{count}", waiting,
                 lambda state, n: stores.add_queued(state, n, BODY),
                 lambda house: then(house, count))
            for count in (MORE, 2 * MORE))
        return more - some

    for name, then in (("before", submit), ("after", submit_later)):
        assert cost(MANY, name, then) < 1.5 * cost(FEW, name, then)
