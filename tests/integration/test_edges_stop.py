"""A stop in the middle of things: it is clean, and who is held is told what will be true."""

import asyncio
import concurrent.futures
import contextlib
import errno
import random
import signal

import pytest

from lib import expect
from lib.build import wait_until
from lib.http import Connection, request_bytes
from lib.job import job
from lib.network import kept_port

HELD = {"Prefer": "wait=60"}


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        yield threads


def drains(house):
    """Tells by a body that is no job whether jobs are refused already."""
    headers = {"Content-Type": "application/json"}
    return house.request("POST", "/solve", b"{}", headers).status == 503


def sent(sim):
    return [request["sha256"] for request in sim.requests("solve")]


@pytest.mark.parametrize("opened", ["before", "during"])
async def test_a_wait_for_a_queued_job_ends_with_the_drain(simulator, durable, opened):
    """The connection is opened before or during the drain; the wait begins during it."""
    sim = simulator(mode="pro", latency=0.1)
    house = durable(sim, upstream={"max_in_flight": 1}, limits={"drain_timeout": 20.0})
    task = job(seed="sent")
    sim.freeze()  # so long as there shall be a drain
    first = house.submit(task)
    sim.wait_for_bytes()
    queued = house.submit(job(seed="queued"))
    whole = request_bytes("GET", f"/status?id={queued}&wait=60", house.host)
    connection = await Connection.open(house.url) if opened == "before" else None
    if connection:  # not idle, so it is not closed
        await connection.send(whole[:20])
    house.signal(signal.SIGTERM)
    wait_until(lambda: drains(house))
    if connection:
        await connection.send(whole[20:])
    else:
        connection = await Connection.open(house.url)
        await connection.send(whole)
    sim.thaw()
    assert expect.pending(await connection.answer())["id"] == queued
    assert house.wait(10) == 0
    await connection.close()
    house.start_again()
    expect.solved(house.finish(queued), job(seed="queued"))
    expect.solved(house.status(first), task)


TOOLS = 8
STOPS = 6


async def test_cancelling_until_the_last_moment_of_a_stop_is_clean(simulator, durable):
    """When all workers are about to go, one of them may just have begun to store a cancel. That
    is a matter of luck, so there are several stops."""
    sim = simulator(mode="pro", latency=0.3)
    house = durable(sim, workers=8, upstream={"max_in_flight": 1}, limits={"drain_timeout": 20.0})
    tasks = [job(images=1, size=20, seed=seed) for seed in range(1500)]
    left, cancelled = [], {}

    async def submit(number):
        async with await Connection.open(house.url) as connection:
            for task in tasks[number::TOOLS]:
                answer = await connection.request("POST", "/solve", {"Prefer": "respond-async"},
                                                  task.body)
                left.append((expect.pending(answer)["id"], task))

    async def cancel_one(connection):
        job_id, task = left.pop()
        answer = await connection.request("DELETE", f"/status?id={job_id}")
        if answer.status == 200:
            assert expect.failed(answer, "cancelled")["id"] == job_id
            cancelled[job_id] = task
        elif answer.status != 409:
            expect.error(answer, 503, ("draining", "store_unavailable"))

    async def cancel(choice):
        """On a connection for as long as it lasts, until there is nobody to connect to."""
        while left:
            try:
                connection = await Connection.open(house.url)
            except OSError:
                return
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while left:
                    await cancel_one(connection)
                    await asyncio.sleep(choice.random() / 100)
            await connection.close()

    await asyncio.gather(*(submit(number) for number in range(TOOLS)))
    for stop in range(STOPS):
        house.submit(job(seed=f"stop {stop}"))
        wait_until(lambda: len(sent(sim)) > stop)  # one for each start, or more
        tools = [cancel(random.Random(f"{stop}/{tool}")) for tool in range(TOOLS)]
        with kept_port(house.url):
            house.signal(signal.SIGTERM)
            await asyncio.gather(*tools)
            assert house.wait(10) == 0
        house.start_again()
    for job_id in cancelled:
        expect.failed(house.status(job_id), "cancelled")
    assert cancelled
    assert not set(sent(sim)) & {task.body_sha256 for task in cancelled.values()}


def test_a_cancel_that_cannot_be_stored_at_the_stop_is_told_the_truth(simulator, durable, disk,
                                                                      pool):
    sim = simulator(mode="pro", latency=1.5)
    house = durable(sim, upstream={"max_in_flight": 1}, limits={"drain_timeout": 1.0})
    sim.freeze()
    house.submit(job(seed="sent"))
    sim.wait_for_bytes()
    task = job(seed="queued")
    queued = house.submit(task)
    disk.fail(errno.ENOSPC)
    answer = pool.submit(house.request, "DELETE", f"/status?id={queued}")
    wait_until(lambda: disk.failed)
    sim.thaw()
    house.signal(signal.SIGTERM)
    answer = answer.result()
    assert house.wait(10) == 0
    disk.mend()
    house.start_again()
    if answer.status == 200:
        expect.failed(answer, "cancelled")
        expect.failed(house.finish(queued), "cancelled")
        assert task.body_sha256 not in sent(sim)
    else:
        expect.error(answer, 503, ("store_unavailable", "draining"))
        expect.solved(house.finish(queued), task)


def test_a_result_that_cannot_be_stored_at_the_stop_is_not_told(simulator, durable, disk, pool,
                                                                mode):
    # No poll is answered before the disk fails.
    sim = simulator(mode=mode, latency=0.1, faults=["status:status=503"])
    house = durable(sim, limits={"drain_timeout": 1.0})
    task = job()
    if mode == "pro":
        sim.freeze()
        held = pool.submit(house.solve, task, HELD)
        sim.wait_for_bytes()
    else:  # it is stored as accepted when the disk fails
        job_id = expect.pending(house.solve(task))["id"]
        held = pool.submit(house.status, job_id, "&wait=60")
    disk.fail(errno.ENOSPC)
    sim.thaw()
    sim.clear_faults()
    wait_until(lambda: " outcome=solved " in house.log())
    house.signal(signal.SIGTERM)
    job_id = expect.pending(held.result())["id"]
    assert house.wait(10) == 0
    disk.mend()
    house.start_again()
    final = house.finish(job_id)
    if mode == "pro":  # it may have been charged, and the result went with the process
        expect.failed(final, "outcome_unknown")
    else:
        expect.solved(final, task)
    assert sim.counters()["charged"] == 1


def test_a_stop_that_takes_too_long_tells_what_goes_on_at_the_next_start(simulator, durable):
    sim = simulator(mode="free", latency=3600)
    house = durable(sim, upstream={"max_in_flight": 1}, limits={"drain_timeout": 0.1})
    house.submit(job(seed="accepted"))
    wait_until(lambda: sim.counters()["accepted"] == 1)
    house.submit(job(seed="queued"))
    house.stop_well()
    assert "drain_timeout has passed with 1 waiting and 1 in flight: these jobs go on" in house.log()
