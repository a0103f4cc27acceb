"""Many tools at once with bodies of real size: every solution right, none lost, none swapped, and
never more at the upstream than it was said to bear."""

import asyncio

from lib import expect
from lib.build import SANITIZE
from lib.gateway import FINAL
from lib.http import Connection
from lib.job import job

TOOLS = 100
JOBS_EACH = 20 if SANITIZE is None else 4
IN_FLIGHT = 50

IMAGES = 9
SIZES = range(4_000, 25_000)  # of one image: bodies of 50 to 300 KB in base64
POLL_PAUSE = 0.2


async def run_tool(house, number):
    """A tool with one kept connection: posts a job, polls its address, goes on to the next."""
    async with await Connection.open(house.url) as connection:
        for nth in range(JOBS_EACH):
            seed = number * JOBS_EACH + nth
            size = SIZES[seed * 7919 % len(SIZES)]
            task = job(images=IMAGES, size=size, seed=seed)
            assert 48_000 < len(task.body) < 305_000
            answer = await connection.request("POST", "/api/solve", (), task.body)
            while answer.object()["status"] not in FINAL:
                await asyncio.sleep(POLL_PAUSE)
                path = house.path_of(answer.object()["url"])
                answer = await connection.request("GET", path)
            expect.solved(answer, task)


async def test_a_hundred_tools_get_every_solution_right(simulator, gateway, mode):
    sim = simulator(mode=mode, latency=0.05, jitter=0.04, concurrency=IN_FLIGHT)
    house = gateway(sim, upstream={"max_in_flight": IN_FLIGHT},
                    poll={"first": 0.05, "interval": 0.05, "cap": 0.5})
    await asyncio.gather(*(run_tool(house, number) for number in range(TOOLS)))
    counters = sim.counters()
    assert counters["accepted"] == counters["charged"] == counters["solved"] == TOOLS * JOBS_EACH
    assert counters["solve_requests"] == TOOLS * JOBS_EACH
    assert counters["over_concurrency"] == 0
    assert counters["in_flight_max"] <= IN_FLIGHT
    assert counters["in_flight"] == 0


async def test_a_small_account_is_never_overrun(simulator, gateway, mode):
    sim = simulator(mode=mode, latency=0.02, jitter=0.01, concurrency=3)
    house = gateway(sim, upstream={"max_in_flight": 3}, workers=4)
    tasks = [job(images=1, seed=number) for number in range(60)]

    async def one(task):
        async with await Connection.open(house.url) as connection:
            expect.solved(
                await connection.request("POST", "/solve", {"Prefer": "wait=60"}, task.body), task)

    await asyncio.gather(*(one(task) for task in tasks))
    counters = sim.counters()
    assert counters["over_concurrency"] == 0
    assert 1 <= counters["in_flight_max"] <= 3
    assert counters["charged"] == len(tasks)
