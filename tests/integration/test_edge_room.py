"""No address locks out another one: when there is no room, slow, idle and held connections of the
address with the most of them make room."""

import asyncio
import contextlib

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import Connection, request_bytes
from lib.job import job
from lib.network import own_address

LIMIT = 20
BEYOND = 256  # so many more are refused
NEVER = 60

OWN = own_address()
GREEDY, MODEST = "127.0.0.2", "127.0.0.1"


async def connect(house, address):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(house.url.rpartition(":")[2]), local_addr=(address, 0))
    return Connection(reader, writer, house.host, 0)


@pytest.fixture
def start(simulator, gateway):
    def start(**limits):
        return gateway(simulator(mode="pro", latency=NEVER), workers=1, admin=LOOPBACK,
                       limits={"connections": LIMIT, **limits})

    return start


async def crowd(stack, house, count, send, address=GREEDY):
    """Connections that have all sent something."""
    connections = []
    for number in range(count):
        connection = await connect(house, address)
        stack.push_async_callback(connection.close)
        await send(house, connection, number)
        connections.append(connection)
    return connections


async def send_nothing(_house, connection, _number):
    await asyncio.sleep(0)


async def send_half_a_header(_house, connection, _number):
    await connection.send(b"GET /status?id=x HTTP/1.1\r\nHost")


async def send_half_a_body(house, connection, number):
    whole = request_bytes("POST", "/solve", house.host, (), job(seed=number).body)
    await connection.send(whole[:-9])


async def ask_and_stay(_house, connection, _number):
    expect.error(await connection.request("GET", "/status?id=h-none"), 404, "unknown_id")


async def send_a_job(house, connection, number):
    await connection.send(request_bytes("POST", "/solve", house.host, {"Prefer": "wait=30"},
                                        job(images=1, seed=number).body))


def jobs_in(house):
    metrics = house.metrics()
    return metrics["solvegate_queue_jobs"] + metrics['solvegate_in_flight{upstream="main"}']


async def is_served(house, address=MODEST):
    connection = await connect(house, address)
    async with connection:
        await connection.send(request_bytes("GET", "/status?id=h-none", house.host))
        return await connection.answer(timeout=5)


@pytest.mark.parametrize("send", [send_nothing, send_half_a_header, send_half_a_body, ask_and_stay,
                                  send_a_job])
async def test_an_address_that_has_taken_all_connections_makes_room_for_another(start, send):
    house = start()
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT, send)
        if send is send_a_job:
            await asyncio.to_thread(wait_until, lambda: "solve" in str(house.sim.counters()))
        for _ in range(3):
            expect.error(await is_served(house), 404, "unknown_id")


async def test_silent_connections_beyond_every_limit_make_room_for_another_address(start):
    """Of those that are only kept to be refused as well."""
    house = start(header_timeout=60.0)
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT + BEYOND + 50, send_nothing)
        for _ in range(3):
            expect.error(await is_served(house), 404, "unknown_id")


async def test_a_silent_connection_beyond_the_limit_is_told_so_soon(start):
    house = start(header_timeout=60.0)
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT, ask_and_stay)
        connection = await connect(house, GREEDY)
        async with connection:
            expect.error(await connection.answer(timeout=10), 503, "too_many_connections")
            assert await connection.at_end()


async def test_a_slow_body_beyond_the_limit_is_refused_at_once(start):
    """Its sender does not get the time of a body."""
    house = start()
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT, ask_and_stay)
        (connection,) = await crowd(stack, house, 1, send_half_a_body)
        expect.error(await connection.answer("POST", timeout=10), 503, "too_many_connections")
        assert await connection.at_end()


async def test_slow_bodies_beyond_every_limit_make_room_for_another_address(start):
    house = start()
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT, ask_and_stay)
        await crowd(stack, house, BEYOND + 50, send_half_a_body)
        for _ in range(3):
            expect.error(await is_served(house), 404, "unknown_id")


async def test_a_held_request_that_makes_room_is_answered_with_its_id(start):
    house = start()
    async with contextlib.AsyncExitStack() as stack:
        held = await crowd(stack, house, LIMIT, send_a_job)
        # Any of them may be chosen.
        await asyncio.to_thread(wait_until, lambda: jobs_in(house) == LIMIT, 20.0, "all are held")
        expect.error(await is_served(house), 404, "unknown_id")
        answers = [asyncio.create_task(c.answer("POST", timeout=20)) for c in held]
        done, rest = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        answer = done.pop().result()
        expect.pending(answer)
        assert answer.header("Connection").lower() == "close"


async def test_a_connection_that_makes_room_is_told_so(start):
    house = start()
    async with contextlib.AsyncExitStack() as stack:
        connections = await crowd(stack, house, LIMIT, send_half_a_header)
        expect.error(await is_served(house), 404, "unknown_id")
        expect.error(await connections[0].answer(timeout=5), 503, "too_many_connections")
        assert await connections[0].at_end()


async def test_a_modest_address_keeps_its_connections(start):
    house = start()
    async with contextlib.AsyncExitStack() as stack:
        modest = await crowd(stack, house, 3, ask_and_stay, MODEST)
        await crowd(stack, house, LIMIT - 3, ask_and_stay)
        for _ in range(5):
            await crowd(stack, house, 1, ask_and_stay, MODEST)
        for connection in modest:
            await ask_and_stay(house, connection, 0)


async def test_an_address_beyond_its_share_is_told_so_when_half_of_the_room_is_taken(start):
    house = start(connections_per_address=5)
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT // 2, ask_and_stay)
        answer = await is_served(house, GREEDY)
        body = expect.error(answer, 503, "too_many_connections")
        assert "limits.connections_per_address" in body["message"]
        assert answer.header("Connection").lower() == "close"
        expect.error(await is_served(house), 404, "unknown_id")


async def test_loopback_addresses_have_no_share_unless_one_is_set(start):
    """So that a reverse proxy on the same machine works."""
    house = start()
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT, ask_and_stay)
        house.reload(limits={"connections": 2 * LIMIT})
        await crowd(stack, house, LIMIT, ask_and_stay)
        house.reload(limits={"connections": 4 * LIMIT, "connections_per_address": 2 * LIMIT})
        body = expect.error(await is_served(house, GREEDY), 503, "too_many_connections")
        assert f"one address may have at most {2 * LIMIT} connections open" in body["message"]
        expect.error(await is_served(house), 404, "unknown_id")
        house.reload(limits={"connections": 4 * LIMIT})
        expect.error(await is_served(house, GREEDY), 404, "unknown_id")


@pytest.mark.skipif(OWN is None, reason="this machine has loopback alone")
async def test_a_remote_address_has_a_tenth_by_default(simulator, gateway):
    house = gateway(simulator(), workers=1, limits={"connections": LIMIT}, clients=[Client("ci")],
                    listen=[{"address": "0.0.0.0", "port": 0}])

    async def come(stack, address):
        connection = Connection(*await asyncio.open_connection(
            address, int(house.url.rpartition(":")[2]), local_addr=(address, 0)), "127.0.0.1", 0)
        stack.push_async_callback(connection.close)
        return await connection.request("GET", "/status?id=h-none")

    async with contextlib.AsyncExitStack() as stack:
        for _ in range(LIMIT // 2):
            expect.error(await come(stack, "127.0.0.1"), 404, "unknown_id")
        for _ in range(LIMIT // 10):
            expect.error(await come(stack, OWN), 404, "unknown_id")
        body = expect.error(await come(stack, OWN), 503, "too_many_connections")
        assert f"one address may have at most {LIMIT // 10} connections open" in body["message"]
        expect.error(await come(stack, "127.0.0.1"), 404, "unknown_id")


async def test_a_reload_changes_the_share(start):
    house = start(connections_per_address=5)
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT // 2, ask_and_stay)
        expect.error(await is_served(house, GREEDY), 503, "too_many_connections")
        house.reload(limits={"connections": LIMIT, "connections_per_address": 15})
        expect.error(await is_served(house, GREEDY), 404, "unknown_id")


async def test_slow_connections_beyond_the_share_make_room_for_the_same_address(start):
    house = start(connections_per_address=5)
    async with contextlib.AsyncExitStack() as stack:
        await crowd(stack, house, LIMIT // 2, send_half_a_header)

        def answered():
            return asyncio.run(is_served(house, GREEDY)).status == 404

        await asyncio.to_thread(wait_until, answered, 5.0)


def test_connections_of_ipv6_are_counted_too(simulator, gateway):
    """Mapped addresses and others alike."""
    house = gateway(simulator(), listen=[{**LOOPBACK, "address": "::1"}], workers=1,
                    limits={"connections": 2, "connections_per_address": 1})
    assert house.get("/status?id=h-none").status == 404
