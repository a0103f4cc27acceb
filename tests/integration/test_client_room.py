"""Clients of one address, behind a proxy for example, are told apart by their tokens: none of them
keeps the others out by its connections, and neither does a caller without a token."""

import asyncio
import contextlib

import pytest

from lib import expect
from lib.build import wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import Connection, request_bytes
from lib.job import job

LIMIT = 20
BEYOND = 256  # so many more are refused
NEVER = 60

GREEDY, MODEST = Client("greedy"), Client("modest")


@pytest.fixture
def start(simulator, gateway):
    def start(clients=(GREEDY, MODEST), **limits):
        return gateway(simulator(mode="free", latency=NEVER), workers=1, clients=list(clients),
                       limits={"connections": LIMIT, "drain_timeout": 0, **limits},
                       admin=LOOPBACK)

    return start


class Crowd:
    """Connections that stay open."""

    def __init__(self, stack, house):
        self._stack = stack
        self._house = house

    async def connect(self):
        connection = await Connection.open(self._house.url)
        self._stack.push_async_callback(connection.close)
        return connection

    async def send(self, count, method, target, headers=(), body=None):
        """Each sends a request, and the answer may take long."""
        connections = []
        for _ in range(count):
            connection = await self.connect()
            await connection.send(
                request_bytes(method, target, self._house.host, headers, body))
            connections.append(connection)
        return connections

    async def ask(self, count, method, target, headers=()):
        """Each sends a request, and stays when it is answered. Returns the connections."""
        connections = []
        for _ in range(count):
            connection = await self.connect()
            connection.first = await connection.request(method, target, headers)
            connections.append(connection)
        return connections

    async def hold(self, client, count):
        """Each sends a job of its own, whose answer takes long. Returns when all are held."""
        held, before = [], unfinished(self._house)
        for number in range(count):
            task = job(images=1, seed=f"{client.name} {number}")
            held += await self.send(1, "POST", "/api/solve",
                                    {**client.headers, "Prefer": "wait=3600"}, task.body)
        await asyncio.to_thread(
            wait_until, lambda: unfinished(self._house) == before + count, 20.0, "jobs are held")
        return held


def unfinished(house):
    metrics = house.metrics()
    return metrics["solvegate_queue_jobs"] + metrics['solvegate_in_flight{upstream="main"}']


@contextlib.asynccontextmanager
async def crowd(house):
    async with contextlib.AsyncExitStack() as stack:
        yield Crowd(stack, house)


async def ask(house, headers=(), method="GET", target="/api/status?id=h-none", body=None):
    """On a connection of its own, which has left its place when the answer is returned."""
    async with await Connection.open(house.url) as connection:
        answer = await connection.request(method, target, {**dict(headers), "Connection": "close"},
                                          body)
        assert await connection.reader.read() == b""
        return answer


async def is_served(house, client):
    expect.error(await ask(house, client.headers), 404, "unknown_id")
    task = job(images=1, seed="new")
    expect.pending(await ask(house, {**client.headers, "Prefer": "respond-async"}, "POST",
                             "/api/solve", task.body))


async def answered(connections):
    """Those that have an answer by now, or are closed."""
    early = []
    for connection in connections:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(connection.reader.read(1), 0.01)
            early.append(connection)
    return early


async def test_a_client_that_holds_all_connections_makes_room_for_another_client(start):
    house = start()
    async with crowd(house) as greedy:
        held = await greedy.hold(GREEDY, LIMIT)
        for _ in range(3):
            await is_served(house, MODEST)
        answer = await held[0].answer("POST")
        expect.pending(answer)
        assert answer.header("Connection").lower() == "close"
        assert await answered(held[1:]) == []


async def test_the_holds_of_a_modest_client_go_on(start):
    house = start()
    async with crowd(house) as all_of_them:
        modest = await all_of_them.hold(MODEST, 3)
        greedy = await all_of_them.hold(GREEDY, LIMIT - 3)
        polls = await all_of_them.ask(4, "GET", "/api/status?id=h-none", MODEST.headers)
        assert [poll.first.status for poll in polls] == 4 * [404]
        for connection in greedy[:4]:
            expect.pending(await connection.answer("POST"))
        assert await answered(modest + greedy[4:]) == []


async def test_the_client_with_the_most_connections_gets_no_further_one(start):
    """It does not pass for a new one before its token has come."""
    house = start()
    async with crowd(house) as all_of_them:
        modest = await all_of_them.hold(MODEST, 3)
        greedy = await all_of_them.hold(GREEDY, LIMIT - 3)
        for _ in range(3):
            expect.error(await ask(house, GREEDY.headers), 503, "too_many_connections")
        assert await answered(modest + greedy) == []


async def test_kept_connections_count_for_the_client_of_their_last_request(start):
    house = start()
    async with crowd(house) as all_of_them:
        greedy = await all_of_them.ask(LIMIT, "GET", "/api/usage", GREEDY.headers)
        answer = await greedy[0].request("GET", "/api/usage", MODEST.headers)
        assert answer.status == 200
        await all_of_them.ask(2, "GET", "/api/usage", MODEST.headers)
        expect.error(await ask(house, GREEDY.headers), 503, "too_many_connections")
        for connection in greedy[1:3]:
            assert await connection.at_end()
        assert await answered([greedy[0], *greedy[3:]]) == []


@pytest.mark.parametrize("method, target, status", [
    ("HEAD", "/nothing", 404), ("PUT", "/api/solve", 405), ("GET", "/api/usage", 401),
    ("GET", "/api/status?id=h-none", 404)])
async def test_connections_without_a_token_make_room_for_a_client(start, method, target, status):
    house = start()
    async with crowd(house) as strangers:
        kept = await strangers.ask(LIMIT, method, target)
        assert {connection.first.status for connection in kept} == {status}
        for _ in range(3):
            await is_served(house, MODEST)


async def test_silent_connections_of_the_same_address_beyond_every_limit_make_room(start):
    """Of those that are only kept to be refused as well."""
    house = start(header_timeout=60.0)
    async with crowd(house) as silent:
        for _ in range(LIMIT + BEYOND + 50):
            await silent.connect()
        for _ in range(3):
            await is_served(house, MODEST)


async def test_connections_that_were_only_refused_make_room_where_there_are_no_clients(start):
    """All callers of the address are one then, but a request that is refused itself ends nothing."""
    house = start(clients=())
    async with crowd(house) as strangers:
        kept = await strangers.ask(LIMIT, "HEAD", "/nothing")
        expect.error(await ask(house, target="/nothing"), 503, "too_many_connections")
        assert await answered(kept) == []
        expect.error(await ask(house), 404, "unknown_id")


async def test_connections_that_were_only_refused_make_room_before_others(start):
    house = start(clients=())
    async with crowd(house) as strangers:
        served = await strangers.ask(LIMIT - 3, "GET", "/api/status?id=h-none")
        await strangers.ask(3, "HEAD", "/nothing")
        new = await strangers.ask(3, "GET", "/api/status?id=h-none")
        assert [connection.first.status for connection in new] == 3 * [404]
        expect.error(await ask(house), 503, "too_many_connections")
        assert await answered(served + new) == []


async def test_a_connection_that_was_served_once_is_not_one_that_was_only_refused(start):
    house = start(clients=())
    async with crowd(house) as strangers:
        kept = await strangers.ask(LIMIT, "GET", "/api/status?id=h-none")
        for connection in kept:
            expect.error(await connection.request("GET", "/nothing"), 404, "not_found")
        expect.error(await ask(house), 503, "too_many_connections")
        assert await answered(kept) == []
