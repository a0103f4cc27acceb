"""An upstream in trouble is left alone but for one probe at a time; another one takes its jobs."""

import concurrent.futures
import os
import threading
import time

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.gateway import upstream_of
from lib.job import job
from lib.network import closed_port
from lib.operator import jobs as jobs_of
from lib.state import assert_ledger_agrees

LONG = bool(os.environ.get("SOLVEGATE_LONG"))
TROUBLE_SECONDS = 60 if LONG else 4

HELD = {"Prefer": "wait=30"}
NEVER = 60
PROBE = 0.5
UNPROBED = 8  # refusals at most that are no probes: three in a row open it; more may be under way

# What refuses the account and not the job.
ACCOUNT_REFUSALS = ["status=401", "status=402", "code=1", "code=3", "code=14", "code=15"]


def solves(sim):
    return sim.requests("solve")


class Load:
    """A tool that posts jobs all the time without waiting for them, on a thread."""

    def __init__(self, house, pause):
        self.house = house
        self.pause = pause
        self.jobs = {}
        self._stopped = threading.Event()
        self._pool = concurrent.futures.ThreadPoolExecutor(1)

    def __enter__(self):
        self._run_ends = self._pool.submit(self._run)
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._run_ends.result()  # raises what went wrong there
        self._pool.shutdown()

    def _run(self):
        seed = 0
        while not self._stopped.wait(self.pause):
            task = job(images=1, size=30, seed=seed)
            self.jobs[self.house.submit(task)] = task
            seed += 1


@pytest.mark.parametrize("kind", ["status=503", "status=429"])
def test_an_upstream_in_trouble_is_only_probed_and_no_job_is_lost(simulator, gateway, tmp_path,
                                                                  kind):
    state = tmp_path / "state"
    sim = simulator(mode="pro", latency=0.01)
    house = gateway(sim, upstream={"max_in_flight": 4}, durability="full", state_directory=state,
                    retry={"base": 0.02, "cap": 0.2, "probe": PROBE},
                    limits={"job_deadline": 600.0})
    with Load(house, pause=0.05) as load:
        wait_until(lambda: load.jobs and sim.counters()["charged"] >= 1)
        sim.fault(f"solve:{kind}")
        began = time.monotonic()
        time.sleep(TROUBLE_SECONDS)  # how long the trouble lasts, by the issue
        wait_until(lambda: sum(s["time"] > began for s in solves(sim)) >= UNPROBED + 2)
        sim.clear_faults()
        ended = time.monotonic()
        wait_until(lambda: any(s["charged"] and s["time"] > ended for s in solves(sim)))
    for job_id, task in load.jobs.items():
        expect.solved(house.status(job_id, "&wait=60"), task)

    times = [s["time"] for s in solves(sim) if s["time"] > began]
    refused = [at for at in times if at < ended]
    probes = refused[UNPROBED:]
    assert 2 <= len(probes) <= (ended - began) / PROBE + 1
    assert min(later - earlier for earlier, later in zip(probes, probes[1:])) > PROBE * 0.8
    recovered = min(s["time"] for s in solves(sim) if s["charged"] and s["time"] > ended)
    assert recovered - ended < PROBE + patience(0.5)

    assert sim.counters()["charged"] == len(load.jobs)
    house.stop_well()
    counts = assert_ledger_agrees(state, len(load.jobs))
    assert counts["unknown"] == 0


def test_a_probe_under_way_is_the_only_one(simulator, gateway):
    """The probe takes longer than the pause between probes."""
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, retry={"probe": 0.1, "attempts": 1})
    sim.fault("solve:status=503*3", "solve:slow=1*1")
    for seed in range(3):
        expect.failed(house.solve(job(seed=f"early {seed}"), HELD), "upstream_unavailable")
    tasks = [job(seed=seed) for seed in range(5)]
    ids = [house.submit(task) for task in tasks]
    for job_id, task in zip(ids, tasks):
        expect.solved(house.status(job_id, "&wait=20"), task)
    probe, *rest = [s["time"] for s in solves(sim)][3:]
    assert len(rest) == 4
    assert min(rest) - probe > 0.95


def test_unclear_answers_open_it_as_well(simulator, gateway):
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, retry={"probe": PROBE})
    sim.fault("solve:reset*3")
    for seed in range(3):
        expect.failed(house.solve(job(seed=seed), HELD), "outcome_unknown")
    task = job(seed="probe")
    expect.solved(house.solve(task, HELD), task)
    times = [s["time"] for s in solves(sim)]
    assert len(times) == 4
    assert times[3] - times[2] > PROBE * 0.8



def test_a_short_deadline_blames_itself_and_not_a_slow_upstream(simulator, gateway):
    sim = simulator(mode="pro", latency=2.5)
    house = gateway(sim, limits={"job_deadline": 1.0}, retry={"probe": 30.0})
    for seed in range(4):
        said = expect.failed(house.solve(job(seed=seed), HELD), "outcome_unknown")["message"]
        assert said.endswith("no answer came within the time that limits.job_deadline left")
    assert "ms, which was all that was left of limits.job_deadline; if the upstream needs longer, " \
        "raise it: Operation timed out" in house.log()
    house.reload(limits={"job_deadline": 30.0}, retry={"probe": 30.0})
    task = job(seed="with time")
    expect.solved(house.solve(task, HELD), task)  # as the next request, without a pause


def test_an_upstream_that_hangs_opens_it_where_requests_have_time(simulator, gateway):
    sim = simulator(mode="pro", latency=0, faults=["solve:hang*3"])
    house = gateway(sim, upstream={"max_in_flight": 3}, limits={"job_deadline": 12.0},
                    retry={"probe": 60.0})
    ids = [house.submit(job(seed=seed)) for seed in range(3)]
    for job_id in ids:
        said = expect.failed(house.status(job_id, "&wait=20"), "outcome_unknown")["message"]
        assert "limits.job_deadline" in said
    waits = house.submit(job(seed="waits"))
    assert house.status(waits).object()["status"] == "new"
    assert len(solves(sim)) == 3


def test_refusals_of_jobs_do_not_open_it(simulator, gateway, mode):
    sim = simulator(mode=mode, latency=0)
    house = gateway(sim, retry={"probe": 30.0})
    sim.fault("solve:error=no*10")
    for seed in range(10):
        expect.failed(house.solve(job(seed=seed), HELD), "upstream_rejected")
    task = job()
    expect.solved(house.solve(task, {"Prefer": "wait=10"}), task)


def two(simulator, gateway, first, second, **settings):
    upstreams = [{"name": f"up-{n}", "priority": n, **upstream_of(sim)}
                 for n, sim in enumerate((first, second))]
    return gateway(upstreams=upstreams, **settings)


@pytest.mark.parametrize("kind", [*ACCOUNT_REFUSALS, "unauthorized"])
def test_another_upstream_takes_the_jobs_of_a_refused_account(simulator, gateway, tmp_path, mode,
                                                              kind):
    wrong = {"apikey": "another-key"} if kind == "unauthorized" else {}
    first = simulator(name="first", mode=mode, **wrong)
    second = simulator(name="second", mode=mode)
    if not wrong:
        first.fault(f"solve:{kind}")
    state = tmp_path / "state"
    house = two(simulator, gateway, first, second, durability="full", state_directory=state)
    for seed in range(5):
        task = job(seed=seed)
        expect.solved(house.solve(task, HELD), task)
    assert first.counters()["solve_requests"] == 1
    assert first.counters()["charged"] == 0
    assert second.counters()["charged"] == second.counters()["solve_requests"] == 5
    house.stop_well()
    assert assert_ledger_agrees(state, 5)["not_charged"] == 1


def test_another_upstream_takes_the_jobs_of_one_that_is_not_there(simulator, gateway, mode):
    second = simulator(mode=mode, latency=0.05)
    with closed_port() as port:
        house = gateway(upstreams=[
            {"name": "gone", "url": f"http://127.0.0.1:{port}", "priority": 0},
            {"name": "there", "priority": 1, **upstream_of(second)},
        ], retry={"base": 0.02, "cap": 0.1, "attempts": 10})
        tasks = [job(seed=seed) for seed in range(10)]
        ids = [house.submit(task) for task in tasks]
        for job_id, task in zip(ids, tasks):
            expect.solved(house.status(job_id, "&wait=30"), task)
        house.stop_well()
    assert second.counters()["charged"] == len(tasks)


@pytest.mark.parametrize("kind", ACCOUNT_REFUSALS)
def test_without_another_the_tool_is_told_until_the_account_works_again(simulator, gateway, mode,
                                                                        kind):
    sim = simulator(mode=mode, latency=0)
    house = gateway(sim, retry={"recheck": 1.0})
    sim.fault(f"solve:{kind}")
    expect.failed(house.solve(job(seed="first"), HELD), "upstream_rejected")
    answer = house.solve(job(seed="second"), HELD)
    expect.error(answer, 503, "no_upstream")
    assert int(answer.header("Retry-After")) >= 1
    assert sim.counters()["solve_requests"] == 1
    sim.clear_faults()
    task = job(seed="third")

    def taken():
        reply = house.solve(task, HELD)
        return reply if reply.status != 503 else None

    expect.solved(wait_until(taken, 5.0, "the account is tried again", 0.1), task)
    first, second = (s["time"] for s in solves(sim))
    assert second - first > 0.9


@pytest.mark.parametrize("jobs, wanted", [(2, [1, 1]), (4, [2, 2]), (8, [4, 4])])
def test_jobs_are_spread_within_one_priority(simulator, gateway, mode, jobs, wanted):
    sims = [simulator(name=f"sim-{n}", mode=mode, latency=NEVER) for n in range(2)]
    house = gateway(upstreams=[{"name": f"up-{n}", "max_in_flight": 4, **upstream_of(sim)}
                               for n, sim in enumerate(sims)])
    for seed in range(jobs):
        house.submit(job(seed=seed))
    wait_until(lambda: sum(sim.counters()["accepted"] for sim in sims) == jobs)
    assert [sim.counters()["accepted"] for sim in sims] == wanted


def test_the_only_upstream_may_be_away_for_a_while(simulator, gateway):
    """It refuses connections: no job is tried more often than the breaker needs to open."""
    with closed_port() as port:
        house = gateway(upstream={"url": f"http://127.0.0.1:{port}"}, retry={"probe": 0.1})
        tasks = [job(images=1, seed=seed) for seed in range(5)]
        ids = [house.submit(task) for task in tasks]
        probes = "asked for its balance as a probe"
        wait_until(lambda: house.log().count(probes) >= 5)
        shown = jobs_of(house)["jobs"]
        assert len(shown) == len(tasks) and {entry["state"] for entry in shown} == {"queued"}
        # All may be under way when the third one opens it.
        assert sum(entry["attempts"] for entry in shown) <= 2 + len(tasks)
        sim = simulator(mode="pro", latency=0, port=port)
        for job_id, task in zip(ids, tasks):
            expect.solved(house.status(job_id, "&wait=20"), task)
        assert sim.counters()["charged"] == sim.counters()["solve_requests"] == len(tasks)
        house.stop_well()
