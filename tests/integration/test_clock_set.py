"""The wall clock is set forward or back, while the daemon runs or between two runs; and the state
directory holds times and numbers that no clock has shown. Nothing aborts, no budget is granted
twice, and every job ends."""

import contextlib
import sqlite3

import pytest

from lib import expect
from lib.aheadclock import AheadClock
from lib.build import wait_until
from lib.clients import Client, day_with_time_left, month_after, utc_now
from lib.gate import task
from lib.gateway import FINAL
from lib.job import job
from lib.state import assert_ledger_agrees, database

HELD = {"Prefer": "wait=30"}


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def clock(tmp_path):
    return AheadClock(tmp_path / "ahead")


@pytest.fixture
def durable(gateway, state, clock):
    """A gateway that keeps its jobs, and whose wall clock the test sets."""

    def make(*args, **settings):
        return gateway(*args, durability="full", state_directory=state,
                       environment=clock.environment, **settings)

    return make


def finish_all(house, ids):
    return [wait_until(lambda job_id=job_id: ended(house, job_id), 20.0, f"{job_id} is final")
            for job_id in ids]


def ended(house, job_id):
    answer = house.status(job_id)
    return answer.object() if answer.object()["status"] in FINAL else None


# ---- over a restart ----


@pytest.mark.parametrize("span", [{"hours": -1}, {"days": -400}, {"days": -60 * 365},
                                  {"days": 400}])
def test_queued_jobs_are_sent_or_end_by_their_deadline(simulator, durable, state, clock, span):
    """Enough jobs wait that some are dequeued in the moment of their deadline. What had ended before
    may have expired, by a clock that is ahead now."""
    sim = simulator(mode="pro", latency=0.02)
    house = durable(sim, upstream={"max_in_flight": 2}, limits={"job_deadline": 1.0})
    sim.fault("solve:hang*2")
    ids = [house.submit(job(images=1, size=20, seed=seed)) for seed in range(2)]
    wait_until(lambda: sim.counters()["accepted"] == 2)
    ids += [house.submit(job(images=1, size=20, seed=seed)) for seed in range(2, 150)]
    house.kill()
    clock.set_ahead(**span)
    house.start_again()
    for body in finish_all(house, ids):
        assert body["status"] == "solved" or body["code"] in (
            "deadline", "outcome_unknown", *(["unknown_id"] if span == {"days": 400} else []))
    house.stop_well()
    assert_ledger_agrees(state, sim.counters()["charged"])


def test_a_job_that_waits_has_its_whole_deadline_at_most(gate, durable, clock):
    house = durable(upstream={**gate.entry, "max_in_flight": 1}, limits={"job_deadline": 1.5})
    ids = [house.submit(task("ci", number)) for number in range(3)]
    gate.wait_for(1)
    house.kill()
    clock.set_ahead(days=-1)
    house.start_again()
    bodies = finish_all(house, ids)
    assert [body["code"] for body in bodies[1:]] == ["outcome_unknown", "deadline"] or \
        [body["code"] for body in bodies[1:]] == ["deadline", "deadline"]


def test_an_accepted_job_is_polled_for_a_while_wherever_the_clock_is(simulator, durable, clock):
    sim = simulator(mode="free", latency=1.0)
    house = durable(sim)
    ids = {}
    for seed, days in enumerate((-400, 400)):
        ids[seed] = house.submit(job(seed=seed))
        wait_until(lambda: len({poll["id"] for poll in sim.requests("status")}) == len(ids))
        house.kill()
        clock.set_ahead(days=days)
        house.start_again()
        expect.solved(house.finish(ids[seed]), job(seed=seed))
    assert sim.counters()["solve_requests"] == 2


def finished(state):
    with contextlib.closing(sqlite3.connect(database(state))) as connection:
        return connection.execute("SELECT finished FROM purchase").fetchone()[0]


def test_a_result_from_the_future_is_kept_for_its_time_and_no_longer(simulator, durable, state,
                                                                     clock):
    clock.set_ahead(days=30)
    house = durable(simulator(mode="pro", latency=0), results={"ttl": 5})
    job_id = expect.solved(house.solve(job(), HELD), job())["id"]
    house.stop_well()
    ahead = finished(state)
    clock.set_ahead(days=0)
    house.start_again()
    assert house.status(job_id).object()["status"] == "solved"
    wait_until(lambda: ahead - finished(state) > 29 * 86400 * 1000, what="its time is corrected")
    wait_until(lambda: house.status(job_id).status == 404, 15.0, "the result has expired")


# ---- budgets ----

CI = Client("ci", daily_limit=4, monthly_limit=6)


def buy(house, count, of):
    """Buys so many, and then there is nothing left."""
    tool = house.caller(CI)
    for number in range(count):
        one = job(images=1, size=20, seed=f"{of} {number}")
        expect.solved(tool.solve(one, HELD), one)
    expect.error(tool.solve(job(images=1, size=20, seed=f"{of} more"), HELD), 429,
                 "quota_exceeded")


def used(house):
    usage = house.caller(CI).usage()
    return usage["daily"]["used"], usage["monthly"]["used"]


@pytest.mark.parametrize("again", ["running", "restarted", "killed"])
def test_a_clock_that_goes_forward_and_back_grants_no_fresh_budget(simulator, durable, clock,
                                                                   again):
    house = durable(simulator(mode="pro", latency=0), clients=[CI])

    def set_ahead(days):
        if again == "restarted":
            house.stop_well()
        elif again == "killed":
            house.kill()
        clock.set_ahead(days=days)
        if again != "running":
            house.start_again()

    # Days of one month: the first and the next days of the month after next, by the true clock.
    first = (month_after(month_after(day_with_time_left())) - utc_now()).days + 1
    set_ahead(first)
    buy(house, 4, "first")
    set_ahead(first + 1)
    buy(house, 2, "second")  # then the month is used up
    set_ahead(first + 31)
    buy(house, 4, "month")
    for ahead, expected in ((first, (4, 6)), (first + 1, (2, 6)), (first + 2, (0, 6)),
                            (first + 31, (4, 4))):
        set_ahead(ahead)
        assert used(house) == expected
    for ahead in (first, first + 1, first + 31):
        set_ahead(ahead)
        buy(house, 0, f"again {ahead}")
    assert house.sim.counters()["charged"] == 10


def test_what_was_reserved_on_a_day_is_charged_on_that_day(gate, durable, clock):
    """Else one day could be filled from another while jobs wait."""
    house = durable(upstream={**gate.entry, "max_in_flight": 1}, clients=[CI])
    tool = house.caller(CI)
    day_with_time_left()
    ids = [tool.submit(task("ci", number)) for number in range(4)]
    gate.wait_for(1)
    clock.set_ahead(days=35)
    ids += [tool.submit(task("later", number)) for number in range(4)]
    expect.error(tool.solve(task("later", 4)), 429, "quota_exceeded")
    clock.set_ahead(days=0)
    expect.error(tool.solve(task("ci", 4)), 429, "quota_exceeded")
    clock.set_ahead(days=70)
    gate.let(8)
    for job_id in ids:
        assert house.finish(job_id).object()["status"] == "solved"
    assert used(house) == (0, 0)
    for days in (0, 35):
        clock.set_ahead(days=days)
        assert used(house) == (4, 4)
    house.kill_and_start_again()
    assert used(house) == (4, 4)
    clock.set_ahead(days=0)
    assert used(house) == (4, 4)


# ---- rows that no daemon has written ----

MIN, MAX = -2**63, 2**63 - 1

TIMES = [f"UPDATE {table} SET {column} = {value}" for value in (MIN, -1, 0, MAX)
         for table, column in (("job", "created"), ("job", "deadline"), ("purchase", "created"),
                               ("charge", "time"))]
ENDS = [f"UPDATE {table} SET finished = {value} WHERE finished IS NOT NULL"
        for value in (MIN, MAX) for table in ("purchase", "job")]
COUNTS = [
    f"UPDATE charge SET day = {MIN}",
    f"UPDATE charge SET day = {MAX}",
    f"UPDATE charge SET attempt = {MIN}",
    f"INSERT INTO charge_day VALUES ({MAX}, 'local', 'main', 2, {MIN})",
    "INSERT INTO charge_day VALUES (-5, 'local', 'main', 2, -5)",
    "UPDATE charge SET outcome = -7",
    "UPDATE job SET client = printf('%.100000c', 'x')",
    "UPDATE job SET address = ''",
    "UPDATE purchase SET payer = 'nobody', upstream = NULL, upstream_id = NULL",
    f"INSERT INTO audit VALUES ({MIN}, 'no line')",
]
REFUSED = [
    f"UPDATE purchase SET state = 7, finished = {MAX}",
    f"UPDATE purchase SET state = 4294967296, finished = {MAX}",
    f"UPDATE purchase SET state = 4294967299, finished = {MAX} WHERE state = 0",
    "UPDATE purchase SET upstream_id = printf('%.257c', 'x') WHERE upstream_id IS NOT NULL",
    "UPDATE purchase SET state = -1 WHERE state = 0",
    "UPDATE purchase SET error = 99 WHERE state >= 3",
    "UPDATE purchase SET identity = x'00'",
    "UPDATE job SET address = printf('%.100c', '1')",
    "UPDATE job SET id = id || 'x'",
    f"UPDATE purchase SET number = {MIN} WHERE number = 1;"
    f" UPDATE job SET purchase = {MIN} WHERE purchase = 1",
    f"UPDATE charge SET purchase = {MAX} WHERE attempt = 1 AND purchase ="
    " (SELECT max(purchase) FROM charge)",
]


@pytest.fixture
def with_jobs(simulator, durable, state):
    """A gateway that was killed with a job solved, one accepted, one being sent, one queued."""
    free, pro = simulator(name="free", mode="free", latency=0.3), simulator(name="pro", latency=0)
    house = durable(upstreams=[
        {"name": "main", "url": pro.url, "api": pro.api, "max_in_flight": 1, "priority": 0},
        {"name": "other", "url": free.url, "api": free.api, "max_in_flight": 1, "priority": 1}])
    house.sim = pro
    expect.solved(house.solve(job(seed=0), HELD), job(seed=0))
    pro.fault("solve:hang*1")
    ids = [house.submit(job(seed=1))]
    wait_until(lambda: pro.counters()["accepted"] == 2)
    ids.append(house.submit(job(seed=2)))
    wait_until(lambda: free.requests("status"))
    ids += [house.submit(job(seed=seed)) for seed in (3, 4)]
    house.kill()
    return house, ids


def run(state, statement):
    with contextlib.closing(sqlite3.connect(database(state))) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.executescript(statement)


@pytest.mark.parametrize("statement", TIMES + ENDS + COUNTS)
def test_an_impossible_value_ends_no_daemon(with_jobs, state, statement):
    house, ids = with_jobs
    run(state, statement)
    house.start_again()
    for job_id in ids:
        wait_until(lambda job_id=job_id: house.status(job_id).status == 404
                   or ended(house, job_id), 40.0, f"{job_id} is final")
    house.kill_and_start_again()


@pytest.mark.parametrize("statement", REFUSED)
def test_a_row_that_cannot_be_read_is_named(with_jobs, state, statement):
    house, _ = with_jobs
    run(state, statement)
    with pytest.raises(AssertionError, match="ended with 1:") as refusal:
        house.start_again()
    house.exit_statuses = (1,)
    assert f"{database(state)}: " in str(refusal.value) and "invalid" in str(refusal.value)
