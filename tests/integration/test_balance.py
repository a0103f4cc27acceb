"""The balance is the upstream's last answer, cached, with its age."""

import asyncio
import json

import pytest

from lib import canary, expect
from lib.build import wait_until
from lib.gateway import upstream_of
from lib.http import Connection
from lib.job import job

PATHS = pytest.mark.parametrize("path", ["/api/account/balance", "/balance",
                                         "/api/account/balance/", "/balance/"])


@pytest.fixture
def house(simulator, gateway, mode, api):
    return gateway(simulator(mode=mode, api=api))


def upstreams_own(sim):
    headers = {"uid": canary.STORED_UID, "apikey": canary.STORED_APIKEY}
    path = "/api/account/balance" if sim.api == 1 else "/balance"
    return json.loads(sim.call("GET", path, None, headers)[1])


@PATHS
def test_the_balance_is_the_upstreams(house, path):
    theirs = upstreams_own(house.sim)
    answer = house.get(path)
    assert answer.status == 200, answer
    assert answer.header("Content-Type").split(";")[0] == "application/json"
    assert json.loads(answer.body) == theirs


def test_the_second_answer_comes_from_memory_with_an_age(house):
    first = house.get("/balance")
    asked = house.sim.counters()["balance_requests"]
    assert asked >= 1
    for path in ("/balance", "/api/account/balance"):
        again = house.get(path)
        assert again.body == first.body
        assert 0 <= int(again.header("Age")) < 60
    assert house.sim.counters()["balance_requests"] == asked


def test_the_age_grows(house):
    house.get("/balance")
    wait_until(lambda: int(house.get("/balance").header("Age")) >= 1, 10.0)


def test_many_asking_at_once_cause_one_upstream_request(simulator, gateway):
    house = gateway(simulator(faults=["balance:slow=2"]), workers=1)

    async def ask():
        async with await Connection.open(house.url) as connection:
            return await connection.request("GET", "/balance")

    async def all_at_once():
        return await asyncio.gather(*(ask() for _ in range(20)))

    answers = asyncio.run(all_at_once())
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert house.sim.counters()["balance_requests"] == 1


@pytest.mark.parametrize("kind", ["status=500", "reset", "html", "error=no"])
def test_a_faulty_upstream_leaves_the_cached_balance(house, kind):
    first = house.get("/balance")
    house.sim.fault(f"balance:{kind}")
    again = house.get("/balance")
    assert again.status == 200
    assert again.body == first.body


@pytest.mark.parametrize("kind", ["status=500", "reset", "html"])
def test_a_balance_never_seen_is_503_and_comes_when_the_upstream_is_well(
    simulator, gateway, kind
):
    house = gateway(simulator(faults=[f"balance:{kind}"]))
    answer = house.get("/balance")
    assert answer.status == 503
    body = answer.object()
    assert body["status"] == "error" and body["code"] and body["message"]
    house.sim.clear_faults()
    wait_until(lambda: house.get("/balance").status == 200, 30.0)


def test_a_balance_does_not_touch_the_jobs(house):
    house.get("/balance")
    counters = house.sim.counters()
    assert counters["solve_requests"] == counters["charged"] == 0


def test_a_token_of_the_client_changes_nothing(house):
    plain = house.get("/balance")
    answer = house.get("/balance", {"apikey": "mine", "uid": "me"})
    assert answer.body == plain.body


def test_a_balance_is_refused_to_a_foreign_host(house):
    expect.error(house.get("/balance", {"Host": "evil.example"}), 403, "forbidden_host")


def test_every_upstream_is_asked_now_and_then_without_being_asked(simulator, gateway):
    sims = [simulator(), simulator()]
    upstreams = [{"name": f"up-{n}", "priority": n, **upstream_of(sim)}
                 for n, sim in enumerate(sims)]
    gateway(upstreams=upstreams, poll={"balance": 0.2})
    for sim in sims:
        wait_until(lambda sim=sim: sim.counters()["balance_requests"] >= 3)


def test_every_upstream_is_asked_once_at_the_start(simulator, gateway):
    sims = [simulator(), simulator()]
    gateway(upstreams=[{"name": f"up-{n}", "priority": n, **upstream_of(sim)}
                       for n, sim in enumerate(sims)], workers=2, poll={"balance": 3600.0})
    for sim in sims:
        wait_until(lambda sim=sim: sim.counters()["balance_requests"] == 1)


def test_an_upstream_that_tells_no_balance_does_not_hold_up_the_start(simulator, gateway):
    house = gateway(simulator(faults=["balance:hang"]))
    task = job()
    expect.solved(house.run(task), task)
