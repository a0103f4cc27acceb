"""SIGHUP with other upstreams and other credentials: what is sent where from then on, and what
becomes of the jobs under way."""

import concurrent.futures
import os

import pytest

from lib import expect
from lib.build import wait_until
from lib.canary import STORED_APIKEY
from lib.gateway import LOOPBACK, upstream_of
from lib.job import job
from lib.latethreads import LateThreads
from lib.operator import ask
from lib.vendor import Vendor

NEW_KEY = "canary-apikey-the-second-51c09f"
ERROR = r"Z error [^\n]*\n"
ASYNC = {"Prefer": "respond-async"}
SLOW = {"probe": 3600.0, "recheck": 3600.0}


@pytest.fixture
def other():
    with Vendor() as running:
        yield running


def entry(name, upstream, **settings):
    return {"name": name, "credential": "account", **upstream.entry, **settings}


def in_flight(house):
    """By the name of the upstream, of those that are told of."""
    samples = house.metrics()
    prefix = "solvegate_in_flight{upstream=\""
    return {name[len(prefix):-2]: number for name, number in samples.items()
            if name.startswith(prefix)}


# ---- credentials ----


def test_a_rotated_key_is_used_from_the_reload_on_for_jobs_polls_and_the_balance(gateway, vendor):
    house = gateway(upstream=vendor.entry, poll={"balance": 0.1})
    job_id = house.submit(job(seed=1))
    vendor.wait_for("status", 2)
    vendor.wait_for("balance", 2)
    house.write_credential(NEW_KEY)
    told = house.reload()
    assert "upstreams: new credential: main\n" in told, told
    seen = {endpoint: len(vendor.keys(endpoint)) for endpoint in ("status", "balance")}
    house.submit(job(seed=2))
    assert vendor.wait_for("solve", 2) == [STORED_APIKEY, NEW_KEY]
    for endpoint, before in seen.items():
        # The one that was on its way when the file was read is the last with the old key.
        later = vendor.wait_for(endpoint, before + 4)[before + 1:]
        assert set(later) == {NEW_KEY}, endpoint
    vendor.finish()
    assert house.finish(job_id).object()["status"] == "solved"


def test_a_refused_account_is_tried_at_once_with_a_new_key(gateway, vendor):
    """What waited, and what was refused until then."""
    vendor.refuse(STORED_APIKEY)
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1}, retry=SLOW)
    vendor.hesitate()
    first = house.submit(job(seed=1))
    waits = house.submit(job(seed=2))
    vendor.answer()
    expect.failed(house.finish(first), "upstream_rejected")
    expect.error(house.solve(job(seed=3), ASYNC), 503, "no_upstream")
    house.write_credential(NEW_KEY)
    vendor.finish()
    house.reload()
    assert house.finish(waits).object()["status"] == "solved"
    assert house.run(job(seed=3)).object()["status"] == "solved"
    assert vendor.keys("solve") == [STORED_APIKEY, NEW_KEY, NEW_KEY]


def test_a_job_whose_key_is_revoked_while_it_is_sent_goes_again_with_the_new_one(gateway, vendor):
    house = gateway(upstream=vendor.entry, retry=SLOW)
    vendor.hesitate()
    job_id = house.submit(job())
    vendor.wait_for("solve", 1)
    house.write_credential(NEW_KEY)
    vendor.refuse(STORED_APIKEY)
    house.reload()
    vendor.finish()
    vendor.answer()
    assert house.finish(job_id).object()["status"] == "solved"
    assert vendor.keys("solve") == [STORED_APIKEY, NEW_KEY]


def test_jobs_under_way_outlive_a_key_that_is_revoked_too_early(gateway, vendor):
    house = gateway(upstream=vendor.entry)
    job_id = house.submit(job())
    vendor.wait_for("status", 1)
    vendor.refuse(STORED_APIKEY)
    vendor.finish()
    vendor.wait_for("status", len(vendor.keys("status")) + 2)
    assert house.status(job_id).object()["status"] == "new"
    house.write_credential(NEW_KEY)
    house.reload()
    assert house.finish(job_id).object()["status"] == "solved"


def test_a_key_that_was_replaced_is_shown_to_nobody_when_the_upstream_quotes_it(gateway, vendor):
    house = gateway(upstream=vendor.entry)
    job_id = house.submit(job())
    vendor.wait_for("status", 1)
    house.write_credential(NEW_KEY)
    house.reload()
    vendor.finish({"status": "error", "message": f"{STORED_APIKEY} has no credit, nor {NEW_KEY}"})
    said = expect.failed(house.finish(job_id), "upstream_rejected")["message"]
    assert said == f"{'*' * len(STORED_APIKEY)} has no credit, nor {'*' * len(NEW_KEY)}"


def test_the_log_names_the_credential_that_is_refused_and_each_new_one(gateway, vendor):
    house = gateway(upstream=vendor.entry)
    house.submit(job())
    vendor.wait_for("status", 1)
    house.write_credential("a-key-that-is-none", "second")
    house.write_credential(NEW_KEY, "third")
    vendor.refuse(STORED_APIKEY, "a-key-that-is-none", NEW_KEY)
    for credential in ("account", "second", "third"):
        refused = f"upstream main refuses the account of credential {credential}: "
        house.reload(upstreams=[entry("main", vendor, credential=credential)])
        wait_until(lambda: refused in house.log(), what=refused)
        asked = len(vendor.keys("status"))
        vendor.wait_for("status", asked + 2)
        assert house.log().count(refused) == 1


def test_a_failing_upstream_that_was_not_changed_goes_on_pausing(gateway, vendor):
    vendor.refuse(STORED_APIKEY)
    house = gateway(upstream=vendor.entry, retry=SLOW)
    expect.failed(house.run(job(seed=1)), "upstream_rejected")
    house.reload(upstreams=[entry("main", vendor, max_in_flight=7)])
    expect.error(house.solve(job(seed=2), ASYNC), 503, "no_upstream")
    assert len(vendor.keys("solve")) == 1


def test_a_file_as_it_was_changes_nothing_and_says_so_little(gateway, vendor):
    house = gateway(upstream=vendor.entry)
    told = house.reload()
    assert "upstreams:" not in told and "changed:" not in told, told


def spoil_mode(house):
    os.chmod(house.home / "credentials" / "account", 0o644)


def spoil_text(house):
    (house.home / "credentials" / "account").write_text(f'apikey = "{NEW_KEY}\n')


def spoil_place(house):
    (house.home / "credentials" / "account").unlink()


@pytest.mark.parametrize("spoil", [spoil_mode, spoil_text, spoil_place])
def test_a_bad_credential_file_changes_nothing_and_says_why(gateway, vendor, other, spoil):
    house = gateway(upstream=vendor.entry)
    house.secrets += (NEW_KEY,)
    spoil(house)
    house.configure(upstreams=[entry("other", other)], limits={"queue_jobs": 1})
    told = house.hang_up(ERROR)
    assert "not reloaded" in told and str(house.home / "credentials" / "account") in told, told
    for seed in range(3):
        house.submit(job(seed=seed))
    assert set(vendor.wait_for("solve", 3)) == {STORED_APIKEY}
    assert other.keys("solve") == []


def test_a_bad_upstream_changes_nothing_and_says_why(gateway, vendor, other):
    house = gateway(upstream=vendor.entry)
    house.configure(upstreams=[entry("one", other), entry("one", vendor)])
    told = house.hang_up(ERROR)
    assert "not reloaded" in told and "one" in told, told
    house.submit(job())
    vendor.wait_for("solve", 1)
    assert other.keys("solve") == []


# ---- upstreams that come and go ----


def test_an_upstream_that_is_added_is_sent_jobs(gateway, vendor, other):
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1})
    first, second = house.submit(job(seed=1)), house.submit(job(seed=2))
    vendor.wait_for("solve", 1)
    told = house.reload(upstreams=[entry("main", vendor, max_in_flight=1), entry("new", other)])
    assert "upstreams: +new\n" in told, told
    other.wait_for("solve", 1)
    vendor.finish()
    other.finish()
    for job_id in (first, second):
        assert house.finish(job_id).object()["status"] == "solved"


def test_jobs_at_an_upstream_that_is_removed_are_finished_there(gateway, vendor, other):
    house = gateway(upstream={**vendor.entry, "max_in_flight": 2}, admin=LOOPBACK)
    ids = [house.submit(job(seed=seed)) for seed in range(3)]
    vendor.wait_for("solve", 2)
    told = house.reload(upstreams=[entry("new", other)])
    assert "upstreams: +new -main\n" in told, told
    other.wait_for("solve", 1)
    assert in_flight(house) == {"main": 2, "new": 1}
    vendor.finish()
    for job_id in ids[:2]:
        assert house.finish(job_id).object()["status"] == "solved"
    wait_until(lambda: in_flight(house) == {"new": 1}, what="the removed one is told of no more")
    other.finish()
    assert house.finish(ids[2]).object()["status"] == "solved"
    assert len(vendor.keys("solve")) == 2 and len(other.keys("solve")) == 1


def test_an_upstream_that_comes_back_is_sent_jobs_again(gateway, vendor, other):
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1}, admin=LOOPBACK)
    first = house.submit(job(seed=1))
    vendor.wait_for("solve", 1)
    house.reload(upstreams=[entry("other", other)])
    house.reload(upstreams=[entry("main", vendor, max_in_flight=2)])
    assert in_flight(house)["main"] == 1  # what it had all the time counts
    second = house.submit(job(seed=2))
    vendor.wait_for("solve", 2)
    vendor.finish()
    for job_id in (first, second):
        assert house.finish(job_id).object()["status"] == "solved"
    assert other.keys("solve") == []


def test_a_job_is_asked_for_where_it_was_taken_also_under_another_url(gateway, vendor, other):
    house = gateway(upstream=vendor.entry)
    old = house.submit(job(seed=1))
    vendor.wait_for("status", 1)
    told = house.reload(upstreams=[entry("main", other)])
    assert "other url or api: main" in told, told
    new = house.submit(job(seed=2))
    other.wait_for("status", 1)
    asked = len(vendor.keys("status"))
    vendor.wait_for("status", asked + 2)
    vendor.finish()
    assert house.finish(old).object()["status"] == "solved"
    other.finish()
    assert house.finish(new).object()["status"] == "solved"
    assert len(vendor.keys("solve")) == len(other.keys("solve")) == 1


@pytest.mark.parametrize("uid", [None, "another-uid"])
def test_a_job_is_asked_for_with_the_account_that_it_was_sent_with(gateway, vendor, uid):
    """Another name of a credential is another account, unless the uids say that it is the same."""
    house = gateway(upstream=vendor.entry)
    job_id = house.submit(job())
    vendor.wait_for("status", 1)
    house.write_credential(NEW_KEY, "second", **({"uid": uid} if uid else {}))
    house.reload(upstreams=[entry("main", vendor, credential="second")])
    asked = len(vendor.keys("status"))
    keys = vendor.wait_for("status", asked + 3)
    assert set(keys[asked + 1:]) == {STORED_APIKEY if uid else NEW_KEY}
    vendor.finish()
    assert house.finish(job_id).object()["status"] == "solved"


@pytest.mark.parametrize("stop", ["stop_well", "kill"])
def test_a_job_is_not_asked_for_elsewhere_after_a_restart(gateway, vendor, other, stop):
    house = gateway(upstream=vendor.entry, durability="full")
    old = house.submit(job(seed=1))
    vendor.wait_for("status", 1)
    house.reload(upstreams=[entry("main", other)])
    new = house.submit(job(seed=2))
    other.wait_for("status", 1)
    getattr(house, stop)()
    house.start_again()
    other.finish()
    said = expect.failed(house.finish(old), "outcome_unknown")["message"]
    assert "another url" in said and "it was charged" in said
    assert f"job job={old} outcome=outcome_unknown" in house.log()
    assert house.finish(new).object()["status"] == "solved"


def test_an_upstream_of_the_other_generation_is_spoken_to_so(simulator, gateway):
    first, second = simulator(name="first", api=1), simulator(name="second", api=2)
    house = gateway(first)
    task = job(seed=1)
    expect.solved(house.run(task), task)
    house.reload(upstreams=[{"name": "main", "credential": "account", **upstream_of(second)}])
    task = job(seed=2)
    expect.solved(house.run(task), task)
    assert first.counters()["charged"] == second.counters()["charged"] == 1


def test_the_order_of_upstreams_is_that_of_the_last_file(gateway, vendor, other):
    """For jobs, and for the balance that tools are told."""
    other.refuse(STORED_APIKEY)
    house = gateway(upstreams=[entry("a", vendor, priority=1), entry("b", other, priority=2)])
    assert house.get("/balance").status == 200
    house.reload(upstreams=[entry("a", vendor, priority=2), entry("b", other, priority=1)])
    expect.error(house.get("/balance"), 503, "no_upstream")
    other.refuse()
    house.submit(job())
    other.wait_for("solve", 1)
    assert vendor.keys("solve") == []


def test_a_balance_that_is_waited_for_is_the_new_keys(gateway, vendor):
    vendor.hesitate("balance")
    house = gateway(upstream=vendor.entry, poll={"balance": 3600.0})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(house.get, "/balance")
        vendor.wait_for("balance", 1)
        house.write_credential(NEW_KEY)
        house.reload()
        vendor.answer()
        answer = waiting.result()
    assert answer.status == 200, answer
    assert answer.object()["plan id"] == NEW_KEY[-4:]
    assert vendor.keys("balance") == [STORED_APIKEY, NEW_KEY]


def test_a_reload_asks_for_the_balance_of_upstreams_that_are_new_or_changed_only(gateway, vendor,
                                                                                 other):
    house = gateway(upstreams=[entry("first", vendor)], poll={"balance": 3600.0})
    vendor.wait_for("balance", 1)
    house.reload()
    house.reload(upstreams=[entry("first", vendor), entry("second", other)])
    other.wait_for("balance", 1)
    assert vendor.keys("balance") == [STORED_APIKEY]
    house.write_credential(NEW_KEY)
    house.reload()
    vendor.wait_for("balance", 2)
    other.wait_for("balance", 2)
    assert vendor.keys("balance") == [STORED_APIKEY, NEW_KEY]


def test_an_upstream_that_was_taken_out_is_no_failure_of_its_balance(gateway, vendor, other,
                                                                    simulator):
    sim = simulator(latency=60)
    old = {"name": "old", "priority": 1, **upstream_of(sim)}
    new = entry("new", other, priority=2)
    house = gateway(upstreams=[old, new], poll={"balance": 0.1})
    house.submit(job())
    wait_until(lambda: sim.counters()["solve_requests"] == 1)
    house.reload(upstreams=[new])
    told = len(other.keys("balance"))
    other.wait_for("balance", told + 3)  # so the old one's turn has come, too
    retired = ask(house, "/control/upstreams")["upstreams"][0]
    assert (retired["name"], retired["state"]) == ("old", "retired")
    assert retired["balance_failure"] is None
    assert ask(house, "/control/balance")["balances"][0]["failure"] is None


def test_a_balance_that_is_waited_for_is_of_who_is_first_now(gateway, vendor, other):
    """And who is new is asked without that anybody wants to know."""
    slow = entry("slow", vendor, priority=1)
    vendor.hesitate("balance")
    other.hesitate("balance")
    house = gateway(upstreams=[slow], poll={"balance": 3600.0}, admin=LOOPBACK)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(house.get, "/balance")
        vendor.wait_for("balance", 1)
        house.reload(upstreams=[slow, entry("new", other)])
        other.wait_for("balance", 1)
        vendor.answer()
        wait_until(lambda: 'solvegate_upstream_balance{upstream="slow"}' in house.metrics())
        other.answer()
        answer = waiting.result()
    assert answer.status == 200, answer
    assert len(other.keys("balance")) == 1


def test_max_in_flight_is_that_of_the_last_file(gateway, vendor):
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1}, admin=LOOPBACK)
    ids = [house.submit(job(seed=seed)) for seed in range(4)]
    vendor.wait_for("solve", 1)
    told = house.reload(upstreams=[entry("main", vendor, max_in_flight=3)])
    assert "other limits: main" in told, told
    vendor.wait_for("solve", 3)
    assert in_flight(house)["main"] == 3
    house.reload(upstreams=[entry("main", vendor, max_in_flight=1)])
    assert in_flight(house)["main"] == 3  # what was sent is not taken back
    vendor.finish()
    for job_id in ids:
        assert house.finish(job_id).object()["status"] == "solved"
    assert len(vendor.keys("solve")) == 4


def test_more_names_than_there_may_be_in_one_life_are_refused(gateway, vendor):
    house = gateway(upstream=vendor.entry)
    for generation in range(4):
        house.reload(upstreams=[entry("main", vendor),
                                *(entry(f"u-{generation}-{n}", vendor) for n in range(63))])
    house.configure(upstreams=[entry(f"last-{n}", vendor) for n in range(4)])
    told = house.hang_up(ERROR)
    assert "not reloaded" in told and "256" in told and "restart" in told, told
    house.reload(upstreams=[entry("u-0-0", vendor), *(entry(f"last-{n}", vendor) for n in range(3))])
    house.submit(job())
    vendor.wait_for("solve", 1)


def test_what_was_accepted_before_the_start_stays_where_it_is_though_a_reload_comes_at_once(
        gateway, vendor, other, tmp_path):
    """The reload is in force before any worker has had its first turn."""
    threads = LateThreads(tmp_path / "gate")
    house = gateway(upstream=vendor.entry, durability="full", environment=threads.environment)
    job_id = house.submit(job())
    vendor.wait_for("status", 1)
    threads.hold()
    house.kill_and_start_again()
    seen = len(vendor.keys("status"))
    house.configure(upstreams=[entry("main", other)])
    house.hang_up("upstreams: other url or api: main\n")
    threads.go()
    vendor.wait_for("status", seen + 2)
    vendor.finish()
    assert house.finish(job_id).object()["status"] == "solved"
    assert other.keys("status") == []
