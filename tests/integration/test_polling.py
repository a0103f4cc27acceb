"""Status answers come from memory: one poller for a job however many ask, results kept for a
time and under a ceiling."""

import asyncio
import time

import pytest

from lib import expect
from lib.build import wait_until
from lib.http import Connection
from lib.job import job

POLL = {"first": 0.5, "interval": 1.0, "cap": 5.0}

CLIENTS = 50
ASKED_EACH_SECOND = 10
SECONDS = 10


async def all_of(coroutines):
    await asyncio.gather(*coroutines)


def polls_at_most(seconds, first, interval, cap):
    """How often a job is asked for in so many seconds, when no poll takes any time itself."""
    count, at, step = 0, first, interval
    while at <= seconds:
        count += 1
        at += step
        step = min(step * 1.5, cap)
    return count


def test_the_bound_on_polls_counts_as_the_configuration_says():
    assert polls_at_most(0.4, **POLL) == 0
    assert polls_at_most(1.5, **POLL) == 2
    assert polls_at_most(10, **POLL) == 5  # at 0.5, 1.5, 3, 5.25 and 8.625 s


async def ask_steadily(url, path, seen):
    """A client that polls ten times a second and puts down what it is told."""
    async with await Connection.open(url) as connection:
        for _ in range(SECONDS * ASKED_EACH_SECOND):
            started = time.monotonic()
            seen.append(await connection.request("GET", path))
            await asyncio.sleep(max(0, started + 1 / ASKED_EACH_SECOND - time.monotonic()))


def test_fifty_polling_clients_cause_no_more_upstream_polls_than_one(simulator, gateway):
    houses = [gateway(simulator(latency=3600), poll=POLL, limits={"job_deadline": 3600.0})
              for _ in range(2)]
    started = time.monotonic()
    seen = []
    clients = []
    for house, count in zip(houses, (1, CLIENTS)):
        path = house.path_of(house.solve(job()).object()["url"])
        clients += [ask_steadily(house.url, path, seen) for _ in range(count)]
    asyncio.run(all_of(clients))
    alone, crowd = (house.sim.counters()["status_requests"] for house in houses)
    elapsed = time.monotonic() - started
    assert len(seen) == (CLIENTS + 1) * SECONDS * ASKED_EACH_SECOND
    for answer in seen:
        expect.pending(answer)
    assert 2 <= alone <= polls_at_most(elapsed, **POLL)
    assert crowd <= polls_at_most(elapsed, **POLL)


def test_polls_come_at_the_times_of_the_configuration(simulator, gateway):
    house = gateway(simulator(latency=60), poll={"first": 0.2, "interval": 0.2, "cap": 0.4})
    house.solve(job())
    wait_until(lambda: house.sim.counters()["status_requests"] >= 6)
    (solve,) = house.sim.requests("solve")
    times = [r["time"] for r in house.sim.requests("status")][:6]
    gaps = [b - a for a, b in zip([solve["time"], *times], times)]
    least = [0.2, 0.2, 0.3, 0.4, 0.4, 0.4]
    assert all(gap >= low - 0.02 for gap, low in zip(gaps, least)), gaps


def test_a_final_job_is_polled_no_more(simulator, gateway):
    house = gateway(simulator(latency=0.2))
    first = house.run(job(seed=1))
    upstream_id = house.sim.requests("solve")[0]["id"]
    assert first.object()["status"] == "solved"

    def polls():
        return sum(r["id"] == upstream_id for r in house.sim.requests("status"))

    before = polls()
    for seed in range(2, 5):
        assert house.run(job(seed=seed)).object()["status"] == "solved"
    assert before >= 1
    assert polls() == before


def test_a_status_poll_of_a_final_job_costs_no_upstream_request(simulator, gateway, mode):
    house = gateway(simulator(mode=mode, latency=0))
    task = job()
    job_id = house.run(task).object()["id"]
    before = house.sim.counters()
    for _ in range(100):
        expect.solved(house.status(job_id), task)
    after = house.sim.counters()
    assert after["status_requests"] == before["status_requests"]
    assert after["solve_requests"] == 1


def test_two_jobs_with_the_same_body_have_their_own_ids(simulator, gateway, mode):
    house = gateway(simulator(mode=mode, latency=0))
    task = job()
    ids = {expect.solved(house.run(task), task)["id"] for _ in range(2)}
    assert len(ids) == 2


def test_a_result_is_forgotten_after_its_ttl(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), results={"ttl": 1})
    task = job()
    job_id = house.run(task).object()["id"]
    expect.solved(house.status(job_id), task)
    gone = wait_until(lambda: when_gone(house, job_id), 10.0)
    expect.error(gone, 404, "unknown_id")


def when_gone(house, job_id):
    answer = house.status(job_id)
    return answer if answer.status != 200 else None


def test_the_ttl_does_not_run_while_a_job_is_pending(simulator, gateway):
    house = gateway(simulator(latency=2.5), results={"ttl": 1})
    task = job()
    job_id = house.submit(task)
    expect.solved(house.finish(job_id), task)


def test_the_oldest_results_make_room_under_the_memory_ceiling(simulator, gateway):
    house = gateway(simulator(mode="pro", api=2, latency=0), results={"bytes": 2**20})
    target = "t" * 4000  # generation 2 repeats it in each solved answer
    ids = []
    for seed in range(600):
        ids.append(house.solve(job(images=1, size=30, seed=seed, target=target)).object()["id"])
    kept = [house.status(job_id).status == 200 for job_id in ids]
    assert kept == sorted(kept), "a younger one went before an older one"
    assert 50 <= sum(kept) <= 2**20 // len(target)


def test_a_pending_job_stays_while_results_make_room(simulator, gateway):
    house = gateway(simulator(mode="pro", api=2, latency=0), results={"bytes": 2**20},
                    limits={"job_deadline": 3600.0})
    house.sim.fault("solve:slow=3600*1")
    slow = house.submit(job(seed="slow"))
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    first = house.solve(job(images=1, size=30)).object()["id"]
    for seed in range(600):
        house.solve(job(images=1, size=30, seed=seed, target="t" * 4000))
    assert house.status(first).status == 404
    expect.pending(house.status(slow))


@pytest.mark.parametrize("hung, deadline", [(1, 3.0), (2, 6.0)])
def test_polls_that_hang_leave_time_for_another(gateway, vendor, hung, deadline):
    house = gateway(upstream=vendor.entry, limits={"job_deadline": deadline})
    vendor.keep_silent(hung)
    job_id = house.submit(job())
    vendor.wait_for("status", 1)
    vendor.finish()
    assert house.finish(job_id).object()["status"] == "solved"
    assert len(vendor.keys("status")) == hung + 1


def test_a_poll_that_hangs_until_the_deadline_ends_the_job_there(gateway, vendor):
    house = gateway(upstream=vendor.entry, limits={"job_deadline": 2.0})
    vendor.keep_silent(100)
    expect.failed(house.solve(job(), {"Prefer": "wait=30"}), "deadline")
    assert 2 <= len(vendor.keys("status")) <= 10
