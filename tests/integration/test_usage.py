"""What a client is told of itself: GET /api/usage, the balance, and the RateLimit fields."""

import asyncio
import calendar
import json

import pytest

from lib import canary, expect
from lib.build import wait_until
from lib.clients import (
    DAY, Client, day_after, day_with_time_left, in_rfc3339, limits_in, month_after, post_over,
    utc_now)
from lib.gate import task
from lib.job import job

USAGE = ["/api/usage", "/usage", "/api/usage/", "/usage/"]
BALANCE = ["/api/account/balance", "/balance"]
HELD = {"Prefer": "wait=30"}
ASYNC = {"Prefer": "respond-async"}

FREE = Client("free")
LIMITED = Client("limited", rate=5.0, burst=10, daily_limit=1000, monthly_limit=20000,
                 max_in_flight=4)
RATED = Client("rated", rate=0.5, burst=3)


@pytest.fixture
def house(simulator, gateway):
    return gateway(simulator(mode="pro", latency=0), clients=[FREE, LIMITED, RATED])


@pytest.fixture(autouse=True)
def now():
    return day_with_time_left()


def window(limit, used, reserved, resets):
    left = None if limit is None else limit - used - reserved
    return {"limit": limit, "used": used, "reserved": reserved, "left": left,
            "resets": in_rfc3339(resets)}


# ---- usage ----


@pytest.mark.parametrize("path", USAGE)
def test_a_client_without_limits_sees_what_it_has_used(house, now, path):
    expect.solved(house.caller(FREE).solve(job(), HELD), job())
    answer = house.caller(FREE).get(path)
    assert answer.status == 200, answer
    assert answer.object() == {
        "status": "active", "client": "free",
        "daily": window(None, 1, 0, day_after(now)),
        "monthly": window(None, 1, 0, month_after(now)),
        "rate": None, "in_flight": 0, "max_in_flight": None, "queued": 0,
        "saved": {"cache": 0, "collapsed": 0}}
    assert limits_in(answer, "RateLimit") == limits_in(answer, "RateLimit-Policy") == {}


def test_a_client_with_limits_sees_them_and_what_is_left(house, now):
    tool = house.caller(LIMITED)
    for number in range(3):
        expect.solved(tool.solve(job(seed=number), HELD), job(seed=number))
    usage = tool.usage()
    assert 7 <= usage["rate"].pop("left") <= 10  # it fills up again
    assert usage == {
        "status": "active", "client": "limited",
        "daily": window(1000, 3, 0, day_after(now)),
        "monthly": window(20000, 3, 0, month_after(now)),
        "rate": {"limit": 5.0, "burst": 10}, "in_flight": 0, "max_in_flight": 4, "queued": 0,
        "saved": {"cache": 0, "collapsed": 0}}


def test_what_waits_is_queued_and_reserved_and_what_was_sent_is_in_flight(gateway, gate):
    house = gateway(upstream={**gate.entry, "max_in_flight": 2}, clients=[LIMITED])
    tool = house.caller(LIMITED)
    asyncio.run(post_over(house, LIMITED, [task("limited", number) for number in range(5)]))
    gate.wait_for(2)

    def figures():
        usage = tool.usage()
        daily, monthly = usage["daily"], usage["monthly"]
        assert [daily["used"], daily["reserved"]] == [monthly["used"], monthly["reserved"]]
        return usage["queued"], usage["in_flight"], daily["used"], daily["reserved"]

    assert figures() == (3, 2, 0, 5)
    gate.let(2)
    wait_until(lambda: figures() == (1, 2, 2, 3))
    gate.let(3)
    wait_until(lambda: figures() == (0, 0, 5, 0))


def test_what_others_have_paid_for_is_saved(house):
    payer, saver = house.caller(LIMITED), house.caller(FREE)
    expect.solved(payer.solve(job(), HELD), job())
    for _ in range(3):
        expect.solved(saver.solve(job(), HELD), job())
    assert saver.usage()["saved"] == {"cache": 3, "collapsed": 0}
    assert saver.usage()["daily"]["used"] == 0
    assert payer.usage()["saved"] == {"cache": 0, "collapsed": 0}


def test_what_was_bought_together_is_saved(gateway, gate):
    house = gateway(upstream=gate.entry, clients=[FREE, LIMITED])
    house.caller(FREE).submit(task("both", 0))
    joined = [house.caller(LIMITED).submit(task("both", 0)) for _ in range(2)]
    gate.let(1)
    for job_id in joined:
        assert house.finish(job_id).object()["status"] == "solved"
    assert house.caller(LIMITED).usage()["saved"] == {"cache": 0, "collapsed": 2}
    assert house.caller(LIMITED).usage()["daily"]["used"] == 0
    assert house.caller(FREE).usage()["daily"]["used"] == 1


def test_a_client_sees_nothing_of_the_others(house):
    before = house.caller(FREE).usage()
    expect.solved(house.caller(LIMITED).solve(job(), HELD), job())
    assert house.caller(FREE).usage() == before


@pytest.mark.parametrize("path", USAGE)
def test_usage_is_told_to_head_and_to_no_other_method(house, path):
    answer = house.caller(FREE).request("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    for method in ("POST", "DELETE", "PUT"):
        refusal = house.caller(FREE).request(method, path, b"{}" if method != "DELETE" else None,
                                             {"Content-Type": "application/json"})
        expect.error(refusal, 405, "method_not_allowed")
        assert {name.strip() for name in refusal.header("Allow").split(",")} >= {"GET", "HEAD"}


@pytest.mark.parametrize("path", USAGE + BALANCE)
def test_nobody_is_told_without_a_token(house, path):
    expect.error(house.get(path), 401, "unauthorized")


@pytest.mark.parametrize("headers", [{}, {"apikey": "whatever"}])
def test_without_clients_everyone_is_local(simulator, gateway, headers):
    house = gateway(simulator(mode="pro", latency=0))
    expect.solved(house.solve(job(), {**HELD, **headers}), job())
    usage = house.get("/api/usage", headers).object()
    assert usage["client"] == "local"
    assert usage["daily"]["used"] == 1
    assert usage["daily"]["limit"] is None


def test_asking_costs_nothing(house):
    tool = house.caller(RATED)
    for _ in range(10):
        tool.usage()
        assert tool.get("/balance").status == 200
    assert tool.usage()["rate"]["left"] == 3


# ---- the balance ----


@pytest.mark.parametrize("path", BALANCE)
@pytest.mark.parametrize("daily, monthly, kind, limit", [
    (10, None, "daily", 10), (None, 10, "monthly", 10),
    (10, 9, "monthly", 9), (9, 10, "daily", 9)])
def test_the_balance_is_the_limit_of_which_less_is_left(simulator, gateway, path, daily, monthly,
                                                        kind, limit):
    settings = {"daily_limit": daily, "monthly_limit": monthly}
    client = Client("ci", **{name: value for name, value in settings.items() if value})
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    for used in (0, 1, 2):
        answer = house.caller(client).get(path)
        assert answer.status == 200, answer
        assert answer.object() == {"plan id": "ci", "plan type": kind, "planlimit": limit,
                                   "status": "active", "used": used}
        expect.solved(house.caller(client).solve(job(seed=used), HELD), job(seed=used))


def test_what_is_reserved_counts_in_the_balance(gateway, gate):
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[LIMITED])
    for number in range(3):
        house.caller(LIMITED).submit(task("limited", number))
    assert house.caller(LIMITED).get("/balance").object()["used"] == 3


@pytest.mark.parametrize("client", [FREE, RATED])
def test_the_balance_of_a_client_without_such_limits_is_the_upstreams(house, client):
    own = {"uid": canary.STORED_UID, "apikey": canary.STORED_APIKEY}
    theirs = json.loads(house.sim.call("GET", "/api/account/balance", None, own)[1])
    answer = house.caller(client).get("/balance")
    assert answer.status == 200, answer
    assert json.loads(answer.body) == theirs
    assert int(answer.header("Age")) >= 0


# ---- RateLimit fields ----


def month_seconds(now):
    return calendar.monthrange(now.year, now.month)[1] * DAY


def test_each_answer_has_the_limits_and_what_is_left_of_them(house, now):
    tool = house.caller(LIMITED)
    answers = [tool.get("/api/usage"), tool.get("/balance"),
               tool.solve(job(seed="solved"), HELD), tool.solve(job(seed="queued"), ASYNC),
               tool.solve(job().with_body(b"{"))]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 400]
    for answer, left in zip(answers, (1000, 1000, 999, 998, 998)):
        assert list(limits_in(answer, "RateLimit-Policy").items()) == [
            ("rate", {"q": 10, "w": 2}), ("daily", {"q": 1000, "w": DAY}),
            ("monthly", {"q": 20000, "w": month_seconds(now)})]
        found = limits_in(answer, "RateLimit")
        assert list(found) == ["rate", "daily", "monthly"]
        assert found["daily"]["r"] == left
        assert found["monthly"]["r"] == left + 19000
        assert left - 998 + 8 <= found["rate"]["r"] <= 10
        assert 0 <= found["rate"]["t"] <= 2
        assert_seconds_until(found["daily"]["t"], day_after(now))
        assert_seconds_until(found["monthly"]["t"], month_after(now))


def assert_seconds_until(seconds, moment):
    assert abs((moment - utc_now()).total_seconds() - seconds) < 30, (seconds, moment)


def test_the_window_of_the_rate_is_the_time_in_which_it_fills_up(house):
    answer = house.caller(RATED).get("/api/usage")
    assert limits_in(answer, "RateLimit-Policy") == {"rate": {"q": 3, "w": 6}}
    assert limits_in(answer, "RateLimit") == {"rate": {"r": 3, "t": 0}}


def test_only_the_limits_that_there_are_are_named(simulator, gateway):
    client = Client("ci", monthly_limit=7)
    house = gateway(simulator(mode="pro", latency=0), clients=[client])
    answer = house.caller(client).solve(job(), HELD)
    assert {name: item["r"] for name, item in limits_in(answer, "RateLimit").items()} == {
        "monthly": 6}


def test_answers_about_no_client_have_no_such_fields(house):
    job_id = house.caller(LIMITED).submit(job())
    for answer in (house.status(job_id), house.get("/api/usage"), house.get("/nowhere"),
                   house.caller(FREE).solve(job(seed=1), HELD)):
        assert answer.header("RateLimit") is None
        assert answer.header("RateLimit-Policy") is None
