"""Who pays for a job that several clients want: the first, and if it leaves before the job is sent,
the next one that can."""

import pytest

from lib import expect
from lib.clients import (
    Client, committed, day_with_time_left, ledger_of, limited, wait_until_settled)
from lib.gate import task

OTHER = Client("other")


@pytest.fixture(autouse=True)
def now():
    return day_with_time_left()


@pytest.fixture
def busy(gateway, gate):
    """A gateway with one slot, which another client has, and three clients with one credit each."""
    team = [limited("daily", 1, name) for name in ("first", "second", "third")]
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[OTHER, *team],
                    durability="full")
    house.caller(OTHER).submit(task("other", 0))
    gate.wait_for(1)
    house.team = team
    return house


def withdraw_by_cancel(house, job_id):
    expect.failed(house.caller(house.team[0]).request("DELETE", f"/status?id={job_id}"),
                  "cancelled")


def withdraw_by_reload(house, job_id):
    house.reload(clients=[OTHER, *house.team[1:]])
    expect.failed(house.finish(job_id), "cancelled")


WITHDRAW = pytest.mark.parametrize("withdraw", [withdraw_by_cancel, withdraw_by_reload],
                                   ids=["cancel", "reload"])


@WITHDRAW
def test_when_the_payer_leaves_the_next_one_pays(busy, gate, withdraw):
    first, second, third = busy.team
    ids = [busy.caller(client).submit(task("wanted", 0)) for client in busy.team]
    assert [committed(busy, client) for client in busy.team] == [1, 0, 0]
    withdraw(busy, ids[0])
    assert [committed(busy, client) for client in (second, third)] == [1, 0]
    gate.let(2)
    for job_id in ids[1:]:
        assert busy.finish(job_id).object()["status"] == "solved"
    assert wait_until_settled(busy, second) == 1
    assert wait_until_settled(busy, third) == 0
    assert gate.arrived() == ["other 0", "wanted 0"]
    busy.stop_well()
    charged = [ledger_of(busy.state_directory, client)["charged"] for client in busy.team]
    assert charged == [0, 1, 0]


@WITHDRAW
def test_when_the_next_one_has_nothing_left_the_one_after_it_pays(busy, gate, withdraw):
    first, second, third = busy.team
    own = busy.caller(second).submit(task("own", 0))
    ids = [busy.caller(client).submit(task("wanted", 0)) for client in busy.team]
    withdraw(busy, ids[0])
    assert [committed(busy, client) for client in (second, third)] == [1, 1]
    gate.let(3)
    for job_id in (own, *ids[1:]):
        assert busy.finish(job_id).object()["status"] == "solved"
    assert [wait_until_settled(busy, client) for client in (second, third)] == [1, 1]
    assert gate.arrived().count("wanted 0") == 1


def test_when_the_payer_has_another_job_of_the_same_kind_it_goes_on_paying(busy, gate):
    first, second, _ = busy.team
    ids = [busy.caller(client).submit(task("wanted", 0)) for client in (first, second, first)]
    withdraw_by_cancel(busy, ids[0])
    assert [committed(busy, client) for client in (first, second)] == [1, 0]
    gate.let(2)
    for job_id in ids[1:]:
        assert busy.finish(job_id).object()["status"] == "solved"
    assert [wait_until_settled(busy, client) for client in (first, second)] == [1, 0]


@WITHDRAW
def test_when_nobody_can_pay_nothing_is_sent(busy, gate, withdraw):
    first, second, _ = busy.team
    busy.caller(second).submit(task("own", 0))
    ids = [busy.caller(client).submit(task("wanted", 0)) for client in (first, second)]
    withdraw(busy, ids[0])
    body = expect.failed(busy.finish(ids[1]), "cancelled")
    assert "limit" in body["message"], body
    gate.let(10)
    assert wait_until_settled(busy, second) == 1
    assert gate.arrived() == ["other 0", "own 0"]


def test_who_has_left_after_it_was_sent_has_paid(busy, gate):
    """Sent is sent: the payer cannot leave the bill to who has joined."""
    first, second, _ = busy.team
    ids = [busy.caller(client).submit(task("wanted", 0)) for client in (first, second)]
    gate.let(1)
    gate.wait_for(2)
    expect.error(busy.caller(first).request("DELETE", f"/status?id={ids[0]}"), 409, "already_sent")
    gate.let(1)
    assert busy.finish(ids[1]).object()["status"] == "solved"
    assert [wait_until_settled(busy, client) for client in (first, second)] == [1, 0]
