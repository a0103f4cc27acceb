"""A job is sent again only where it surely was not taken; how often, when, and until when."""

import socket
import time

import pytest

from lib import expect
from lib.build import patience
from lib.gateway import upstream_of
from lib.job import job
from lib.state import ledger

HELD = {"Prefer": "wait=60"}
QUICK = {"base": 0.02, "cap": 0.2}

# "Not now", in all its words. Those with a code ask for a pause of 1 s.
LATER = ["status=503", "status=429", "code=2", "code=16", "code=21"]

NEVER_AGAIN = {
    "code=10": "upstream_rejected",
    "code=12": "upstream_rejected",
    "error=no": "upstream_rejected",
    "status=400": "upstream_rejected",
    "reset": "outcome_unknown",
    "close": "outcome_unknown",
    "empty": "outcome_unknown",
    "garbage": "outcome_unknown",
    "truncate": "outcome_unknown",
    "html=502": "outcome_unknown",
    "noid": "outcome_unknown",
}


@pytest.fixture
def house(simulator, gateway, mode):
    return gateway(simulator(mode=mode, latency=0.05), retry=QUICK)


def sent_at(sim):
    return [request["time"] for request in sim.requests("solve")]


def gaps(times):
    return [later - earlier for earlier, later in zip(times, times[1:])]


@pytest.mark.parametrize("kind", LATER)
def test_a_job_that_was_turned_away_is_sent_again(house, kind):
    house.sim.fault(f"solve:{kind}*2")
    task = job()
    expect.solved(house.solve(task, HELD), task)
    counters = house.sim.counters()
    assert counters["solve_requests"] == 3
    assert counters["charged"] == 1
    if kind.startswith("code="):
        assert min(gaps(sent_at(house.sim))) > 0.95


@pytest.mark.parametrize("kind", NEVER_AGAIN)
def test_a_job_that_was_refused_or_may_have_been_taken_is_not_sent_again(house, kind):
    house.sim.fault(f"solve:{kind}*1")
    expect.failed(house.solve(job(), HELD), NEVER_AGAIN[kind])
    assert house.sim.counters()["solve_requests"] == 1
    task = job(seed="next")
    expect.solved(house.solve(task, HELD), task)
    assert house.sim.counters()["solve_requests"] == 2


@pytest.mark.parametrize("kind", ["reset", "empty", "truncate"])
def test_a_job_that_may_have_been_taken_moves_to_no_other_upstream(simulator, gateway, mode, kind):
    first, second = (simulator(name=f"sim-{n}", mode=mode) for n in range(2))
    house = gateway(upstreams=[{"name": f"up-{n}", "priority": n, **upstream_of(sim)}
                               for n, sim in enumerate((first, second))], retry=QUICK)
    first.fault(f"solve:{kind}")
    expect.failed(house.solve(job(), HELD), "outcome_unknown")
    assert first.counters()["solve_requests"] == 1
    assert second.counters()["solve_requests"] == 0


@pytest.mark.parametrize("value, least", [("1", 0.95), ("2", 1.95), ("date", 0.9)])
def test_the_pause_that_the_upstream_asks_for_is_kept(house, value, least):
    house.sim.fault(f"solve:status=503/{value}*1")
    task = job()
    expect.solved(house.solve(task, HELD), task)
    (gap,) = gaps(sent_at(house.sim))
    assert least <= gap < 3 + patience(1.0)


def test_the_pause_without_a_wish_stays_below_its_ceiling(house):
    house.sim.fault("solve:status=503*2")
    task = job()
    expect.solved(house.solve(task, HELD), task)
    assert max(gaps(sent_at(house.sim))) < QUICK["cap"] + patience(0.5)


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_job_is_sent_so_often_at_most(simulator, gateway, mode, attempts):
    house = gateway(simulator(mode=mode), retry={**QUICK, "attempts": attempts})
    house.sim.fault("solve:status=503")
    said = expect.failed(house.solve(job(), HELD), "upstream_unavailable")["message"]
    assert "the upstream did not take the job, with retry.attempts = " in said
    counters = house.sim.counters()
    assert counters["solve_requests"] == attempts
    assert counters["charged"] == 0


def test_the_deadline_stands_over_all_retries(simulator, gateway, mode):
    house = gateway(simulator(mode=mode), limits={"job_deadline": 1.5},
                    retry={"attempts": 100, "base": 0.05, "cap": 0.1, "probe": 0.1})
    house.sim.fault("solve:status=503")
    started = time.monotonic()
    expect.failed(house.solve(job(), HELD), ("deadline", "upstream_unavailable"))
    assert time.monotonic() - started < 1.5 + patience(1.0)
    assert house.sim.counters()["solve_requests"] > 1


def test_a_pause_beyond_the_deadline_is_not_waited_for_twice(simulator, gateway, mode):
    house = gateway(simulator(mode=mode), limits={"job_deadline": 1.5}, retry=QUICK)
    house.sim.fault("solve:status=503/30*1")
    started = time.monotonic()
    expect.failed(house.solve(job(), HELD), ("deadline", "upstream_unavailable"))
    assert time.monotonic() - started < 1.5 + patience(1.0)
    assert house.sim.counters()["solve_requests"] == 1


def test_a_connection_that_ends_before_the_body_is_not_charged(house):
    house.sim.fault("solve:reset-early*1")
    task = job()
    answer = house.solve(task, HELD)
    solved = answer.object()["status"] == "solved"
    if solved:
        expect.solved(answer, task)
    else:
        expect.failed(answer, ("outcome_unknown", "upstream_unavailable"))
    assert house.sim.counters()["charged"] == int(solved)


def test_a_refused_connection_is_tried_again_and_then_given_up(gateway):
    with socket.socket() as nobody:  # it has the port, and does not listen
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        house = gateway(upstream={"url": f"http://127.0.0.1:{port}"},
                        retry={"attempts": 3, "base": 0.4, "cap": 0.4})
        expect.failed(house.solve(job(), HELD), "upstream_unavailable")


def test_a_flood_of_refused_jobs_is_not_made_much_larger(simulator, gateway):
    """Two of three requests are turned away, so that without a budget there were three for a job;
    never three in a row, so that the breaker stays out of it."""
    jobs = 100
    house = gateway(simulator(mode="pro", latency=0), upstream={"max_in_flight": 1}, retry=QUICK,
                    limits={"job_deadline": 5.0})
    house.sim.fault(*["solve:status=503*2", "solve:slow=0.001*1"] * 120)
    started = time.monotonic()
    ids = [house.submit(job(images=1, size=20, seed=seed)) for seed in range(jobs)]
    ends = [house.status(job_id, "&wait=20").object() for job_id in ids]
    seconds = time.monotonic() - started
    for body in ends:
        assert body["status"] == "solved" or body["code"] in ("upstream_unavailable", "deadline")
    counters = house.sim.counters()
    assert counters["solve_requests"] <= jobs * 1.2 + 10 + seconds / 2 + 2
    assert counters["solve_requests"] > jobs, "nothing was tried again"
    assert counters["charged"] == sum(body["status"] == "solved" for body in ends) > 0


def test_the_ledger_tells_each_try(simulator, gateway, tmp_path, mode):
    house = gateway(simulator(mode=mode, latency=0), durability="full",
                    state_directory=tmp_path / "state", retry=QUICK)
    house.sim.fault("solve:status=503*2")
    task = job()
    expect.solved(house.solve(task, HELD), task)
    house.sim.fault("solve:reset*1", "solve:error=no*1")
    expect.failed(house.solve(job(seed="lost"), HELD), "outcome_unknown")
    expect.failed(house.solve(job(seed="refused"), HELD), "upstream_rejected")
    house.stop_well()
    assert ledger(tmp_path / "state") == {
        "open": 0, "charged": 1, "not_charged": 3, "unknown": 1}
