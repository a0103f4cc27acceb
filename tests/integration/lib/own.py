"""Own results: two clients whose jobs come in waves, and what everybody must agree on at the end.

    waves = Waves(house, sim)
    waves.run(1000, between=lambda: ...)
    waves.assert_all_agree()

A wave is sent in parallel, and each job in it has a connection to the upstream for itself.
"""

import asyncio
import itertools

from . import audit, expect
from .clients import Client, ledger_of, post_over
from .job import job
from .state import assert_ledger_agrees

CLIENTS = [Client("first", daily_limit=1_000_000), Client("second", daily_limit=1_000_000)]
EACH = 10  # jobs of each client in a wave
WAVE = EACH * len(CLIENTS)

HELD = "wait=30"

# What a gateway needs for it: a connection for each job, polls that do not slow the test down, and
# retries that are never the last.
SETTINGS = {
    "clients": CLIENTS,
    "durability": "full",
    "workers": 1,
    "poll": {"first": 0.02, "interval": 0.05, "cap": 0.2},
    "retry": {"attempts": 20, "base": 0.01, "cap": 0.05},
}


class Waves:
    """house is the gateway, with CLIENTS; sim is a simulator behind it."""

    def __init__(self, house, sim, size=1000):
        self.house = house
        self.sim = sim
        self.size = size
        self.sent = {client.name: [] for client in CLIENTS}  # the jobs
        self._seeds = itertools.count()

    def run(self, jobs, between=None):
        """Sends so many jobs, rounded up to whole waves; between() is called after each wave."""
        for _ in range(-(-jobs // WAVE)):
            asyncio.run(self._wave())
            if between:
                between()

    async def _wave(self):
        tasks = {client: [job(images=1, size=self.size, seed=next(self._seeds))
                          for _ in range(EACH)] for client in CLIENTS}
        for client, new in tasks.items():
            self.sent[client.name] += new
        await asyncio.gather(*(self._post(client, new) for client, new in tasks.items()))

    async def _post(self, client, tasks):
        for answer, task in zip(await post_over(self.house, client, tasks, EACH, HELD), tasks):
            expect.solved(answer, task)

    @property
    def count(self):
        return sum(map(len, self.sent.values()))

    def assert_all_agree(self):
        """Every job has its own result from the cache too, and the simulator, the metrics, the
        usage, the ledger and the audit count each job once. Stops the gateway."""
        asyncio.run(self._ask_again())
        house, counters = self.house, self.sim.counters()
        assert counters["charged"] == counters["accepted"] == self.count, counters
        self._assert_metrics_agree(house.metrics())
        for client in CLIENTS:
            used = house.caller(client).usage()["daily"]["used"]
            assert used == len(self.sent[client.name]), (client, used)
        assert "outcome_unknown" not in house.log()
        house.stop_well()
        ledger = assert_ledger_agrees(house.state_directory, self.count)
        assert ledger["unknown"] == 0, ledger
        self._assert_files_agree()

    async def _ask_again(self):
        await asyncio.gather(*(self._post(client, self.sent[client.name]) for client in CLIENTS))

    def _assert_metrics_agree(self, metrics):
        sources = {s: metrics[f'solvegate_results_total{{source="{s}"}}']
                   for s in ("upstream", "cache", "collapsed")}
        assert sources == {"upstream": self.count, "cache": self.count, "collapsed": 0}
        assert metrics['solvegate_jobs_total{outcome="solved"}'] == 2 * self.count
        assert metrics['solvegate_jobs_total{outcome="outcome_unknown"}'] == 0
        for client in CLIENTS:
            labels = f'{{client="{client.name}",upstream="main"}}'
            assert metrics[f"solvegate_charges_total{labels}"] == len(self.sent[client.name])

    def _assert_files_agree(self):
        charged = audit.charged(self.house.audit_file)
        for client in CLIENTS:
            count = len(self.sent[client.name])
            assert ledger_of(self.house.state_directory, client)["charged"] == count
            assert sum(line["client"] == client.name for line in charged) == count
        assert all(line["outcome"] == "solved" for line in charged)
