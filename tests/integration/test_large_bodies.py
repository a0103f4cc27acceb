"""Bodies that take long to parse: on threads of their own, one of each client at a time, so that no
other client waits for them. The gate of lib/latework holds these threads back."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import expect, http, proc
from lib.build import SANITIZE, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK, STOP_TIMEOUT
from lib.http import Connection, request_bytes
from lib.job import job
from lib.latework import LateWork
from lib.manager import Manager

ONE, OTHER = Client("one"), Client("other")
ASYNC = {"Prefer": "respond-async"}
HELD = {"Prefer": "wait=30"}

ON_LOOP = 256 * 1024  # the largest body that is parsed on the loop
TURN = 512 * 1024  # all of one turn

MEGABYTES = 8 if SANITIZE is None else 1


@pytest.fixture
def work(tmp_path):
    return LateWork(tmp_path / "gate")


@pytest.fixture
def house(simulator, gateway, work):
    """With one worker, and threads that wait until the test ends at the latest."""
    yield gateway(simulator(mode="pro", latency=0), clients=[ONE, OTHER], admin=LOOPBACK, workers=1,
                  environment=work.environment)
    work.go()


def job_of(size, seed=0):
    """A job whose body has exactly so many bytes."""
    bare = job(images=1, size=20, seed=seed, target="bus")
    pad = size - len(bare.body)
    task = job(images=1, size=20 + pad // 4 * 3 - pad // 4 * 3 % 3, seed=seed, target="bus")
    task = task.with_fields(target="bus" + "." * (size - len(task.body)))
    assert len(task.body) == size
    return task


async def post(house, client, task, headers=HELD):
    """A connection on which a job was posted, and that waits for the answer."""
    connection = await Connection.open(house.url)
    await connection.send(request_bytes("POST", "/solve", house.host,
                                        {**client.headers, **headers}, task.body))
    return connection


def all_was_read(house, count):
    port = int(house.host.rsplit(":", 1)[1])
    wait_until(lambda: proc.connections(port).count(0) >= count,
               what=f"{count} connections are read")


def solves(house, client, task):
    expect.solved(house.caller(client).solve(task, HELD), task)


def parsed_off_loop(house):
    return house.metrics()["solvegate_bodies_parsed_off_loop_total"]


def no_body_is_left(house):
    wait_until(lambda: house.metrics()["solvegate_queue_bytes"] == 0, what="no body in memory")


# ---- where a body is parsed ----


async def test_a_body_above_the_limit_waits_for_a_thread_and_nobody_waits_for_it(house, work):
    small, large = job_of(ON_LOOP, 1), job_of(ON_LOOP + 1, 2)
    async with await post(house, ONE, large) as waiting:
        all_was_read(house, 1)
        solves(house, ONE, small)
        solves(house, OTHER, job(seed=3))
        assert house.sim.counters()["accepted"] == 2
        work.go()
        expect.solved(await waiting.answer("POST"), large)
    assert parsed_off_loop(house) == 1
    no_body_is_left(house)


async def test_what_comes_together_is_parsed_on_the_loop_only_as_far_as_one_turn_may(house, work):
    count, size = 12, 100_000
    tasks = [job_of(size, seed) for seed in range(count)]
    bodies = [request_bytes("POST", "/solve", house.host, {**ONE.headers, **HELD}, task.body)
              for task in tasks]
    connections = [await Connection.open(house.url) for _ in tasks]
    for connection, body in zip(connections, bodies):
        await connection.send(body[:-1])
    all_was_read(house, count)
    house.freeze()
    try:
        for connection, body in zip(connections, bodies):
            await connection.send(body[-1:])
        port = int(house.host.rsplit(":", 1)[1])
        wait_until(lambda: proc.connections(port).count(1) == count, what="all have come")
    finally:
        house.thaw()
    on_loop = TURN // size
    wait_until(lambda: house.sim.counters()["accepted"] == on_loop, what=f"{on_loop} are sent")
    solves(house, OTHER, job(seed="another turn"))
    assert house.sim.counters()["accepted"] == on_loop + 1
    work.go()
    for connection, task in zip(connections, tasks):
        expect.solved(await connection.answer("POST"), task)
        await connection.close()
    assert parsed_off_loop(house) == count - on_loop


def test_a_large_body_is_judged_as_a_small_one(house, work):
    work.go()
    tool, large = house.caller(ONE), job_of(3 * ON_LOOP)
    expect.error(tool.solve(large.with_body(large.body[:-1]), ASYNC), 400, "bad_json")
    expect.error(tool.solve(large.with_fields(target=None), ASYNC), 400, "bad_job")
    expect.error(tool.solve(large.with_fields(method="ocr"), ASYNC), 403,
                 "method_not_allowed_for_job")
    expect.error(tool.solve(large.with_fields(site="not-listed.example.com"), ASYNC), 403,
                 "site_not_allowed")
    expect.error(tool.solve(large, {**ASYNC, "Idempotency-Key": "\u00e9"}), 400, "bad_request")
    assert house.sim.counters()["solve_requests"] == 0
    solves(house, ONE, large)
    no_body_is_left(house)


def test_an_idempotency_key_counts_with_a_large_body(house, work):
    work.go()
    tool, keyed = house.caller(ONE), {**ASYNC, "Idempotency-Key": "k"}
    task, different = job_of(ON_LOOP + 1, 1), job_of(ON_LOOP + 1, 2)
    first = tool.solve(task, keyed).object()["id"]
    assert tool.solve(task, keyed).object()["id"] == first
    expect.error(tool.solve(different, keyed), 422, "key_reused")


# ---- too many values ----


def zeros(size):
    before = b'{"images":["QUJD"],"target":"bus","method":"hcaptcha_base64","x":[0'
    after = b"]}"
    return before + b",0" * ((size - len(before) - len(after)) // 2) + after


@pytest.mark.parametrize("size", [50_000, 8_000_000])
def test_a_job_with_too_many_values_is_refused(house, work, size):
    work.go()
    body = expect.error(house.caller(ONE).solve(job().with_body(zeros(size)), ASYNC), 400, "bad_job")
    assert "10000" in body["message"]
    assert house.sim.counters()["solve_requests"] == 0


# ---- what may happen meanwhile ----


async def test_a_client_that_goes_has_its_job_bought_once(house, work):
    task = job_of(ON_LOOP + 1)
    connection = await post(house, ONE, task)
    all_was_read(house, 1)
    await connection.reset()
    work.go()
    wait_until(lambda: house.sim.counters()["solved"] == 1, what="it is bought all the same")
    solves(house, ONE, task)
    assert house.sim.counters()["charged"] == 1
    no_body_is_left(house)


async def test_a_client_that_has_only_closed_its_side_gets_its_answer(house, work):
    task = job_of(ON_LOOP + 1)
    async with await post(house, ONE, task) as connection:
        all_was_read(house, 1)
        connection.writer.write_eof()
        work.go()
        expect.pending(await connection.answer("POST"))


async def test_a_token_that_is_revoked_meanwhile_is_refused_at_once(house, work):
    async with await post(house, ONE, job_of(ON_LOOP + 1)) as connection:
        all_was_read(house, 1)
        house.reload(clients=[OTHER])
        expect.error(await connection.answer("POST"), 401, "unauthorized")
    work.go()
    no_body_is_left(house)
    assert house.sim.counters()["solve_requests"] == 0


async def test_bodies_that_wait_when_the_drain_ends_are_refused(house, work):
    connections = [await post(house, client, job_of(ON_LOOP + 1, seed))
                   for seed in range(3) for client in (ONE, OTHER)]
    all_was_read(house, len(connections))
    house.signal(signal.SIGTERM)
    for connection in connections:
        expect.error(await connection.answer("POST"), 503, "draining")
        await connection.close()
    work.go()  # the threads find nothing to do
    assert house.wait(STOP_TIMEOUT) == 0
    assert house.sim.counters()["solve_requests"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_bodies_that_are_parsed_while_it_stops_do_no_harm(gateway, simulator, number):
    house = gateway(simulator(mode="pro", latency=0), clients=[ONE, OTHER], admin=LOOPBACK)
    tasks = [job_of(4 * ON_LOOP, seed) for seed in range(8)]
    connections = [await post(house, client, task) for task in tasks for client in (ONE, OTHER)]
    house.signal(number)
    for connection in connections:
        try:
            answer = await connection.answer("POST")
        except (ConnectionError, asyncio.IncompleteReadError):
            continue  # it had not come in yet
        if answer.status != 200:
            expect.error(answer, 503, "draining")
        await connection.close()
    assert house.wait(STOP_TIMEOUT) == 0


# ---- floods ----


def flood_of(name, size):
    if name == "zeros":
        return zeros(size)
    before = (b'{"target":"bus","method":"hcaptcha_base64","site":"not-listed.example.com",'
              b'"images":["')
    return before + b"QUJD" * ((size - len(before) - 3) // 4) + b'"]}'


@pytest.mark.parametrize("name, connections, status, code", [
    ("zeros", 100, 400, "bad_job"),
    ("images", 50, 403, "site_not_allowed"),
])
def test_a_flood_of_large_bodies_stops_neither_polls_nor_heartbeats(
        simulator, gateway, name, connections, status, code):
    manager = Manager(watchdog=0.3)
    try:
        house = gateway(simulator(mode="pro", latency=0), clients=[ONE, OTHER],
                        log={"level": "info"}, environment=manager.environment)
        flood = job().with_body(flood_of(name, MEGABYTES << 20))
        tool = house.caller(OTHER)
        job_id = tool.submit(job())
        tool.finish(job_id)
        with ThreadPoolExecutor(connections) as pool:
            beats, polls = manager.count("WATCHDOG=1"), 0
            refusals = [pool.submit(house.caller(ONE).request, "POST", "/api/solve", flood.body,
                                    {"Content-Type": "application/json"}, 10 * http.TIMEOUT)
                        for _ in range(connections)]
            while not all(refusal.done() for refusal in refusals):
                assert tool.status(job_id).object()["status"] == "solved"
                polls += 1
            for refusal in refusals:
                expect.error(refusal.result(), status, code)
        assert polls > 0
        manager.wait_for("WATCHDOG=1", beats + 3)
        assert house.sim.counters()["solve_requests"] == 1
        house.stop_well()
    finally:
        manager.close()
