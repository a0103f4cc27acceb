"""Deadlines are absolute, also on a kept connection and for a client that does not read; and a body
that is declared too large is refused at once and drained for a while."""

import asyncio
import contextlib
import select
import socket
import time
import urllib.parse

import pytest

from lib import expect
from lib.build import patience
from lib.http import Connection, request_bytes
from lib.job import job

TIMEOUT = 0.6

GET = "GET /status?id=h-none HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def house(simulator, gateway):
    return gateway(simulator(mode="pro", latency=0), workers=1,
                   limits={"header_timeout": TIMEOUT, "body_timeout": TIMEOUT,
                           "body_bytes": 100000})


async def is_cut(connection, text, began):
    """Whether a request that comes byte by byte is answered in time, and the connection closed."""
    dripping = asyncio.create_task(connection.drip(text, 0.02))
    try:
        said = expect.error(await connection.answer(timeout=10), 408, "request_timeout")["message"]
        assert said in (f"the header did not arrive within {TIMEOUT} s (limits.header_timeout)",
                        f"the body did not arrive within {TIMEOUT} s (limits.body_timeout)")
        assert await connection.at_end()
        assert TIMEOUT - 0.05 <= time.monotonic() - began < patience(TIMEOUT + 1.0)
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


@pytest.mark.parametrize("text", [
    b"GET /status?id=" + b"x" * 1000,                          # the request line does not end
    b"GET /status HTTP/1.1\r\nX-Filler: " + b"x" * 1000,
    b"POST /solve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n" + b"x" * 900,
], ids=["request line", "header", "body"])
@pytest.mark.parametrize("requests", [1, 3])
async def test_a_later_request_that_trickles_in_is_cut(house, text, requests):
    async with await Connection.open(house.url) as connection:
        for _ in range(requests):
            expect.error(await connection.request("GET", "/status?id=h-none"), 404, "unknown_id")
        began = time.monotonic()
        whole = text.index(b"\r\n\r\n") + 4 if b"\r\n\r\n" in text else 0
        await connection.send(text[:whole])
        await is_cut(connection, text[whole:], began)


async def test_a_request_that_came_with_the_one_before_has_its_deadline_too(house):
    async with await Connection.open(house.url) as connection:
        began = time.monotonic()
        await connection.send(request_bytes("GET", "/status?id=h-none", house.host) + b"GET /sta")
        expect.error(await connection.answer(timeout=5), 404, "unknown_id")
        await is_cut(connection, b"tus?id=" + b"x" * 1000, began)


async def test_a_pause_between_requests_is_no_trickle(house):
    async with await Connection.open(house.url) as connection:
        for _ in range(2):
            expect.error(await connection.request("GET", "/status?id=h-none"), 404, "unknown_id")
            await asyncio.sleep(TIMEOUT * 2)
        expect.error(await connection.request("GET", "/status?id=h-none"), 404, "unknown_id")


async def test_a_request_that_has_arrived_is_read_before_its_deadline_counts(house):
    """The gateway stands still meanwhile, as a suspended machine does."""
    whole = request_bytes("POST", "/solve", house.host, (), job(images=1).body)
    for end in (10, -10):
        async with await Connection.open(house.url) as connection:
            await connection.send(whole[:end])
            await asyncio.sleep(TIMEOUT / 3)
            house.freeze()
            await connection.send(whole[end:])
            await asyncio.sleep(TIMEOUT + 1.5)
            house.thaw()
            assert (await connection.answer("POST", timeout=5)).status == 200


def narrow(house):
    """A connection whose client takes in little."""
    parts = urllib.parse.urlsplit(house.url)
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    one.settimeout(patience(10))
    one.connect((parts.hostname, parts.port))
    return one


def send_without_reading(connection, requests):
    """As many as the gateway takes."""
    data = GET.encode() * requests
    connection.settimeout(0.1)
    with contextlib.suppress(TimeoutError, ConnectionError):
        connection.sendall(data)
    connection.settimeout(patience(10))


def read_slowly_until_reset(connection):
    """What the client's kernel has stays to be read after the end. Returns after how many seconds
    that came."""
    began, poll = time.monotonic(), select.poll()
    poll.register(connection, 0)
    while not poll.poll(20):
        assert time.monotonic() - began < patience(20)
        assert connection.recv(1)
    return time.monotonic() - began


@pytest.mark.parametrize("requests", [60, 20000], ids=["buffered by the kernel", "not written"])
def test_a_client_that_does_not_read_is_cut(house, requests):
    with contextlib.closing(narrow(house)) as connection:
        send_without_reading(connection, requests)
        assert read_slowly_until_reset(connection) < patience(TIMEOUT + 2.0)


def test_a_client_that_has_read_everything_is_kept(house):
    with contextlib.closing(narrow(house)) as connection:
        connection.sendall(GET.encode())
        assert b"404" in connection.recv(4096)
        time.sleep(TIMEOUT * 2)
        connection.sendall(GET.encode())
        assert b"404" in connection.recv(4096)


# ---- 413 ----

HEADER = {"Content-Type": "application/json", "Content-Length": str(50_000_000)}


async def test_a_declared_length_above_the_limit_is_refused_before_the_body_comes(house):
    async with await Connection.open(house.url) as connection:
        await connection.send(request_bytes("POST", "/solve", house.host, HEADER))
        expect.error(await connection.answer("POST", timeout=5), 413, "too_large")
        assert await connection.at_end()


async def test_what_still_comes_after_a_413_is_drained_for_a_while_only(house):
    async with await Connection.open(house.url) as connection:
        await connection.send(request_bytes("POST", "/solve", house.host, HEADER))
        for _ in range(20):
            await connection.send(b" " * 100_000)
        expect.error(await connection.answer("POST", timeout=5), 413, "too_large")
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - began < patience(10):
                await connection.send(b" " * 1000)
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\n: x\r\n\r\n", b"hello\r\n"])
async def test_a_client_that_sends_on_reads_the_refusal_of_a_malformed_request(house, text):
    async with await Connection.open(house.url) as connection:
        await connection.send(text)
        await asyncio.sleep(0.05)
        for _ in range(20):
            await connection.send(b"x" * 100_000)
        expect.error(await connection.answer(timeout=5), 400, "bad_request")
        assert await connection.at_end()


def test_a_body_up_to_the_limit_leaves_a_refused_connection_open(house):
    """Whatever it was refused for."""
    task = job(site="elsewhere.example", images=1, size=20000)
    from_connections = {house.solve(task).header("Connection") for _ in range(2)}
    assert from_connections == {None} or from_connections == {"Keep-Alive"}
