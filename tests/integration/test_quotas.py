"""What a client may spend, and not one credit more: by day and month, by a rate; whatever happens
to the daemon meanwhile."""

import asyncio
import contextlib
import math
import re
import sqlite3
import time

import pytest

from lib import expect
from lib.build import wait_until
from lib.clients import (
    Client, committed, day_after, day_with_time_left, ledger_of, limited, limits_in, month_after,
    post_over, utc_now, wait_until_settled)
from lib.crowd import BROKEN
from lib.gate import task
from lib.gateway import FINAL
from lib.http import Connection
from lib.job import job
from lib.state import assert_ledger_agrees, database

BUDGET = 100
CROWD = 500
CONNECTIONS = 20
IN_FLIGHT = 10

HELD = {"Prefer": "wait=30"}
ASYNC = {"Prefer": "respond-async"}
QUICK = {"attempts": 2, "base": 0.01, "cap": 0.02, "probe": 0.1}

OTHER = Client("other")
WINDOWS = pytest.mark.parametrize("window", ["daily", "monthly"])


@pytest.fixture(autouse=True)
def now():
    return day_with_time_left()


def small_jobs(count, of="job"):
    return [job(images=1, size=20, seed=f"{of} {number}") for number in range(count)]


def assert_used_up(answer, window, limit, now):
    """A refusal that says which limit it was, how much of it was used, and when it renews."""
    body = expect.error(answer, 429, "quota_exceeded")
    renews = day_after(now) if window == "daily" else month_after(now)
    seconds = (renews - utc_now()).total_seconds()
    assert abs(int(answer.header("Retry-After")) - seconds) < 60, (answer, seconds)
    assert re.search({"daily": "daily|day", "monthly": "monthly|month"}[window], body["message"])
    assert re.search(rf"\b{limit}\b", body["message"]), body
    assert f"{renews:%Y-%m-%d}" in body["message"], body
    assert limits_in(answer, "RateLimit")[window]["r"] == 0
    assert limits_in(answer, "RateLimit-Policy")[window]["q"] == limit


# ---- exactly so many, and no more ----


@WINDOWS
async def test_of_500_jobs_at_once_exactly_the_100_that_are_left_are_sent(
        simulator, gateway, tmp_path, now, window):
    client = limited(window, BUDGET + 20)
    state = tmp_path / "state"
    house = gateway(simulator(mode="pro", latency=0.01), clients=[client], durability="full",
                    state_directory=state, upstream={"max_in_flight": IN_FLIGHT})
    before = await post_over(house, client, small_jobs(20, "before"), 20, "wait=30")
    assert [answer.object()["status"] for answer in before] == ["solved"] * 20
    answers = await post_over(house, client, small_jobs(CROWD), CONNECTIONS)
    taken = [answer for answer in answers if answer.status == 200]
    assert len(taken) == BUDGET
    for answer in answers:
        if answer.status != 200:
            assert_used_up(answer, window, BUDGET + 20, now)
    for answer in taken:
        assert house.finish(answer.object()["id"]).object()["status"] == "solved"
    assert wait_until_settled(house, client) == BUDGET + 20
    counters = house.sim.counters()
    assert counters["solve_requests"] == counters["charged"] == BUDGET + 20
    house.stop_well()
    assert ledger_of(state, client) == {
        "open": 0, "charged": BUDGET + 20, "not_charged": 0, "unknown": 0}


class Hammer:
    """Tools that post jobs of one client until there is nothing left, or the gateway is down."""

    def __init__(self, house, client, prefer):
        self.house = house
        self.headers = {**client.headers, "Prefer": prefer}
        self.codes = []
        self._tasks = iter(small_jobs(10 * CROWD, "hammer"))

    async def _tool(self):
        with contextlib.suppress(*BROKEN):
            async with await Connection.open(self.house.url) as connection:
                while 429 not in self.codes:
                    answer = await connection.request("POST", "/api/solve", self.headers,
                                                      next(self._tasks).body)
                    self.codes.append(answer.status)

    async def strike_until_killed(self, charged):
        """Until the simulator has charged so many; then the gateway is killed."""
        tools = [asyncio.create_task(self._tool()) for _ in range(CONNECTIONS)]
        await asyncio.to_thread(wait_until,
                                lambda: self.house.sim.counters()["charged"] >= charged)
        self.house.kill()
        await asyncio.gather(*tools)


@pytest.mark.parametrize("prefer", ["wait=30", "respond-async"])
def test_a_kill_in_the_middle_makes_it_no_more_and_what_is_left_is_taken(simulator, gateway,
                                                                         tmp_path, mode, prefer):
    client = limited("daily", BUDGET)
    state = tmp_path / "state"
    sim = simulator(mode=mode, latency=0.05)
    house = gateway(sim, clients=[client], durability="full", state_directory=state,
                    upstream={"max_in_flight": IN_FLIGHT})
    hammer = Hammer(house, client, prefer)
    for charged in (20, 40):
        asyncio.run(hammer.strike_until_killed(charged))
        house.start_again()
        assert sim.counters()["solve_requests"] <= committed(house, client) <= BUDGET
    left = BUDGET - committed(house, client)
    answers = asyncio.run(post_over(house, client, small_jobs(CROWD, "after"), CONNECTIONS))
    assert sum(answer.status == 200 for answer in answers) == left
    assert {answer.status for answer in answers} <= {200, 429}
    assert wait_until_settled(house, client) == BUDGET
    counters = sim.counters()
    house.stop_well()
    assert_ledger_agrees(state, counters["charged"])
    ledger = ledger_of(state, client)
    assert ledger["charged"] + ledger["unknown"] == BUDGET, ledger
    assert ledger["not_charged"] == 0
    assert counters["charged"] <= counters["solve_requests"] <= BUDGET


@WINDOWS
@pytest.mark.parametrize("again", ["kill_and_start_again", "restart"])
def test_what_was_used_is_still_used_after_a_restart(simulator, gateway, now, window, again):
    client = limited(window, 3)
    house = gateway(simulator(mode="pro", latency=0), clients=[client], durability="full")
    tool = house.caller(client)
    for used in range(3):
        expect.solved(tool.solve(job(seed=used), HELD), job(seed=used))
        restart(house, again)
        assert tool.usage()[window]["used"] == used + 1
    assert_used_up(tool.solve(job(seed="more"), HELD), window, 3, now)


def restart(house, how):
    if how == "restart":
        house.stop_well()
        house.start_again()
    else:
        house.kill_and_start_again()


def test_what_waited_is_reserved_again_after_a_crash(gateway, gate):
    client = limited("daily", 5)
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[client],
                    durability="full")
    tool = house.caller(client)
    ids = [tool.submit(task("ci", number)) for number in range(4)]
    gate.wait_for(1)
    house.kill_and_start_again()
    gate.wait_for(2)  # the first one may have been charged, which counts
    assert committed(house, client) == 4
    tool.submit(task("ci", 4))
    expect.error(tool.solve(task("ci", 5), ASYNC), 429, "quota_exceeded")
    gate.let(5)
    expect.failed(house.finish(ids[0]), "outcome_unknown")
    for job_id in ids[1:]:
        assert house.finish(job_id).object()["status"] == "solved"
    assert wait_until_settled(house, client) == 5


def test_what_was_queued_upstream_is_paid_once_over_a_crash(simulator, gateway, tmp_path):
    client = limited("daily", 2)
    sim = simulator(mode="free", latency=0.5)
    house = gateway(sim, clients=[client], durability="full", state_directory=tmp_path / "state")
    job_id = expect.pending(house.caller(client).solve(job()))["id"]
    wait_until(lambda: house.caller(client).usage()["daily"]["used"] == 1)
    house.kill_and_start_again()
    assert committed(house, client) == 1
    expect.solved(house.finish(job_id), job())
    assert wait_until_settled(house, client) == 1
    house.stop_well()
    assert ledger_of(tmp_path / "state", client)["charged"] == 1


def test_without_durability_counts_start_anew_and_that_is_warned_of(simulator, gateway):
    client = limited("daily", 1)
    house = gateway(simulator(mode="pro", latency=0), clients=[client], durability="none")
    assert re.search(r"warning.*durability", house.log())
    expect.solved(house.caller(client).solve(job(), HELD), job())
    expect.error(house.caller(client).solve(job(seed=1)), 429, "quota_exceeded")
    house.stop_well()
    house.start_again()
    assert committed(house, client) == 0


def move_charges(state, days):
    """What was charged, was charged so many days ago."""
    with contextlib.closing(sqlite3.connect(database(state))) as connection, connection:
        connection.execute("UPDATE charge SET day = day - ?1, time = time - ?1 * 86400000", (days,))
        connection.execute("UPDATE charge_day SET day = day - ?1", (days,))


@pytest.mark.parametrize("days", [0, 1, 40])
def test_days_and_months_are_those_of_the_utc_calendar(simulator, gateway, tmp_path, now, days):
    client = Client("ci", daily_limit=2, monthly_limit=3)
    state = tmp_path / "state"
    house = gateway(simulator(mode="pro", latency=0), clients=[client], durability="full",
                    state_directory=state)
    tool = house.caller(client)
    for number in range(2):
        expect.solved(tool.solve(job(seed=number), HELD), job(seed=number))
    house.stop_well()
    move_charges(state, days)
    house.start_again()
    this_day, this_month = days == 0, days < now.day
    usage = tool.usage()
    assert usage["daily"]["used"] == (2 if this_day else 0)
    assert usage["monthly"]["used"] == (2 if this_month else 0)
    left = 0 if this_day else 1 if this_month else 2
    for number in range(left):
        expect.solved(tool.solve(job(seed=f"new {number}"), HELD), job(seed=f"new {number}"))
    window, limit = ("monthly", 3) if this_month and not this_day else ("daily", 2)
    assert_used_up(tool.solve(job(seed="more"), HELD), window, limit, now)


# ---- what costs nothing ----


def refused_body(house, tool):
    expect.error(tool.solve(job().with_body(b"{")), 400, "bad_json")
    expect.error(tool.solve(job(target=None)), 400, "bad_job")


def refused_site(house, tool):
    expect.error(tool.solve(job(site="elsewhere.example.net")), 403, "site_not_allowed")


def refused_method(house, tool):
    expect.error(tool.solve(job(method="ocr")), 403, "method_not_allowed_for_job")


def refused_upstream(house, tool):
    house.sim.fault("solve:error=no*1")
    expect.failed(tool.solve(job(), HELD), "upstream_rejected")


def turned_away_until_given_up(house, tool):
    house.sim.fault("solve:code=16*2")
    expect.failed(tool.solve(job(), HELD), "upstream_unavailable")


def taken_from_the_cache(house, tool):
    first = house.caller(OTHER).solve(job(), HELD)
    expect.solved(first, job())
    answer = tool.solve(job(), HELD)
    expect.solved(answer, job())
    assert answer.header("Cache-Status") == "solvegate; hit"


def refused_because_of_the_key(house, tool):
    key = {**HELD, "Idempotency-Key": "k"}
    expect.solved(house.caller(OTHER).solve(job(), HELD), job())
    expect.solved(tool.solve(job(), key), job())
    expect.error(tool.solve(job(seed=1), key), 422, "key_reused")


FREE_OF_CHARGE = [refused_body, refused_site, refused_method, refused_upstream,
                  turned_away_until_given_up, taken_from_the_cache,
                  refused_because_of_the_key]


@WINDOWS
@pytest.mark.parametrize("what", FREE_OF_CHARGE, ids=lambda what: what.__name__)
def test_it_costs_nothing(simulator, gateway, window, what):
    client = limited(window, 1)
    house = gateway(simulator(mode="pro", latency=0), clients=[client, OTHER], retry=QUICK)
    tool = house.caller(client)
    what(house, tool)
    usage = tool.usage()[window]
    assert (usage["used"], usage["reserved"], usage["left"]) == (0, 0, 1)
    last = job(seed="last")
    expect.solved(tool.solve(last, HELD), last)
    expect.error(tool.solve(job(seed="more"), HELD), 429, "quota_exceeded")


def test_what_is_asked_for_again_costs_nothing_even_where_nothing_is_left(simulator, gateway):
    client = limited("daily", 1)
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    tool, keyed = house.caller(client), {**HELD, "Idempotency-Key": "k"}
    first = expect.solved(tool.solve(job(), keyed), job())
    assert expect.solved(tool.solve(job(), keyed), job())["id"] == first["id"]
    assert tool.solve(job(), HELD).header("Cache-Status") == "solvegate; hit"
    fresh = tool.solve(job(), {**HELD, "Cache-Control": "no-cache"})
    expect.error(fresh, 429, "quota_exceeded")
    assert house.sim.counters()["solve_requests"] == 1


def test_joining_costs_nothing_even_where_nothing_is_left(gateway, gate):
    client = limited("daily", 1)
    house = gateway(upstream=gate.entry, clients=[client, OTHER])
    tool = house.caller(client)
    own, others = tool.submit(task("own", 0)), house.caller(OTHER).submit(task("others", 0))
    ids = [own, others, tool.submit(task("own", 0)), tool.submit(task("others", 0))]
    expect.error(tool.solve(task("own", 1), ASYNC), 429, "quota_exceeded")
    gate.let(2)
    for job_id in ids:
        assert house.finish(job_id).object()["status"] == "solved"
    assert wait_until_settled(house, client) == 1
    assert wait_until_settled(house, OTHER) == 1
    assert sorted(gate.arrived()) == ["others 0", "own 0"]


def test_a_cancelled_job_gives_back_what_it_had_reserved(gateway, gate):
    client = limited("daily", 1)
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[client, OTHER])
    house.caller(OTHER).submit(task("other", 0))
    gate.wait_for(1)
    tool = house.caller(client)
    for number in range(3):
        job_id = tool.submit(task("ci", number))
        expect.error(tool.solve(task("ci", "more"), ASYNC), 429, "quota_exceeded")
        expect.failed(tool.request("DELETE", f"/status?id={job_id}"), "cancelled")
        assert committed(house, client) == 0


def test_a_job_that_was_too_late_to_be_sent_costs_nothing(gateway, gate):
    client = limited("daily", 1)
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[client, OTHER],
                    limits={"job_deadline": 1.0})
    house.caller(OTHER).submit(task("other", 0))
    gate.wait_for(1)
    tool = house.caller(client)
    body = expect.failed(house.finish(tool.submit(task("ci", 0))), "deadline")
    assert "it was not charged" in body["message"]  # in the queue, or when its turn came
    assert wait_until_settled(house, client) == 0
    assert "ci 0" not in gate.arrived()


@pytest.mark.parametrize("fault", ["reset", "garbage", "close", "empty"])
def test_what_may_have_been_charged_counts_as_used(simulator, gateway, tmp_path, fault):
    client = limited("daily", 1)
    house = gateway(simulator(mode="pro", latency=0), clients=[client], durability="full",
                    state_directory=tmp_path / "state")
    house.sim.fault(f"solve:{fault}*1")
    expect.failed(house.caller(client).solve(job(), HELD), "outcome_unknown")
    assert wait_until_settled(house, client) == 1
    expect.error(house.caller(client).solve(job(seed=1)), 429, "quota_exceeded")
    restart(house, "restart")
    assert committed(house, client) == 1
    house.stop_well()
    assert ledger_of(tmp_path / "state", client)["unknown"] == 1


@pytest.mark.parametrize("limit, sent", [(1, 1), (2, 2)])
def test_a_job_in_doubt_is_sent_again_only_where_there_is_enough_left(simulator, gateway, limit,
                                                                      sent):
    client = limited("daily", limit)
    house = gateway(simulator(mode="pro", latency=0), clients=[client],
                    retry={**QUICK, "on_unknown": "retry"})
    house.sim.fault("solve:reset*1")
    answer = house.caller(client).solve(job(), HELD)
    if sent == 1:
        expect.failed(answer, "outcome_unknown")
    else:
        expect.solved(answer, job())
    assert wait_until_settled(house, client) == limit
    assert house.sim.counters()["solve_requests"] == sent


# ---- rate and burst ----


SLOW = 0.02  # jobs a second: nothing comes back while a test runs


async def test_a_burst_is_taken_and_what_is_beyond_is_refused(simulator, gateway):
    client = Client("ci", rate=SLOW, burst=7)
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    answers = await post_over(house, client, small_jobs(30), CONNECTIONS)
    assert sum(answer.status == 200 for answer in answers) == 7
    for answer in answers:
        if answer.status == 200:
            continue
        expect.error(answer, 429, "rate_limited")
        retry_after = int(answer.header("Retry-After"))
        assert 1 / SLOW - 20 < retry_after <= math.ceil(1 / SLOW)
        assert limits_in(answer, "RateLimit-Policy") == {"rate": {"q": 7, "w": 350}}
        item = limits_in(answer, "RateLimit")["rate"]
        assert item["r"] == 0
        assert 350 - 20 < item["t"] <= 350
    wait_until_settled(house, client)
    assert house.sim.counters()["solve_requests"] == 7


def test_after_retry_after_a_job_is_taken_again_and_the_rate_is_kept(simulator, gateway):
    """Refused ones are asked for again and again: that neither helps nor hurts."""
    rate, burst = 2.0, 3
    client = Client("ci", rate=rate, burst=burst)
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    tool, began, taken = house.caller(client), time.monotonic(), 0
    tasks = iter(small_jobs(10_000))
    while taken < burst + 4:
        answer = tool.solve(next(tasks), ASYNC)
        taken += answer.status == 200
        # Never more than the burst and what has come since.
        assert taken <= burst + rate * (time.monotonic() - began) + 1e-6
        if answer.status != 200:
            expect.error(answer, 429, "rate_limited")
            assert int(answer.header("Retry-After")) == 1
            time.sleep(1)  # as it says
            assert tool.solve(next(tasks), ASYNC).status == 200
            taken += 1


def test_the_rate_is_that_of_accepted_jobs_also_of_those_that_cost_nothing(simulator, gateway):
    client = Client("ci", rate=SLOW, burst=3, daily_limit=5)
    house = gateway(simulator(mode="pro", latency=0), clients=[client, OTHER])
    tool = house.caller(client)
    for _ in range(3):
        expect.solved(tool.solve(job(), HELD), job())  # the cache has it from the second time on
        expect.error(tool.solve(job().with_body(b"{")), 400, "bad_json")
    answer = tool.solve(job(), HELD)
    expect.error(answer, 429, "rate_limited")
    assert int(answer.header("Retry-After")) > 1
    assert committed(house, client) == 1
    expect.solved(house.caller(OTHER).solve(job(), HELD), job())


def test_a_job_that_joins_takes_of_the_rate(gateway, gate):
    client = Client("ci", rate=SLOW, burst=2)
    house = gateway(upstream=gate.entry, clients=[client, OTHER])
    tool = house.caller(client)
    for _ in range(2):
        tool.submit(task("ci", 0))
    expect.error(tool.solve(task("ci", 0), ASYNC), 429, "rate_limited")
    house.caller(OTHER).submit(task("ci", 0))


def test_repeats_by_key_take_nothing_of_the_rate(simulator, gateway):
    client = Client("ci", rate=SLOW, burst=1)
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    tool, keyed = house.caller(client), {**HELD, "Idempotency-Key": "key"}
    first = expect.solved(tool.solve(job(), keyed), job())["id"]
    for _ in range(3):
        assert expect.solved(tool.solve(job(), keyed), job())["id"] == first
    expect.error(tool.solve(job(), HELD), 429, "rate_limited")


def test_who_is_over_the_rate_loses_nothing_of_the_day(simulator, gateway):
    client = Client("ci", rate=SLOW, burst=1, daily_limit=10)
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    tool = house.caller(client)
    expect.solved(tool.solve(job(), HELD), job())
    for number in range(1, 4):
        answer = tool.solve(job(seed=number), HELD)
        expect.error(answer, 429, "rate_limited")
        assert limits_in(answer, "RateLimit")["daily"]["r"] == 9
    assert committed(house, client) == 1


def test_who_has_used_up_the_day_loses_nothing_of_the_rate(simulator, gateway, now):
    client = Client("ci", rate=SLOW, burst=5, daily_limit=1)
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    tool = house.caller(client)
    expect.solved(tool.solve(job(), HELD), job())
    for number in range(1, 4):
        assert_used_up(tool.solve(job(seed=number), HELD), "daily", 1, now)
    assert tool.usage()["rate"]["left"] == 4


def test_the_limits_of_one_client_are_not_those_of_another(simulator, gateway):
    clients = [Client("a", rate=SLOW, burst=1), Client("b", daily_limit=1), OTHER]
    house = gateway(simulator(mode="pro", latency=0), clients=clients)
    for client, code in zip(clients, ("rate_limited", "quota_exceeded", None)):
        own = job(seed=client.name)
        expect.solved(house.caller(client).solve(own, HELD), own)
        more = house.caller(client).solve(job(seed=f"{client.name} more"), HELD)
        if code:
            expect.error(more, 429, code)
        else:
            assert more.status == 200


# ---- reload ----


def test_a_lowered_limit_counts_at_once_and_a_raised_one_too(gateway, gate):
    client = limited("daily", 10)
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[client, OTHER])
    tool = house.caller(client)
    for number in range(5):
        tool.submit(task("ci", number))
    house.reload(clients=[client.changed(daily_limit=4), OTHER])
    answer = tool.solve(task("ci", 5), ASYNC)
    expect.error(answer, 429, "quota_exceeded")
    assert limits_in(answer, "RateLimit")["daily"]["r"] == 0
    assert tool.usage()["daily"] | {"resets": None} == {
        "limit": 4, "used": 0, "reserved": 5, "left": 0, "resets": None}
    house.reload(clients=[client.changed(daily_limit=6), OTHER])
    tool.submit(task("ci", 5))
    expect.error(tool.solve(task("ci", 6), ASYNC), 429, "quota_exceeded")
    gate.let(6)
    assert wait_until_settled(house, client) == 6


def test_a_limit_that_is_new_counts_what_was_used_before_it(simulator, gateway):
    client = Client("ci")
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    tool = house.caller(client)
    for number in range(3):
        expect.solved(tool.solve(job(seed=number), HELD), job(seed=number))
    house.reload(clients=[client.changed(daily_limit=3)])
    expect.error(tool.solve(job(seed=3), HELD), 429, "quota_exceeded")
    house.reload(clients=[client])
    expect.solved(tool.solve(job(seed=3), HELD), job(seed=3))


def test_a_reload_does_not_fill_the_bucket(simulator, gateway):
    client = Client("ci", rate=SLOW, burst=2)
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    tool = house.caller(client)
    for number in range(2):
        tool.submit(job(seed=number))
    house.reload()
    expect.error(tool.solve(job(seed=2)), 429, "rate_limited")
    house.reload(clients=[client.changed(burst=50)])
    expect.error(tool.solve(job(seed=2)), 429, "rate_limited")


def test_a_removed_clients_waiting_jobs_are_cancelled_and_those_sent_go_on(gateway, gate):
    client = limited("daily", 10)
    house = gateway(upstream={**gate.entry, "max_in_flight": 2}, clients=[client, OTHER])
    ids = [house.caller(client).submit(task("ci", number)) for number in range(6)]
    gate.wait_for(2)
    after = house.caller(OTHER).submit(task("other", 0))
    house.reload(clients=[OTHER])
    for job_id in ids[2:]:
        expect.failed(wait_until(lambda job_id=job_id: ended(house, job_id)), "cancelled")
    gate.let(3)
    for job_id in (*ids[:2], after):
        assert house.finish(job_id).object()["status"] == "solved"
    assert sorted(gate.arrived()) == ["ci 0", "ci 1", "other 0"]


def ended(house, job_id):
    answer = house.status(job_id)
    return answer if answer.object()["status"] in FINAL else None


def test_a_client_that_comes_back_has_used_what_it_had(simulator, gateway):
    client = limited("daily", 2)
    house = gateway(simulator(mode="pro", latency=0), clients=[client, OTHER])
    expect.solved(house.caller(client).solve(job(), HELD), job())
    house.reload(clients=[OTHER])
    expect.error(house.caller(client).solve(job(seed=1)), 401, "unauthorized")
    house.reload(clients=[client, OTHER])
    assert committed(house, client) == 1
