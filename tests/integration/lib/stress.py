"""Everything at once, and an oracle: clients submit, join, repeat and cancel jobs while upstreams
misbehave, and the gateway is killed, stopped, frozen, continued and reloaded. At the end all must
agree.

What is random comes from one seed; the order of events depends on the machine as well.
"""

import asyncio
import collections
import time

from . import audit, expect, state
from .build import wait_until
from .clients import Client
from .crowd import BROKEN, Crowd, Purchases
from .h2front import KINDS
from .http import Connection
from .job import SITE, job
from .network import kept_port
from .trail import assert_whole

CLIENTS = [Client(name, daily_limit=1_000_000) for name in ("first", "second", "third")]
GUEST = Client("guest", daily_limit=1_000_000)  # a reload may remove it
ALL_CLIENTS = [*CLIENTS, GUEST]
OTHER_SITE = "other.example.com"  # likewise
ALL_SITES = [SITE, OTHER_SITE]
TOOLS = 12

SURPLUS = ("solved", "code", "error", "unauthorized", "close")
# What a solve may meet; the job is then solved, refused, sent again, or ends as unknown.
SOLVE = ("status=503", "status=429/1", "status=401", "status=402", "code=16", "error=no", "echo", "reset-early", "early=429", "early=413",
         "noid", "duplicate", "reset", "close", "truncate", "garbage", "html=502", "empty", "notobject",
         "numeric", "deep", "huge", "slow=0.3", "reset-after")
# What a poll may meet: all of it but a clear final answer, so each accepted job is solved.
STATUS = ("status=503", "code=16", "reset-early", "early=429", "reset", "close", "truncate", "garbage",
          "html=502", "empty", "notobject", "numeric", "slow=0.3", "reset-after")
FOLLOWED = ("stray", "double", "split")
FOLLOWED_BEHIND_FRONT = ("double", "split")  # a stray would be under way still when it is continued

CODES = ("outcome_unknown", "upstream_rejected", "upstream_unavailable", "deadline", "cancelled")

# A gateway whose jobs survive all of it: breakers, refused accounts and pauses are short.
SETTINGS = {
    "clients": ALL_CLIENTS,
    "sites": ALL_SITES,
    "durability": "full",
    "poll": {"first": 0.02, "interval": 0.05, "cap": 0.2},
    "retry": {"attempts": 10, "base": 0.02, "cap": 0.2, "probe": 0.2, "recheck": 0.5},
    "limits": {"job_deadline": 60.0, "drain_timeout": 0.3},
    "results": {"ttl": 36000, "bytes": 2**30},
    "log": {"level": "info"},
}


class Stress(Crowd):
    """house is a gateway with SETTINGS in front of the simulators; the last of them is behind front,
    a lib.h2front.Http2Front."""

    def __init__(self, house, sims, front, random):
        super().__init__(house, random)
        self.sims = sims
        self.front = front
        self.purchases = [Purchases(sim) for sim in sims]
        self.broken = collections.Counter()  # body's digest -> posts whose answer never came
        self.cancelled = set()  # ids
        self.refusals = ("no_upstream", "draining")  # with 503
        self.done = collections.Counter()  # what was done to it

    # ---- what tools do ----

    def fresh_job(self):
        """As in Crowd, and one in twenty is large."""
        if self.random.random() > 0.05:
            return super().fresh_job()
        self._seed += 1
        return job(images=2, size=self.random.randrange(20_000, 400_000), seed=self._seed)

    async def post(self, task, headers, client=None, forbidden=()):
        """As in Crowd, by a client that the job's number chooses unless it is given; refusals are no
        answers. forbidden are the statuses of jobs that the configuration may not allow now."""
        client = client or self._client_of(task)
        try:
            async with await Connection.open(self.house.url) as connection:
                answer = await connection.request("POST", "/api/solve", {**client.headers, **headers},
                                                  task.body)
        except BROKEN:
            self.broken[task.body_sha256] += 1
            await asyncio.sleep(0.02)
            return None
        body = answer.object()
        if answer.status == 503:  # every account is refused, or the gateway stops
            expect.error(answer, 503, self.refusals)
            await asyncio.sleep(0.05)
            return None
        if answer.status in forbidden:
            return None
        assert answer.status == 200, answer
        if body["status"] == "solved":
            expect.solved(answer, task)
        self.told[body["id"]] = task
        return body["id"]

    @staticmethod
    def _client_of(task):
        return CLIENTS[int(task.body_sha256[:8], 16) % len(CLIENTS)]

    async def be_fickle(self):
        """Cancels what it has posted, unless that was sent already."""
        task = self.fresh_job()
        job_id = await self.post(task, {"Prefer": "respond-async"})
        if job_id:
            await self._cancel(job_id, self._client_of(task))

    async def be_shared(self):
        """The same job of all clients, two of which may cancel theirs."""
        task = self.fresh_job()
        ids = await asyncio.gather(*(self.post(task, {"Prefer": "respond-async"}, client)
                                     for client in CLIENTS))
        for job_id, client in list(zip(ids, CLIENTS))[:self.random.randrange(3)]:
            if job_id:
                await self._cancel(job_id, client)

    async def be_a_guest(self):
        """A job of a client, or for a site, that a reload may remove meanwhile."""
        if self.random.random() < 0.5:
            await self.post(self.fresh_job(), {"Prefer": "respond-async"}, GUEST, forbidden=(401, 429))
        else:
            task = self.fresh_job().with_fields(site=OTHER_SITE)
            await self.post(task, {"Prefer": "respond-async"}, forbidden=(403,))

    async def _cancel(self, job_id, client):
        try:
            async with await Connection.open(self.house.url) as connection:
                answer = await connection.request("DELETE", f"/api/status?id={job_id}",
                                                  client.headers)
        except BROKEN:
            return
        assert answer.status in (200, 409), answer
        if answer.status == 200 and answer.object().get("code") == "cancelled":
            self.cancelled.add(job_id)

    async def tool(self):
        while not self.stopping:
            habit = self.random.choice([self.be_brief, self.be_patient, self.be_many, self.be_careful,
                                        self.be_fickle, self.be_shared, self.be_a_guest])
            await habit()
            await asyncio.sleep(self.random.random() / 20)

    # ---- what is done to it ----

    async def run(self, seconds):
        """Does one thing after the other, each for a moment."""
        end = time.monotonic() + seconds
        async with self.at_work(TOOLS):
            while time.monotonic() < end:
                act = self.random.choice([self.kill, self.stop_and_start, self.freeze, self.reload,
                                          self.reload, self.fail_one, self.misbehave, self.misbehave,
                                          self.misbehave_by_http_2, self.write_strays,
                                          self.write_strays])
                self.done[act.__name__] += 1
                await asyncio.to_thread(act)
                for purchases in self.purchases:
                    await asyncio.to_thread(purchases.collect)
                await asyncio.sleep(self.random.random() / 4)
            self.front.kind = None
            for sim in self.sims:
                sim.clear_faults()
        self.house.reload(clients=ALL_CLIENTS, sites=ALL_SITES)

    def kill(self):
        with kept_port(self.house.url):
            self.house.kill()
            self._start_again()

    def stop_and_start(self):
        with kept_port(self.house.url):
            self.house.stop_well()
            self._start_again()

    def _start_again(self):
        self.lives += 1
        self.house.environment["SOLVEGATE_TEST_SEED"] = str(self.random.randrange(2**31))
        self.house.start_again()

    def freeze(self):
        self.house.freeze()
        time.sleep(self.random.uniform(0.0, 1.0))
        self.house.thaw()

    def reload(self):
        """With other weights and limits, and with or without the guest and its site."""
        chance = self.random
        clients = [client.changed(weight=chance.randrange(1, 5),
                                  max_in_flight=chance.choice([None, 1, 4])) for client in CLIENTS]
        upstreams = [{**upstream, "max_in_flight": chance.randrange(1, 7)}
                     for upstream in self.house.settings["upstreams"]]
        self.house.reload(clients=clients + chance.choice([[], [GUEST]]), upstreams=upstreams,
                          sites=[SITE] + chance.choice([[], [OTHER_SITE]]))

    def fail_one(self):
        """Refuses all jobs for a while."""
        sim = self.random.choice(self.sims)
        sim.clear_faults()
        sim.fault("solve:status=503")
        time.sleep(self.random.uniform(0.0, 0.8))
        sim.clear_faults()

    def misbehave(self):
        sim = self.random.choice(self.sims)
        followed = FOLLOWED if sim is not self.sims[-1] else FOLLOWED_BEHIND_FRONT
        specs = [f"solve:{self._kind(SOLVE, followed)}*1\nsolve:slow=0*3" for _ in range(4)]
        specs += [f"status:{self._kind(STATUS, followed)}*1\nstatus:slow=0*2" for _ in range(6)]
        sim.clear_faults()
        sim.fault(*specs)

    def misbehave_by_http_2(self):
        self.front.kind = self.random.choice([None, *KINDS.values()])

    def _kind(self, kinds, followed):
        if self.random.random() < 0.5:
            return f"{self.random.choice(followed)}={self.random.choice(SURPLUS)}"
        return self.random.choice(kinds)

    def write_strays(self):
        """On all idle connections, while the gateway stands still: nothing that it sends can cross
        them."""
        what = self.random.choice(SURPLUS)
        for sim in self.sims[:-1]:
            sim.clear_faults()
            sim.fault(f"solve:stray={what}", f"status:stray={what}")
        time.sleep(self.random.uniform(0.1, 0.5))
        self.house.freeze()
        for sim in self.sims[:-1]:
            sim.write_strays()
            sim.clear_faults()
        self.house.thaw()

    # ---- the oracle ----

    def assert_all_agree(self):
        """Stops the gateway. Returns how the jobs ended."""
        counts = self.endings(CODES)
        for job_id in self.cancelled:
            expect.failed(self.final(job_id), "cancelled")
        self._assert_keys_hold()
        charges = self._charges_in_metrics()
        used = {client.name: self.house.caller(client).usage()["daily"] for client in ALL_CLIENTS}
        self.house.stop_well()
        ledger = self._ledger()
        self._assert_bought_as_often_as_allowed()
        for (client, upstream), counted in charges.items():
            assert counted == ledger[client, upstream, "charged"], (client, upstream, counted, ledger)
        for client in ALL_CLIENTS:
            spent = sum(n for (name, _, outcome), n in ledger.items()
                        if name == client.name and outcome in ("charged", "unknown"))
            assert used[client.name]["used"] == spent and not used[client.name]["reserved"]
            assert self._charge_lines(client) == spent, (client, spent)
        self._assert_simulators_agree(ledger)
        assert_whole(self.house.audit_file)
        return counts

    def _assert_keys_hold(self):
        for key, (task, job_id) in self.keyed.items():
            headers = {**self._client_of(task).headers, "Idempotency-Key": key,
                       "Prefer": "respond-async"}
            assert self.house.solve(task, headers).object()["id"] == job_id, key

    def _charges_in_metrics(self):
        """{(client, upstream): charges}"""
        charges = {}
        for name, value in self.house.metrics().items():
            if name.startswith("solvegate_charges_total{"):
                client, upstream = name.split('"')[1::2]
                charges[client, upstream] = value
        return charges

    def _ledger(self):
        rows = state.rows(self.house.state_directory,
                          "SELECT client, upstream, outcome, sum(count) FROM ledger GROUP BY 1, 2, 3")
        ledger = collections.Counter({row[:3]: row[3] for row in rows})
        assert not any(n for (_, _, outcome), n in ledger.items() if outcome == "open"), ledger
        return ledger

    def _charge_lines(self, client):
        """Those of the audit; a charge of null is one that may have been made."""
        return sum(line["client"] == client.name and line["charge"] != 0
                   for line in audit.charged(self.house.audit_file))

    def _assert_simulators_agree(self, ledger):
        for sim in self.sims:
            charged = sim.counters()["charged"]
            sure = sum(n for (_, name, outcome), n in ledger.items()
                       if name == sim.name and outcome == "charged")
            unsure = sum(n for (_, name, outcome), n in ledger.items()
                         if name == sim.name and outcome == "unknown")
            assert sure <= charged <= sure + unsure, (sim.name, sure, charged, unsure)

    def _assert_bought_as_often_as_allowed(self):
        """Once, and once more for each job that ended without a clear answer, of which a client may
        not have heard."""
        unclear, ids = collections.Counter(), collections.defaultdict(list)
        for job_id, code in self.ended.items():
            digest = self.told[job_id].body_sha256
            ids[digest].append((job_id, code))
            unclear[digest] += code in ("outcome_unknown", "deadline")
        bought = sum((purchases.by_body() for purchases in self.purchases), collections.Counter())
        for digest, times in bought.items():
            allowed = 1 + unclear[digest] + self.broken[digest]
            assert times <= allowed, (digest, times, allowed, ids[digest])

    def endings(self, allowed):
        """As in Crowd, and keeps how each ended."""
        self.ended = {}
        for job_id, task in self.told.items():
            answer = self.final(job_id)
            if answer.object()["status"] == "solved":
                expect.solved(answer, task)
                self.ended[job_id] = "solved"
            else:
                self.ended[job_id] = expect.failed(answer, allowed)["code"]
        return collections.Counter(self.ended.values())


def assert_settled(house):
    """Waits until nothing is in progress for any client."""
    def settled():
        usages = [house.caller(client).usage() for client in ALL_CLIENTS]
        return not any(u["queued"] + u["in_flight"] + u["daily"]["reserved"] for u in usages)

    wait_until(settled, 90.0, "nothing is in progress")
