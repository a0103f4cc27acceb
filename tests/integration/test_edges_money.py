"""Who is charged at the edges of a team: while a reload gives and takes, and over a crash."""

import asyncio
import itertools
import signal
import threading

import pytest

from lib import audit, expect
from lib.build import SANITIZE, patience, wait_until
from lib.clients import Client, ledger_of
from lib.gate import task
from lib.http import Connection
from lib.job import job
from lib.upstream import LATER, SOLVED, Upstream

A, B = Client("a"), Client("b")
C = Client("c", daily_limit=1)
ASYNC = {"Prefer": "respond-async"}
ELSEWHERE = ["elsewhere.example"]

# What a reload may take off of a job of the client a.
TAKEN_OFF = {"its client": {"clients": [B]}, "its site": {"sites": ELSEWHERE}}


def small(seed):
    return job(images=1, size=20, seed=seed)


def cancel(caller, job_id):
    expect.failed(caller.request("DELETE", f"/api/status?id={job_id}"), "cancelled")


def used(caller):
    return caller.usage()["daily"]["used"]


def solved(answer):
    """By an upstream that has one solution for everybody."""
    assert answer.object()["status"] == "solved", answer


# ---- a client that is new ----

ROUNDS = 60 if SANITIZE is None else 8
TOOLS = 40


async def test_a_client_that_a_reload_adds_never_passes_its_limit(simulator, gateway):
    """One token goes from client to client, each of which may have one job, while many ask with
    it and a few keep the workers busy: the new limits are in force when the first job comes."""
    sim = simulator(mode="pro", latency=0)
    heirs = [Client(f"heir-{n}", A.token, daily_limit=1) for n in range(ROUNDS + 1)]
    house = gateway(sim, clients=heirs[:1], workers=8, upstream={"max_in_flight": 100},
                    log={"level": "warning"})
    large = job(images=9, size=500_000, seed="large", site="not.allowed.example").body
    seeds, taken, over = itertools.count(), [], asyncio.Event()

    async def ask(next_body):
        async with await Connection.open(house.url) as connection:
            while not over.is_set():
                answer = await connection.request("POST", "/solve", {**A.headers, **ASYNC},
                                                  next_body())
                if answer.status == 200:
                    taken.append(answer.object()["id"])

    async def until_taken(count):
        while len(taken) < count:
            await asyncio.sleep(0.005)

    tools = [asyncio.create_task(ask(lambda: small(next(seeds)).body)) for _ in range(TOOLS)]
    tools += [asyncio.create_task(ask(lambda: large)) for _ in range(4)]
    await until_taken(1)
    for number, heir in enumerate(heirs[1:], 2):
        house.configure(clients=[heir])
        house.signal(signal.SIGHUP)
        await asyncio.wait_for(until_taken(number), patience(20.0))
    over.set()
    await asyncio.gather(*tools)
    house.stop_well()
    assert len(taken) == len(heirs)
    assert sim.counters()["charged"] == len(heirs)


# ---- what a reload takes off while it is in doubt, or on its way ----

DOUBT = {"on_unknown": "retry", "attempts": 9, "base": 0.01, "cap": 0.01, "probe": 60.0,
         "recheck": 60.0}


@pytest.mark.parametrize("what", TAKEN_OFF)
def test_what_waits_and_may_have_been_charged_ends_unknown_when_a_reload_takes_it_off(
        simulator, gateway, what):
    sim = simulator(mode="pro", latency=0, faults=["solve:reset"])
    house = gateway(sim, clients=[A, B], durability="full", retry=DOUBT,
                    upstream={"max_in_flight": 1})
    ids = [house.caller(A).submit(small(seed)) for seed in range(3)]
    wait_until(lambda: "upstream main fails" in house.log(), what="the breaker is open")
    charged = {request["sha256"] for request in sim.requests("solve") if request["charged"]}
    sent = sim.counters()["solve_requests"]
    house.reload(**TAKEN_OFF[what])
    for seed, job_id in enumerate(ids):
        if small(seed).body_sha256 in charged:
            body = expect.failed(house.finish(job_id), "outcome_unknown")
            assert "may have been charged" in body["message"], body
        else:
            expect.failed(house.finish(job_id), "cancelled")
    assert charged and sim.counters()["solve_requests"] == sent
    assert house.caller(B).usage()["queued"] == 0  # it goes on
    house.stop_well()
    counts = ledger_of(house.state_directory, A)
    assert (counts["unknown"], counts["open"]) == (sent, 0), counts


@pytest.mark.parametrize("durability", ["full", "none"])
@pytest.mark.parametrize("what", TAKEN_OFF)
def test_what_is_turned_away_after_a_reload_took_it_off_is_not_sent_again(gateway, what,
                                                                          durability):
    has_come, may_end = threading.Event(), threading.Event()

    def answer(number, _):
        if number > 1:
            return 200, {}, SOLVED
        has_come.set()
        may_end.wait(patience(20.0))
        return 503, {}, LATER

    with Upstream(answer) as upstream:
        house = gateway(upstream=upstream.entry, clients=[A, B], durability=durability,
                        retry={"base": 0.01, "cap": 0.01})
        job_id = house.caller(A).submit(task("a", 0))
        assert has_come.wait(patience(20.0))
        house.reload(**TAKEN_OFF[what])
        may_end.set()
        expect.failed(house.finish(job_id), "cancelled")
        house.stop_well()
        assert len(upstream.arrivals) == 1
    if durability == "full":
        counts = ledger_of(house.state_directory, A)
        assert (counts["charged"], counts["unknown"], counts["open"]) == (0, 0, 0), counts


def test_what_is_turned_away_after_its_payer_left_is_paid_by_the_next(gateway):
    """The removed client's job goes, the other's that shares the purchase is sent again."""
    has_come, may_end = threading.Event(), threading.Event()

    def answer(number, _):
        if number > 1:
            return 200, {}, SOLVED
        has_come.set()
        may_end.wait(patience(20.0))
        return 503, {}, LATER

    with Upstream(answer) as upstream:
        house = gateway(upstream=upstream.entry, clients=[A, B], durability="full",
                        retry={"base": 0.01, "cap": 0.01})
        first = house.caller(A).submit(task("shared", 0))
        assert has_come.wait(patience(20.0))
        second = house.caller(B).submit(task("shared", 0))
        house.reload(clients=[B])
        may_end.set()
        expect.failed(house.finish(first), "cancelled")
        solved(house.finish(second))
        house.stop_well()
        assert len(upstream.arrivals) == 2
    assert ledger_of(house.state_directory, A)["charged"] == 0
    assert ledger_of(house.state_directory, B)["charged"] == 1


# ---- who pays, over a crash ----


@pytest.fixture
def house(gateway, gate):
    """With one slot, in which a job of the client d is; and the client c has nothing left."""
    team = [A, B, C, Client("d")]
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=team, durability="full")
    gate.let(1)
    solved(house.finish(house.caller(C).submit(task("c", 0))))
    house.caller(team[3]).submit(task("d", 0))
    gate.wait_for(2)
    return house


def share(house, *clients):
    """Each asks for the same, in this order. Returns the ids."""
    return [house.caller(client).submit(task("shared", 0)) for client in clients]


def assert_charged(house, **expected):
    """Stops it, and looks at the ledger."""
    house.stop_well()
    for name, count in expected.items():
        counts = ledger_of(house.state_directory, Client(name))
        assert (counts["charged"], counts["unknown"], counts["open"]) == (count, 0, 0), name


def test_who_pays_after_a_cancel_pays_after_a_crash_too(house, gate):
    a, c, b = share(house, A, C, B)
    cancel(house.caller(A), a)
    assert used(house.caller(B)) == 0 and house.caller(B).usage()["daily"]["reserved"] == 1
    house.kill_and_start_again()
    assert house.caller(B).usage()["daily"]["reserved"] == 1
    assert house.caller(C).usage()["daily"]["reserved"] == 0
    gate.let(10)
    for job_id in (c, b):
        solved(house.finish(job_id))
    assert used(house.caller(C)) == 1
    assert gate.arrived().count("shared 0") == 1
    assert_charged(house, a=0, b=1, c=1)


def test_the_next_who_can_pays_where_the_payers_client_is_gone_at_the_start(house, gate):
    a, c, b = share(house, A, C, B)
    house.kill()
    house.configure(clients=[B, C])
    house.start_again()
    expect.failed(house.status(a), "cancelled")
    assert house.caller(B).usage()["daily"]["reserved"] == 1
    gate.let(10)
    for job_id in (c, b):
        solved(house.finish(job_id))
    assert_charged(house, a=0, b=1, c=1)


def test_nobody_pays_where_the_payers_client_is_gone_and_the_others_have_nothing_left(house, gate):
    a, c = share(house, A, C)
    house.kill()
    house.configure(clients=[B, C])
    house.start_again()
    gate.let(10)
    for job_id in (a, c):
        expect.failed(house.finish(job_id), "cancelled")
    assert gate.arrived().count("shared 0") == 0
    assert_charged(house, a=0, c=1)


def test_a_purchase_whose_payer_is_gone_at_the_start_is_cancelled_on_disk_too(house, gate):
    """A second crash does not bring it back."""
    a, c = share(house, A, C)
    house.kill()
    house.configure(clients=[B, C])
    house.start_again()
    house.kill_and_start_again()
    gate.let(10)
    for job_id in (a, c):
        expect.failed(house.finish(job_id), "cancelled")
    assert gate.arrived().count("shared 0") == 0
    assert_charged(house, a=0, c=1)


# ---- sent again in doubt ----

AGAIN = {"on_unknown": "retry", "attempts": 9, "base": 0.01, "cap": 0.05}


def test_each_try_in_doubt_is_paid_and_named_once_over_several_crashes(gateway, gate):
    """The first try uses up what the client c has, so the next ones are b's."""
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[B, C], durability="full",
                    retry=AGAIN)
    ids = share(house, C, B)
    for tries in (1, 2):
        gate.wait_for(tries)
        house.kill_and_start_again()
    gate.wait_for(3)
    gate.let(10)
    for job_id in ids:
        solved(house.finish(job_id))
    assert (used(house.caller(C)), used(house.caller(B))) == (1, 2)
    house.stop_well()
    books = {c.name: ledger_of(house.state_directory, c) for c in (B, C)}
    assert (books["c"]["unknown"], books["c"]["charged"]) == (1, 0)
    assert (books["b"]["unknown"], books["b"]["charged"]) == (1, 1)
    lines = [(line["client"], line["charge"]) for line in audit.charged(house.audit_file)]
    assert lines == [("c", None), ("b", None), ("b", 1)]
