"""Every limit of the configuration has an error of its own, and costs no byte upstream."""

import asyncio
import itertools
import json
import subprocess
import time

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.http import Connection, chunked, request_bytes
from lib.job import job

NEVER = 60

ASYNC = {"Prefer": "respond-async"}


def job_of(body_bytes, **fields):
    """A job whose body has exactly so many bytes."""
    task = job(images=1, **fields)
    padding = body_bytes - len(task.with_fields(note="").body)
    assert padding >= 0
    return task.with_fields(note="x" * padding)


def no_upstream_byte(house):
    assert house.sim.counters()["solve_requests"] == 0
    assert house.sim.counters()["solve_bytes"] == 0


def fill(house, body_bytes, most):
    """Posts jobs until one is refused; returns how many were taken, and the refusal."""
    for taken in range(most + 1):
        answer = house.solve(job_of(body_bytes, seed=taken), ASYNC)
        if answer.status != 200:
            return taken, answer
        expect.pending(answer)
    raise AssertionError(f"{most} jobs were taken and none refused")


def assert_queue_full(house, refusal):
    expect.error(refusal, 503, "queue_full")
    assert int(refusal.header("Retry-After")) >= 1
    assert house.sim.counters()["solve_requests"] <= 1


def test_a_queue_full_of_jobs_refuses_the_next(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=NEVER), upstream={"max_in_flight": 1},
                    limits={"queue_jobs": 5})
    taken, refusal = fill(house, 1000, 6)
    assert taken in (5, 6)  # the one at the upstream may count as queued, or not
    assert_queue_full(house, refusal)


def test_a_queue_full_of_bytes_refuses_the_next(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=NEVER), upstream={"max_in_flight": 1},
                    limits={"queue_bytes": 50_000, "body_bytes": 20_000})
    taken, refusal = fill(house, 10_000, 6)
    assert taken in (4, 5, 6)  # what a body costs beside its own bytes counts too
    assert_queue_full(house, refusal)


def test_a_full_queue_takes_jobs_again_when_it_has_room(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0.3), upstream={"max_in_flight": 1},
                    limits={"queue_jobs": 2})
    taken, refusal = fill(house, 1000, 20)
    assert taken >= 2
    assert refusal.status == 503
    task = job(seed="later")
    wait_until(lambda: house.solve(task, ASYNC).status == 200, 10.0)
    wait_until(lambda: house.sim.counters()["solved"] == taken + 1)


@pytest.fixture
def small(simulator, gateway):
    return gateway(simulator(mode="pro", latency=0), limits={"body_bytes": 10_000})


def test_a_body_of_exactly_the_limit_is_taken(small):
    task = job_of(10_000)
    assert len(task.body) == 10_000
    expect.solved(small.solve(task), task)


@pytest.mark.parametrize("size", [10_001, 35_000])
def test_a_body_over_the_limit_is_refused_to_a_tool_that_sends_it_all(small, size):
    body = expect.error(small.solve(job_of(size)), 413, "too_large")
    assert "10000" in body["message"]
    no_upstream_byte(small)


async def test_a_body_far_too_large_is_refused_by_its_announced_length_at_once(small):
    async with await Connection.open(small.url) as connection:
        await connection.send(request_bytes(
            "POST", "/solve", small.host,
            {"Content-Type": "application/json", "Content-Length": "8388608"}))
        expect.error(await connection.answer("POST", timeout=5), 413, "too_large")
    no_upstream_byte(small)


@pytest.mark.parametrize("length", ["10001", "4294967296", "18446744073709551615"])
async def test_a_body_too_large_gets_no_100_continue(small, length):
    async with await Connection.open(small.url) as connection:
        await connection.send(request_bytes(
            "POST", "/solve", small.host,
            {"Content-Type": "application/json", "Content-Length": length,
             "Expect": "100-continue"}))
        status, _ = await connection.head(timeout=5)
        assert status == 413
    no_upstream_byte(small)


async def test_a_chunked_body_too_large_is_refused(small):
    async with await Connection.open(small.url) as connection:
        head = request_bytes("POST", "/solve", small.host,
                             {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
        await connection.send(head + chunked(job_of(10_001).body))
        expect.error(await connection.answer("POST", timeout=5), 413, "too_large")
    no_upstream_byte(small)


async def test_an_endless_chunked_body_is_cut_off(small):
    """The gateway may read on a little, so that the answer is not lost, but not for ever."""
    async with await Connection.open(small.url) as connection:
        await connection.send(request_bytes(
            "POST", "/solve", small.host,
            {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises((ConnectionError, asyncio.TimeoutError)):
            while True:
                await asyncio.wait_for(connection.send(chunk), patience(5.0))
    no_upstream_byte(small)


def test_curl_reads_the_refusal_of_a_body_too_large(small):
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "-H", "Content-Type: application/json",
         "--data-binary", "@-", f"{small.url}/api/solve"],
        input=job_of(3_000_000).body, capture_output=True, timeout=60, check=False)
    assert json.loads(done.stdout)["code"] == "too_large", done
    no_upstream_byte(small)


def test_more_images_than_the_limit_are_refused(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), limits={"images": 3})
    body = expect.error(house.solve(job(images=4)), 400, "bad_job")
    assert "images" in body["message"] and "3" in body["message"]
    no_upstream_byte(house)
    expect.solved(house.solve(job(images=3)), job(images=3))


async def test_connections_over_the_limit_are_refused(simulator, gateway):
    limit = 8
    house = gateway(simulator(mode="pro", latency=0), limits={"connections": limit})
    connections = [await Connection.open(house.url) for _ in range(limit)]
    for connection in connections:
        answer = await connection.request("GET", "/status?id=h-none")
        expect.error(answer, 404, "unknown_id")
    async with await Connection.open(house.url) as extra:
        answer = await extra.request("GET", "/status?id=h-none")
        assert answer.status == 503, answer
        body = answer.object()
        assert body["status"] == "error" and body["message"]
        assert int(answer.header("Retry-After")) >= 1
        assert await extra.at_end()
    answer = await connections[0].request("GET", "/status?id=h-none")
    expect.error(answer, 404, "unknown_id")
    await connections.pop().close()
    wait_until(lambda: taken_again(house), 10.0)
    for connection in connections:
        await connection.close()


def taken_again(house):
    try:
        return house.get("/status?id=h-none").status == 404
    except OSError:
        return False


async def timed_out(connection, seconds, method="POST"):
    """The answer to a request that was never finished, and that it comes in time."""
    started = time.monotonic()
    answer = await connection.answer(method, timeout=seconds + 5)
    assert time.monotonic() - started < patience(seconds + 2)
    expect.error(answer, 408, "request_timeout")
    assert await connection.at_end()


async def drip_until_answered(connection, data, seconds):
    """Sends a byte now and then, so that the connection is never idle, until the answer comes."""
    dripping = asyncio.create_task(connection.drip(data, 0.05))
    try:
        await timed_out(connection, seconds)
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


@pytest.fixture
def hasty(simulator, gateway):
    return gateway(simulator(mode="pro", latency=0),
                   limits={"header_timeout": 0.6, "body_timeout": 0.6})


async def test_a_dripping_header_is_cut_off_at_header_timeout(hasty):
    async with await Connection.open(hasty.url) as connection:
        head = b"POST /solve HTTP/1.1\r\nX-Filler: " + b"x" * 4000
        await drip_until_answered(connection, head, 0.6)
    no_upstream_byte(hasty)


async def test_a_dripping_header_is_cut_off_on_a_kept_connection_too(hasty):
    async with await Connection.open(hasty.url) as connection:
        answer = await connection.request("GET", "/status?id=h-none")
        assert answer.status == 404
        dripping = asyncio.create_task(
            connection.drip(b"GET /status HTTP/1.1\r\nX-Filler: " + b"x" * 4000, 0.05))
        try:
            await asyncio.wait_for(connection.reader.read(), patience(6.0))
        finally:
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)


async def test_a_dripping_body_is_cut_off_at_body_timeout(hasty):
    async with await Connection.open(hasty.url) as connection:
        whole = request_bytes("POST", "/solve", hasty.host, (), job().body)
        head, body = whole.split(b"\r\n\r\n", 1)
        await connection.send(head + b"\r\n\r\n")
        await drip_until_answered(connection, body, 0.6)
    no_upstream_byte(hasty)


async def test_a_body_that_stops_is_cut_off_at_body_timeout(hasty):
    async with await Connection.open(hasty.url) as connection:
        whole = request_bytes("POST", "/solve", hasty.host, (), job().body)
        await connection.send(whole[:-10])
        await timed_out(connection, 0.6)
    no_upstream_byte(hasty)


async def test_a_connection_without_a_byte_is_closed_in_time(hasty):
    async with await Connection.open(hasty.url) as connection:
        started = time.monotonic()
        await asyncio.wait_for(connection.reader.read(), patience(10.0))
        assert time.monotonic() - started < patience(5.0)


async def test_the_time_outs_do_not_cut_a_held_answer(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=1.5),
                    limits={"header_timeout": 0.5, "body_timeout": 0.5})
    task = job()
    async with await Connection.open(house.url) as connection:
        answer = await connection.request("POST", "/solve", {"Prefer": "wait=20"}, task.body)
        expect.solved(answer, task)


async def test_the_time_outs_begin_anew_with_each_request(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0),
                    limits={"header_timeout": 1.0, "body_timeout": 1.0})
    async with await Connection.open(house.url) as connection:
        began = time.monotonic()
        for seed in itertools.count():
            task = job(seed=seed)
            await asyncio.sleep(0.05)  # a tool's own pace
            expect.solved(await connection.request("POST", "/solve", (), task.body), task)
            if time.monotonic() - began > 1.8:
                break


def test_a_job_that_takes_too_long_upstream_ends_at_its_deadline(simulator, gateway):
    house = gateway(simulator(mode="free", latency=NEVER), limits={"job_deadline": 1.0})
    started = time.monotonic()
    expect.failed(house.solve(job(), {"Prefer": "wait=30"}), "deadline")
    assert 0.9 <= time.monotonic() - started < patience(4.0)


def test_every_job_of_a_queue_that_stands_still_ends_at_its_deadline(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=NEVER), upstream={"max_in_flight": 1},
                    limits={"job_deadline": 1.5})
    jobs = [(house.submit(job(seed=seed)), time.monotonic()) for seed in range(20)]
    for job_id, posted in jobs:
        expect.failed(house.status(job_id, "&wait=30"), ("deadline", "outcome_unknown"))
        assert time.monotonic() - posted < patience(1.5 + 2)


async def test_a_post_without_a_length_is_411(small):
    async with await Connection.open(small.url) as connection:
        await connection.send(request_bytes(
            "POST", "/solve", small.host, {"Content-Type": "application/json"}))
        answer = await connection.answer("POST", timeout=5)
        assert answer.status == 411
        body = answer.object()
        assert body["status"] == "error" and body["code"] and body["message"]
    no_upstream_byte(small)


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/jsonp", "application/json-seq", "text/json", "xapplication/json"],
)
async def test_another_content_type_is_415(small, content_type):
    task = job()
    headers = [("Content-Length", str(len(task.body)))]
    if content_type is not None:
        headers.append(("Content-Type", content_type))
    async with await Connection.open(small.url) as connection:
        await connection.send(request_bytes("POST", "/solve", small.host, headers) + task.body)
        expect.error(await connection.answer("POST", timeout=5), 415, "not_json")
    no_upstream_byte(small)


async def test_headers_without_measure_are_refused(small):
    for count, size in ((1, 100_000), (2000, 40)):
        async with await Connection.open(small.url) as connection:
            headers = [(f"X-{n}", "x" * size) for n in range(count)]
            try:
                await connection.send(request_bytes(
                    "POST", "/solve", small.host, headers, job().body))
                answer = await connection.answer("POST", timeout=5)
            except (ConnectionError, asyncio.IncompleteReadError):
                continue  # closed while we were still sending: refused too
            assert answer.status in (400, 413, 431), answer
    no_upstream_byte(small)


def test_two_hundred_refusals_leave_nothing_behind(small):
    too_large = job_of(10_001)
    for _ in range(200):
        expect.error(small.solve(too_large), 413, "too_large")
    no_upstream_byte(small)
    expect.solved(small.solve(job()), job())
