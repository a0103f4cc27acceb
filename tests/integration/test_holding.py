"""Held answers: solve_hold, status_hold, Prefer (RFC 7240), ?wait=; no thread for any of them."""

import asyncio
import time

import pytest

from lib import expect, proc
from lib.build import SANITIZE, patience, wait_until
from lib.http import Connection, request_bytes
from lib.job import job

NEVER = 60  # s: longer than any test waits


def timed(call, *args, **kwargs):
    started = time.monotonic()
    answer = call(*args, **kwargs)
    return answer, time.monotonic() - started


def assert_held(seconds, wanted):
    assert wanted - 0.05 <= seconds < wanted + patience(2.0)


@pytest.fixture
def never(simulator, gateway, mode):
    """A gateway whose upstream takes longer than any test waits."""
    return gateway(simulator(mode=mode, latency=NEVER), answers={"solve_hold": 0})


def test_a_solve_is_held_until_the_upstreams_answer(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0.7), answers={"solve_hold": 20})
    task = job()
    answer, seconds = timed(house.solve, task)
    expect.solved(answer, task)
    assert_held(seconds, 0.7)


def test_a_solve_is_held_no_longer_than_solve_hold(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=NEVER), answers={"solve_hold": 0.7})
    answer, seconds = timed(house.solve, job())
    expect.pending(answer)
    assert_held(seconds, 0.7)


def test_without_solve_hold_a_solve_is_answered_at_once(never):
    answer, seconds = timed(never.solve, job())
    expect.pending(answer)
    assert_held(seconds, 0)
    assert answer.header("Preference-Applied") is None


def test_a_solve_is_answered_as_soon_as_the_upstream_has_queued_it(simulator, gateway):
    house = gateway(simulator(mode="free", latency=NEVER), answers={"solve_hold": NEVER})
    answer, seconds = timed(house.solve, job())
    expect.pending(answer)
    assert_held(seconds, 0)
    assert house.sim.counters()["accepted"] == 1


def test_a_status_is_answered_at_once_without_status_hold(never):
    job_id = never.submit(job())
    answer, seconds = timed(never.status, job_id)
    expect.pending(answer)
    assert_held(seconds, 0)


def test_a_status_is_held_no_longer_than_status_hold(simulator, gateway):
    house = gateway(simulator(latency=NEVER), answers={"status_hold": 0.7})
    answer, seconds = timed(house.status, house.submit(job()))
    expect.pending(answer)
    assert_held(seconds, 0.7)


def test_a_held_status_is_answered_when_the_job_is_final(simulator, gateway, mode):
    house = gateway(simulator(mode=mode, latency=0.7), answers={"status_hold": 20})
    task = job()
    answer, seconds = timed(house.status, house.submit(task))
    expect.solved(answer, task)
    assert seconds < patience(4.0)


@pytest.mark.parametrize("wait", ["wait=20", "wait=20; foo", "Wait=20", "foo, wait=20",
                                  'foo="a, b", wait=20', "handling=lenient, wait = 20"])
def test_prefer_wait_holds_a_solve_until_the_job_is_final(simulator, gateway, mode, wait):
    house = gateway(simulator(mode=mode, latency=0.5), answers={"solve_hold": 0})
    task = job()
    answer = house.solve(task, {"Prefer": wait})
    expect.solved(answer, task)
    assert answer.header("Preference-Applied").replace(" ", "") == "wait=20"


def test_prefer_wait_holds_a_solve_for_its_seconds(never):
    answer, seconds = timed(never.solve, job(), {"Prefer": "wait=1"})
    expect.pending(answer)
    assert_held(seconds, 1)
    assert answer.header("Preference-Applied").replace(" ", "") == "wait=1"


def test_prefer_wait_zero_shortens_the_hold(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=NEVER), answers={"solve_hold": NEVER})
    answer, seconds = timed(house.solve, job(), {"Prefer": "wait=0"})
    expect.pending(answer)
    assert_held(seconds, 0)


def test_respond_async_is_answered_at_once(simulator, gateway, mode):
    house = gateway(simulator(mode=mode, latency=NEVER), answers={"solve_hold": NEVER})
    answer, seconds = timed(house.solve, job(), {"Prefer": "respond-async"})
    expect.pending(answer)
    assert_held(seconds, 0)
    assert answer.header("Preference-Applied") == "respond-async"


@pytest.mark.parametrize("query, headers", [("&wait=20", {}), ("", {"Prefer": "wait=20"})])
def test_a_status_may_ask_to_wait_for_the_end(simulator, gateway, mode, query, headers):
    house = gateway(simulator(mode=mode, latency=0.5))
    task = job()
    expect.solved(house.status(house.submit(task), query, headers), task)


@pytest.mark.parametrize("query, headers", [("&wait=1", {}), ("", {"Prefer": "wait=1"})])
def test_a_status_waits_no_longer_than_it_was_asked_to(never, query, headers):
    answer, seconds = timed(never.status, never.submit(job()), query, headers)
    expect.pending(answer)
    assert_held(seconds, 1)


def test_a_waiting_status_of_an_unknown_id_is_answered_at_once(never):
    answer, seconds = timed(never.status, "h-unknown", "&wait=30")
    expect.error(answer, 404, "unknown_id")
    assert_held(seconds, 0)


JUNK = ["abc", "-1", "", "1e3", "0x10", "20s", "+20", "1.5.2", "NaN", "inf", "--", "20 20"]


@pytest.mark.parametrize("junk", JUNK)
def test_a_wait_that_is_no_number_is_ignored(never, junk):
    job_id = never.submit(job())
    for answer, seconds in (
        timed(never.status, job_id, f"&wait={junk.replace(' ', '%20')}"),
        timed(never.status, job_id, "", {"Prefer": f"wait={junk}"}),
        timed(never.solve, job(), {"Prefer": f"wait={junk}"}),
    ):
        expect.pending(answer)
        assert_held(seconds, 0)
        assert answer.header("Preference-Applied") is None


@pytest.mark.parametrize("prefer", ["waiting=20", "wait", "x-wait=20", 'foo="a, wait=20, b"',
                                    "foo; wait=20", "respond-asyncly", ", ,", "=20"])
def test_a_preference_that_only_looks_like_ours_is_ignored(never, prefer):
    answer, seconds = timed(never.solve, job(), {"Prefer": prefer})
    expect.pending(answer)
    assert_held(seconds, 0)
    assert answer.header("Preference-Applied") is None


@pytest.mark.parametrize("wait", ["99999999999", "99999999999999999999999999", "4294967297"])
def test_a_wait_out_of_all_proportion_does_no_harm(simulator, gateway, wait):
    house = gateway(simulator(mode="free", latency=0.3), answers={"solve_hold": 0})
    task = job()
    answer = house.solve(task, {"Prefer": f"wait={wait}"})
    assert answer.object()["status"] in ("new", "solved")
    expect.solved(house.finish(answer.object()["id"]), task)


async def test_a_tool_that_leaves_while_held_loses_nothing(simulator, gateway, mode):
    house = gateway(simulator(mode=mode, latency=0.7))
    for leave in (Connection.reset, Connection.close):
        before = house.sim.counters()
        connection = await Connection.open(house.url)
        await connection.send(request_bytes(
            "POST", "/api/solve", house.host, {"Prefer": "wait=30"},
            job(seed=leave.__name__).body))
        wait_until(lambda: house.sim.counters()["accepted"] == before["accepted"] + 1)
        await leave(connection)
        wait_until(lambda: house.sim.counters()["solved"] == before["solved"] + 1)
        assert house.sim.counters()["charged"] == before["charged"] + 1
    task = job(seed="next")
    expect.solved(house.run(task), task)


async def test_a_tool_that_leaves_a_held_status_may_ask_again(simulator, gateway, mode):
    house = gateway(simulator(mode=mode, latency=1.0))
    task = job()
    job_id = house.submit(task)
    for _ in range(10):
        connection = await Connection.open(house.url)
        await connection.send(request_bytes("GET", f"/status?id={job_id}&wait=30", house.host))
        await connection.reset()
    expect.solved(house.status(job_id, "&wait=30"), task)


@pytest.mark.parametrize("leave", [Connection.reset, Connection.close], ids=["reset", "close"])
async def test_tools_that_leave_make_room_for_others(simulator, gateway, leave):
    """A held connection that the tool has left does not count against limits.connections."""
    house = gateway(simulator(mode="pro", latency=NEVER), limits={"connections": 20})
    for _ in range(3):
        connections = [await Connection.open(house.url) for _ in range(15)]
        for number, connection in enumerate(connections):
            await connection.send(request_bytes(
                "POST", "/solve", house.host, {"Prefer": "wait=60"}, job(seed=number).body))
        for connection in connections:
            await leave(connection)
        wait_until(lambda: one_more_fits(house), 10.0)


def one_more_fits(house):
    try:
        return house.get("/status?id=h-none").status == 404
    except OSError:
        return False


HELD = 1000
IN_FLIGHT = 10


async def test_a_thousand_held_requests_cost_no_thread_and_little_memory(simulator, gateway):
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, answers={"solve_hold": 110}, upstream={"max_in_flight": IN_FLIGHT},
                    limits={"job_deadline": 115.0})
    port = int(house.host.split(":")[1])
    house.run(job())
    threads_before = proc.threads(house.pid)
    sim.freeze()
    tasks = [job(images=1, size=600, seed=number) for number in range(HELD)]
    assert 900 <= len(tasks[0].body) <= 1100

    connections = await asyncio.gather(*(Connection.open(house.url) for _ in tasks))
    for connection, task in zip(connections, tasks):
        await connection.send(request_bytes("POST", "/solve", house.host, (), task.body))

    def all_read():
        waiting = proc.connections(port)
        return len(waiting) == HELD and not any(waiting)

    wait_until(all_read)
    assert house.get("/status?id=h-none").status == 404
    if SANITIZE is None:
        assert proc.threads(house.pid) == threads_before
        assert proc.resident_bytes(house.pid) < 64 * 2**20
    sim.thaw()
    answers = await asyncio.gather(
        *(connection.answer("POST", timeout=100) for connection in connections))
    for answer, task in zip(answers, tasks):
        expect.solved(answer, task)
    await asyncio.gather(*(connection.close() for connection in connections))
