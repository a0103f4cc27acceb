"""Tools that go on posting jobs while the gateway under them is killed and started again, and what
they were told: every id that ever left, and what must have become of it."""

import asyncio
import collections
import contextlib

from . import expect
from .build import wait_until
from .gateway import FINAL
from .http import Connection
from .job import job
from .network import kept_port

# The number of identical jobs that are posted at once.
SIBLINGS = 3

BROKEN = (OSError, asyncio.IncompleteReadError)


class Crowd:
    """house is the gateway; random is where all choices come from."""

    def __init__(self, house, random):
        self.house = house
        self.random = random
        self.lives = 1  # of the gateway: how often it was started
        self.told = {}  # id -> job, for every id that left
        self.keyed = {}  # Idempotency-Key -> (job, the id of the first answer)
        self.posted = {}  # body's digest -> in how many lives it may have been posted
        self.stopping = False
        self._seed = 0

    def fresh_job(self):
        """A job with images that no other has."""
        self._seed += 1
        task = job(images=2, size=self.random.randrange(20, 2000), seed=self._seed)
        self.posted[task.body_sha256] = 1
        return task

    async def post(self, task, headers):
        """Posts a job once and notes its id. Returns the id, or None where no answer came."""
        try:
            async with await Connection.open(self.house.url) as connection:
                answer = await connection.request("POST", "/api/solve", headers, task.body)
        except BROKEN:
            await asyncio.sleep(0.02)  # the gateway is down
            return None
        body = answer.object()
        assert answer.status == 200, answer
        if body["status"] == "solved":
            expect.solved(answer, task)
        self.told[body["id"]] = task
        return body["id"]

    async def be_brief(self):
        """Does not wait for the result."""
        await self.post(self.fresh_job(), {"Prefer": "respond-async"})

    async def be_patient(self):
        """Holds the line until the job is final."""
        await self.post(self.fresh_job(), {"Prefer": "wait=20"})

    async def be_many(self):
        """The same job several times at once, which is one for the upstream."""
        task, life = self.fresh_job(), self.lives
        ways = [{"Prefer": "respond-async"}, {"Prefer": "wait=20"}, {}]
        await asyncio.gather(*(self.post(task, ways[n % len(ways)]) for n in range(SIBLINGS)))
        # In a later life an identical job is another one, where the first ended as unknown.
        self.posted[task.body_sha256] = 1 + self.lives - life

    async def be_careful(self):
        """Posts with a key, again and again until there is an answer, and once more."""
        task, key = self.fresh_job(), f"key-{self._seed}"
        prefer = self.random.choice(["respond-async", "wait=5"])
        headers = {"Idempotency-Key": key, "Prefer": prefer}
        job_id = None
        while job_id is None and not self.stopping:
            job_id = await self.post(task, headers)
        if job_id is None:
            return
        self.keyed[key] = (task, job_id)
        await asyncio.sleep(self.random.random() / 2)
        again = await self.post(task, headers)
        assert again in (None, job_id), f"{key}: {job_id}, then {again}"

    async def tool(self):
        """One tool's life."""
        while not self.stopping:
            habit = self.random.choice(
                [self.be_brief, self.be_brief, self.be_patient, self.be_many, self.be_careful])
            await habit()
            await asyncio.sleep(self.random.random() / 50)

    @contextlib.asynccontextmanager
    async def at_work(self, tools):
        """So many tools work in the meantime; afterwards they have left."""
        tasks = [asyncio.create_task(self.tool()) for _ in range(tools)]
        try:
            yield
        finally:
            self.stopping = True
            await asyncio.gather(*tasks)

    def assert_keys_still_hold(self):
        """Whoever asks again with a key is told the id of the first answer."""
        for key, (task, job_id) in self.keyed.items():
            answer = self.house.solve(task, {"Idempotency-Key": key, "Prefer": "respond-async"})
            assert answer.object()["id"] == job_id, (key, job_id, answer)

    def endings(self, allowed):
        """Waits until all is final; every result must be right, every error one of allowed.
        Returns how often each code, or "solved", came."""
        counts = collections.Counter()
        for job_id, task in self.told.items():
            answer = self.final(job_id)
            if answer.object()["status"] == "solved":
                expect.solved(answer, task)
                counts["solved"] += 1
            else:
                counts[expect.failed(answer, allowed)["code"]] += 1
        return counts

    def final(self, job_id):
        def ended():
            answer = self.house.status(job_id, "&wait=10")
            assert answer.status == 200, f"{job_id} is lost: {answer}"
            return answer if answer.object()["status"] in FINAL else None

        return wait_until(ended, 60.0, f"{job_id} is final")


async def kill_often(crowd, purchases, choices, kills, tools=24):
    """Kills the gateway again and again while the crowd works."""
    async with crowd.at_work(tools):
        for _ in range(kills):
            await asyncio.sleep(choices.uniform(0.0, 0.5))
            with kept_port(crowd.house.url):
                crowd.house.kill()
                await asyncio.to_thread(purchases.collect)
                crowd.lives += 1
                await asyncio.to_thread(crowd.house.start_again)
        await asyncio.sleep(0.3)


class Purchases:
    """What a simulator charged for, collected while its list of requests forgets the oldest."""

    def __init__(self, sim):
        self.sim = sim
        self._charged = {}  # a charged request's own id -> the body's digest

    def collect(self):
        for sent in self.sim.requests("solve"):
            if sent["charged"]:
                self._charged[sent["id"]] = sent["sha256"]

    def by_body(self):
        self.collect()
        assert len(self._charged) == self.sim.counters()["charged"], "not all were seen"
        return collections.Counter(self._charged.values())
