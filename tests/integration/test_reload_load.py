"""Reloads while tools go on asking: no request fails, and who is held is held on."""

import asyncio
import itertools

from lib import expect
from lib.build import patience
from lib.clients import Client
from lib.gateway import upstream_of
from lib.http import Connection, request_bytes
from lib.job import job
from lib.vendor import Vendor

RELOADS = 100
RATE = 500  # requests in a second, as long as the gateway keeps up
TOOLS = 50
HELD = 20

TOOL = Client("tool")
KEYS = ("canary-apikey-that-is-rotated-away", "canary-apikey-that-comes-instead")


class Tool:
    """Posts a job, which is answered when it is solved, and asks for it a few times, by the beat
    that all tools together keep."""

    def __init__(self, load):
        self.load = load

    async def work(self):
        async with await Connection.open(self.load.house.url) as connection:
            while not self.load.over:
                task = job(images=1, size=100, seed=next(self.load.seeds))
                headers = {**TOOL.headers, "Prefer": "wait=60"}
                job_id = await self._ask(connection, task, "POST", "/solve", headers, task.body)
                for _ in range(4):
                    await self._ask(connection, task, "GET", f"/status?id={job_id}", TOOL.headers)

    async def _ask(self, connection, task, *request):
        await self.load.beat()
        body = expect.solved(await connection.request(*request), task)
        self.load.answers += 1
        return body["id"]


class Load:
    def __init__(self, house):
        self.house = house
        self.seeds = itertools.count()
        self.answers = 0
        self.over = False
        self._due = None

    async def beat(self):
        """Waits for this request's moment."""
        now = asyncio.get_running_loop().time()
        self._due = max(self._due or now, now - 0.1) + 1 / RATE
        await asyncio.sleep(self._due - now)


def configurations(sims, vendor):
    """Two that differ in most of what a reload may change. The vendor has no room in either."""
    fast = [{"name": f"fast-{n}", "credential": "account", "max_in_flight": 40, **upstream_of(sim)}
            for n, sim in enumerate(sims)]
    slow = {"name": "slow", "credential": "rotated", "max_in_flight": 1, "priority": 9,
            **vendor.entry}
    common = {"drain_timeout": 0.3}
    return [
        {"upstreams": [fast[0], slow], "clients": [TOOL], "log": {"level": "info"},
         "limits": {**common, "queue_jobs": 5000, "connections": 500, "header_timeout": 5.0},
         "results": {"ttl": 600}, "retry": {"probe": 1.0}, "poll": {"cap": 0.5, "balance": 0.5}},
        {"upstreams": [{**fast[1], "max_in_flight": 30}, {**fast[0], "priority": 5}],
         "clients": [Client("guest"), TOOL.changed(weight=2)], "log": {"level": "debug"},
         "limits": {**common, "queue_jobs": 10000, "connections": 1000, "body_timeout": 90.0},
         "results": {"ttl": 1200}, "retry": {"probe": 2.0}, "poll": {"cap": 0.1, "balance": 1.0},
         "origins": ["https://tools.example"]},
    ]


def told(house):
    return house.log().count("Z info reloaded ")


def test_a_hundred_reloads_under_load_fail_no_request_and_drop_no_held_client(simulator, gateway):
    """Each request and each reload has its time limit, all together have none."""
    asyncio.run(reload_under_load(simulator, gateway))


async def reload_under_load(simulator, gateway):
    sims = [simulator(name=f"sim-{n}", mode="pro", latency=0.005, jitter=0.005) for n in range(2)]
    with Vendor() as vendor:
        house = gateway(clients=[TOOL], limits={"job_deadline": 3600.0},
                        upstreams=[{"name": "slow", "max_in_flight": HELD, **vendor.entry}])
        files = configurations(sims, vendor)
        house.write_credential(KEYS[0], "rotated")
        patient = [job(images=1, seed=f"held {n}") for n in range(HELD)]
        ids = await asyncio.to_thread(
            lambda: [house.submit(task, **TOOL.headers) for task in patient])
        await asyncio.to_thread(vendor.wait_for, "status", HELD)
        load = Load(house)
        held = [asyncio.create_task(hold(house, job_id)) for job_id in ids]
        await asyncio.to_thread(house.reload, **files[0])
        tools = [asyncio.create_task(Tool(load).work()) for _ in range(TOOLS)]
        before = told(house)
        for number in range(RELOADS):
            asked = load.answers
            house.write_credential(KEYS[number // 2 % 2], "rotated")
            await asyncio.to_thread(house.reload, **files[(number + 1) % 2])
            # Each is in force for a while, during which it is asked.
            while load.answers < asked + 15 and not any(t.done() for t in tools):
                await asyncio.sleep(0.001)
        load.over = True
        await asyncio.wait_for(asyncio.gather(*tools), patience(30.0))
        assert told(house) - before == RELOADS
        assert not any(task.done() for task in held), "a held client was answered early"
        assert set(KEYS) <= set(vendor.keys("status"))
        vendor.finish()
        for answer in await asyncio.wait_for(asyncio.gather(*held), patience(30.0)):
            assert answer.status == 200 and answer.object()["status"] == "solved", answer
        assert all(sim.counters()["charged"] > 0 for sim in sims)
        assert len(vendor.keys("solve")) == HELD


async def hold(house, job_id):
    async with await Connection.open(house.url) as connection:
        await connection.send(request_bytes("GET", f"/status?id={job_id}&wait=600", house.host,
                                            TOOL.headers))
        return await connection.answer(timeout=600)
