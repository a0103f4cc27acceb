"""An upstream that is down costs no job more than one vain try: another one takes it at once.

The first of two upstreams is down in one of two ways: it refuses connections, or it answers every
solve with 503 while its balance works. Either it is preferred by priority, or both are equal."""

import contextlib
import time

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.gateway import upstream_of
from lib.job import job
from lib.network import closed_port
from lib.state import assert_ledger_agrees

HELD = {"Prefer": "wait=30"}
PROBE = 0.2
JOBS = 16
OPENS = 3  # failures in a row open a breaker
ASKED = "asked for its balance as a probe"

pytestmark = pytest.mark.parametrize("priorities", [(0, 1), (0, 0)], ids=["priority", "equal"])
down = pytest.mark.parametrize("kind", ["refused", "status=503"])


class Pair:
    """A gateway before a first upstream that is down and a second one that works."""

    def __init__(self, simulator, gateway, port, kind, priorities, latency=0, **settings):
        self._simulator = simulator
        self._port = port
        self._seen = 0
        self.first = None if kind == "refused" else simulator(name="first", mode="pro", latency=0)
        self.second = simulator(name="second", mode="pro", latency=latency)
        url = f"http://127.0.0.1:{port}" if kind == "refused" else self.first.url
        if self.first:
            self.first.fault(f"solve:{kind}")
        self.house = gateway(upstreams=[
            {"name": "first", "url": url, "priority": priorities[0]},
            {"name": "second", **upstream_of(self.second), "priority": priorities[1]},
        ], retry={"probe": PROBE}, **settings)

    def tries(self):
        """The digests of the jobs that the first upstream was sent."""
        return [sent["sha256"] for sent in self.first.requests("solve")] if self.first else []

    def probes(self):
        """How often the first upstream was asked for its balance."""
        return (self.first.counters()["balance_requests"] if self.first
                else self.house.log().count(ASKED))

    def solve_quickly(self, task):
        seen, tries = self.probes(), len(self.tries())
        solve_quickly(self.house, task)
        if not self.first or len(self.tries()) > tries:
            self._seen = seen

    def wait_for_probe(self):
        """From now on the first upstream may be sent a job again, if it was reached. An upstream
        whose probe succeeded is probed again only after its next job."""
        wait_until(lambda: self.probes() > self._seen, 10.0, "the first upstream is probed", 0.005)

    def come_back(self):
        if self.first:
            self.first.clear_faults()
        else:
            self.first = self._simulator(name="first", mode="pro", latency=0, port=self._port)

    def open_breaker(self):
        for seed in range(OPENS):
            self._seen = self.probes()
            task = job(images=1, seed=f"early {seed}")
            expect.solved(self.house.solve(task, HELD), task)
        wait_until(lambda: "upstream first fails" in self.house.log())


@pytest.fixture
def pair(simulator, gateway):
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(closed_port())
        yield lambda *args, **settings: Pair(simulator, gateway, port, *args, **settings)


def solve_quickly(house, task):
    began = time.monotonic()
    expect.solved(house.solve(task, HELD), task)
    assert time.monotonic() - began < patience(1.0)


@down
def test_jobs_in_sequence_are_each_solved_by_the_second_at_once(pair, priorities, kind):
    two = pair(kind, priorities)
    tasks = [job(images=1, seed=seed) for seed in range(JOBS)]
    for number, task in enumerate(tasks):
        if number >= OPENS:
            two.wait_for_probe()  # so each of the others may become the probe
        two.solve_quickly(task)
    assert two.second.counters()["charged"] == two.second.counters()["solve_requests"] == JOBS
    tries = two.tries()
    assert len(tries) == len(set(tries)), "the first upstream was sent a job twice"


@down
def test_one_job_alone_is_solved_by_the_second_at_once(pair, priorities, kind):
    two = pair(kind, priorities)
    two.open_breaker()
    two.wait_for_probe()
    solve_quickly(two.house, job(seed="alone"))
    assert len(two.tries()) in (0, OPENS, OPENS + 1)


@down
def test_under_load_no_job_is_lost_and_few_are_sent_twice(pair, priorities, kind, tmp_path):
    """20 jobs a second."""
    two = pair(kind, priorities, latency=0.05, durability="full", state_directory=tmp_path / "state")
    began = time.monotonic()
    tasks = {}
    for seed in range(60):
        task = job(images=1, size=30, seed=seed)
        tasks[two.house.submit(task)] = task
        time.sleep(0.05)  # the load
    for job_id, task in tasks.items():
        expect.solved(two.house.status(job_id, "&wait=20"), task)
    seconds = time.monotonic() - began
    tries = two.tries()
    assert len(tries) == len(set(tries)), "the first upstream was sent a job twice"
    # Until the breaker opens those that are under way fail too.
    assert len(tries) <= OPENS + 10 + seconds / PROBE
    two.house.stop_well()
    assert two.second.counters()["charged"] == len(tasks)
    assert assert_ledger_agrees(tmp_path / "state", len(tasks))["unknown"] == 0


@down
def test_one_that_is_back_is_used_again_within_a_probe_interval(pair, priorities, kind):
    two = pair(kind, priorities)
    two.open_breaker()
    two.come_back()
    began = time.monotonic()
    seed = 0
    while two.first.counters()["charged"] == 0:
        task = job(images=1, seed=(seed := seed + 1))
        expect.solved(two.house.solve(task, HELD), task)
    assert time.monotonic() - began < PROBE + patience(2.0)
    wait_until(lambda: "upstream first is well again" in two.house.log())
    before = two.second.counters()["charged"]
    for seed in range(3):
        task = job(images=1, seed=f"late {seed}")
        expect.solved(two.house.solve(task, HELD), task)
    assert two.second.counters()["charged"] == before


def test_a_refused_account_is_rechecked_without_a_job(pair, simulator, gateway, priorities):
    """Its balance says that it is refused still; the second has all the jobs."""
    first = simulator(name="first", mode="pro", latency=0, apikey="another-key")
    second = simulator(name="second", mode="pro", latency=0)
    house = gateway(upstreams=[
        {"name": name, **upstream_of(sim), "priority": priority}
        for name, sim, priority in zip(("first", "second"), (first, second), priorities)
    ], retry={"recheck": PROBE})
    for seed in range(4):
        task = job(images=1, seed=seed)
        solve_quickly(house, task)
        if seed == 0:
            asked = first.counters()["balance_requests"]
            wait_until(lambda: first.counters()["balance_requests"] >= asked + 2)
    assert first.counters()["solve_requests"] <= 2
    assert second.counters()["charged"] == 4


def test_upstreams_that_fail_in_turn_lose_no_job(simulator, gateway, priorities, tmp_path):
    """Each is down for a while and then up, so that probes, failovers and recoveries overlap. These
    are more outages than a job has tries by default."""
    sims = [simulator(name=name, mode="pro", latency=0.02) for name in ("first", "second")]
    house = gateway(upstreams=[
        {"name": sim.name, **upstream_of(sim), "priority": priority}
        for sim, priority in zip(sims, priorities)
    ], retry={"probe": PROBE, "attempts": 20}, durability="full",
        state_directory=tmp_path / "state")
    tasks = {}
    for turn in range(8):
        sims[turn % 2].fault("solve:status=503")
        sims[1 - turn % 2].clear_faults()
        for seed in range(10):
            task = job(images=1, size=30, seed=f"{turn}/{seed}")
            tasks[house.submit(task)] = task
            time.sleep(0.03)  # the load
    for sim in sims:
        sim.clear_faults()
    for job_id, task in tasks.items():
        expect.solved(house.status(job_id, "&wait=20"), task)
    house.stop_well()
    charged = sum(sim.counters()["charged"] for sim in sims)
    assert charged == len(tasks)
    assert assert_ledger_agrees(tmp_path / "state", charged)["unknown"] == 0
