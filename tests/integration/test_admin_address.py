"""The admin address: health, readiness, and nothing else but the metrics."""

import asyncio
import signal
import socket
import time

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.gateway import LOOPBACK
from lib.http import Connection, request
from lib.job import job

HELD = {"Prefer": "wait=30"}
NEVER = 60
OPERATORS = ["/metrics", "/healthz", "/readyz"]
TOOLS = ["/api/solve", "/solve", "/api/status?id=h-x", "/status?id=h-x", "/api/account/balance",
         "/balance"]


def ask(house, method, target, headers=None, body=None):
    return request(house.admin_url, method, target, body, headers)


# ---- health and readiness ----


def test_a_well_gateway_is_alive_and_ready(start):
    house = start()
    for target, status in (("/healthz", "ok"), ("/readyz", "ready")):
        answer = ask(house, "GET", target)
        assert (answer.status, answer.object()) == (200, {"status": status})


def test_a_full_queue_is_not_ready(simulator, start):
    sim = simulator(mode="pro", latency=NEVER)
    house = start(sim, upstream={"max_in_flight": 1}, limits={"queue_jobs": 1})
    house.submit(job(seed="sent"))
    wait_until(lambda: sim.counters()["accepted"] == 1)
    house.submit(job(seed="waits"))
    refusal = ask(house, "GET", "/readyz")
    expect.error(refusal, 503, "queue_full")
    assert int(refusal.header("Retry-After")) >= 1
    assert ask(house, "GET", "/healthz").status == 200


def test_without_an_account_it_is_not_ready(start):
    house = start()
    house.sim.fault("solve:code=1")
    expect.failed(house.solve(job(), HELD), "upstream_rejected")
    expect.error(ask(house, "GET", "/readyz"), 503, "no_upstream")


def test_a_draining_gateway_is_alive_and_not_ready(start, gate):
    house = start(upstream=gate.entry, limits={"drain_timeout": 60.0})
    house.submit(job())
    gate.wait_for(1)
    house.signal(signal.SIGTERM)
    refusal = wait_until(lambda: not_ready(house), pause=0.005)
    expect.error(refusal, 503, "draining")
    assert ask(house, "GET", "/healthz").status == 200
    assert house.metrics()['solvegate_in_flight{upstream="main"}'] == 1
    gate.let(1)
    assert house.wait(10) == 0


def not_ready(house):
    answer = ask(house, "GET", "/readyz")
    return answer if answer.status != 200 else None


# ---- the address itself ----


def test_without_admin_there_is_no_such_listener(simulator, gateway):
    house = gateway(simulator())
    assert house.log().count("ready http://") == 1
    for target in OPERATORS:
        expect.error(house.get(target), 404, "not_found")


def test_its_ready_line_is_the_last(start):
    house = start(listen=[LOOPBACK] * 2)
    assert len(set(house.urls)) == 3
    assert ask(house, "GET", "/healthz").status == 200
    for url in house.urls[:2]:
        expect.error(request(url, "GET", "/healthz"), 404, "not_found")


@pytest.mark.parametrize("target", OPERATORS)
def test_tools_do_not_find_what_operators_ask_for(start, target):
    house = start()
    for method in ("GET", "HEAD", "POST"):
        assert house.request(method, target).status == 404


@pytest.mark.parametrize("target", TOOLS)
def test_operators_do_not_find_what_tools_ask_for(start, target):
    house = start()
    body = expect.error(ask(house, "GET", target), 404, "not_found")
    assert "/metrics" in body["message"]
    refusal = ask(house, "POST", target, {"Content-Type": "application/json"}, job().body)
    expect.error(refusal, 404, "not_found")
    assert house.sim.counters()["solve_requests"] == 0


@pytest.mark.parametrize("target", OPERATORS)
def test_another_method_is_told_which_are_allowed(start, target):
    house = start()
    for method in ("POST", "PUT", "DELETE"):
        refusal = ask(house, method, target)
        expect.error(refusal, 405, "method_not_allowed")
        assert refusal.header("Allow") == "GET, HEAD"


@pytest.mark.parametrize("target", OPERATORS)
async def test_head_is_answered_without_a_body(start, target):
    house = start()
    async with await Connection.open(house.admin_url) as connection:
        for method in ("HEAD", "GET", "HEAD"):
            answer = await connection.request(method, target)
            assert answer.status == 200
            assert bool(answer.body) == (method == "GET")


@pytest.mark.parametrize("target", OPERATORS)
def test_a_host_that_is_not_ours_is_refused(start, target):
    house = start()
    expect.error(ask(house, "GET", target, {"Host": "rebound.example.com"}), 403, "forbidden_host")
    assert ask(house, "GET", target, {"Host": "localhost:8119"}).status == 200


async def test_tools_that_take_all_connections_leave_operators_theirs(start):
    house = start(limits={"connections": 5})
    held = [await Connection.open(house.url) for _ in range(10)]
    try:
        answers = [await connection.request("GET", "/status?id=h-none") for connection in held]
        refused = [answer for answer in answers if answer.status == 503]
        assert len(refused) == 5
        body = expect.error(refused[0], 503, "too_many_connections")
        assert "limits.connections" in body["message"]
        async with await Connection.open(house.admin_url) as connection:
            assert (await connection.request("GET", "/readyz")).status == 200
    finally:
        for connection in held:
            await connection.close()


async def test_too_many_operators_are_told_so(start):
    house = start()
    held = [await Connection.open(house.admin_url) for _ in range(40)]
    try:
        answers = [await connection.request("GET", "/healthz") for connection in held]
        refused = [answer for answer in answers if answer.status == 503]
        assert 0 < len(refused) < len(held)
        body = expect.error(refused[0], 503, "too_many_connections")
        assert "limits.connections" not in body["message"]
    finally:
        for connection in held:
            await connection.close()


async def test_an_open_connection_of_an_operator_does_not_delay_the_stop(start):
    house = start(limits={"drain_timeout": 30.0})
    async with await Connection.open(house.admin_url) as connection:
        assert (await connection.request("GET", "/healthz")).status == 200
        started = time.monotonic()
        house.signal(signal.SIGTERM)
        assert await connection.at_end(timeout=5)
        assert await asyncio.to_thread(house.wait, 5) == 0
        assert time.monotonic() - started < patience(3.0)


def test_a_port_that_is_taken_is_an_error_that_names_it(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=rf"ended with 1:(.|\n)*127\.0\.0\.1 port {port}"):
            start(admin={"address": "127.0.0.1", "port": port})
