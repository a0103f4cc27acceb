"""Reloads while thousands of jobs wait: each is judged once, some in each turn of the main loop, and
operators are heard meanwhile."""

import concurrent.futures
import re
import signal

import pytest
from lib import expect
from lib.build import SANITIZE, wait_until
from lib.copies import Copier
from lib.job import job
from lib.operator import ask, order

JOBS = 3_000 if SANITIZE is None else 500
CANCELLED = 'solvegate_jobs_total{outcome="cancelled"}'


@pytest.fixture
def crowded(simulator, gateway):
    """A daemon with thousands of jobs that wait behind one that is never answered."""
    sim = simulator(mode="pro", latency=0, faults=["solve:hang"])
    house = gateway(sim, upstream={"max_in_flight": 1}, durability="full",
                    admin={"address": "127.0.0.1", "port": 0}, limits={"queue_jobs": 2 * JOBS})
    house.submit(job(seed="hangs"))
    wait_until(lambda: sim.counters()["solve_requests"] == 1)
    queued_id = house.submit(job(seed="queued", size=1000))
    house.kill()
    copier = Copier(house.state_directory)
    house.ids = [queued_id, *copier.copy(queued_id, JOBS - 1)]
    copier.connection.close()
    house.start_again()
    wait_until(lambda: sim.counters()["solve_requests"] == 2)
    return house


def test_each_job_that_is_taken_off_is_counted_once_and_operators_are_heard(crowded):
    house = crowded
    assert ask(house, "/control/status")["queue"]["jobs"] == JOBS - 1
    house.configure(sites=["elsewhere.example.com"])
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        reloads = [threads.submit(order, house, "reload") for _ in range(2)]
        house.signal(signal.SIGHUP)
        while not all(reload.done() for reload in reloads):
            assert ask(house, "/control/status")["state"] == "taking"
    told = re.findall(r"waiting jobs: (\d+) cancelled\n", house.log())
    assert told == [str(JOBS - 1)]
    wait_until(lambda: house.metrics().get(CANCELLED, 0) == JOBS - 1)
    assert ask(house, "/control/status")["queue"]["jobs"] == 0
    for job_id in house.ids[1::100]:
        expect.failed(house.status(job_id), "cancelled")
    assert house.sim.counters()["solve_requests"] == 2


def test_a_stop_ends_a_reload_and_the_next_start_takes_the_jobs_off(crowded):
    house = crowded
    house.configure(sites=["elsewhere.example.com"])
    house.signal(signal.SIGHUP)
    house.stop_well()
    house.start_again()
    for job_id in house.ids[1::100]:
        expect.failed(house.finish(job_id), "cancelled")
    assert house.sim.counters()["solve_requests"] == 2
