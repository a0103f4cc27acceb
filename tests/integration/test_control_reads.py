"""The control API's answers: the daemon, its jobs, clients, usage, upstreams and balances as they
are, and never a secret or a solution."""

import contextlib
import datetime
import errno
import re
import time

import pytest

from lib import canary, expect
from lib.build import wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK, upstream_of
from lib.http import Connection
from lib.iofault import FaultyDisk
from lib.job import job
from lib.operator import ask, jobs, moment
from lib.upstream import Upstream

HELD = {"Prefer": "wait=30"}
NEVER = 60

CI = Client("ci", weight=3, max_in_flight=2, rate=5.0, burst=10, daily_limit=100,
            monthly_limit=2000, expires="2099-01-31",
            sites=["staging.example.com", "*.qa.example.com"])
OTHER = Client("other")

JOB = ["id", "client", "state", "source", "upstream", "created", "age", "deadline_in", "attempts",
       "trouble", "trouble_upstream", "code", "message", "finished"]
ENDS = ["solved", "upstream_rejected", "upstream_unavailable", "deadline", "cancelled",
        "outcome_unknown"]
RESULTS = ["final", "pending", "rejected", "try_later", "not_sent", "unclear", "broken_off"]
READS = ["/control/status", "/control/jobs", "/control/clients", "/control/usage",
         "/control/upstreams", "/control/balance"]


@pytest.fixture
def start(simulator, gateway):
    def run(latency=0, **settings):
        return gateway(simulator(mode="pro", latency=latency), **settings)

    return run


def busy(start, **settings):
    """One job is under way, and two wait. Returns the gateway and their ids."""
    house = start(latency=NEVER, upstream={"max_in_flight": 1}, **settings)
    ids = [house.submit(job(seed=seed)) for seed in range(3)]
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    return house, ids


# ---- status ----


def test_the_status_says_what_the_daemon_is(start):
    house = start(listen=[LOOPBACK] * 2)
    wait_until(lambda: ask(house, "/control/upstreams")["upstreams"][0]["balance"])
    status = ask(house, "/control/status")
    assert status["pid"] == house.pid
    assert re.fullmatch(r"\d+\.\d+\.\d+", status["version"])
    assert status["listeners"] == house.urls
    assert (status["state"], status["ready"], status["message"]) == ("taking", True, "")
    since = datetime.datetime.now(datetime.timezone.utc) - moment(status["started"])
    assert 0 <= status["uptime"] <= since.total_seconds() + 1
    assert status["configuration"] == {
        "file": str(house.config), "loaded": status["configuration"]["loaded"],
        "last_reload": None, "restart_needed": ""}
    moment(status["configuration"]["loaded"])
    assert status["store"] == {"durability": "none", "directory": str(house.state_directory),
                               "well": True, "problem": ""}
    assert status["audit"] == {"file": str(house.audit_file), "well": True}
    assert status["connections"]["max"] == 10000
    assert status["upstreams"] == ask(house, "/control/upstreams")["upstreams"]


def test_the_configuration_is_told_as_an_absolute_path(start):
    house = start(launcher=["sh", "-c", 'exec "$1" -c solvegate.conf', "sh"])
    assert ask(house, "/control/status")["configuration"]["file"] == str(house.config)


def test_the_status_counts_what_waits_and_what_has_ended(start):
    house, ids = busy(start, limits={"queue_jobs": 50, "queue_bytes": 100000000})
    assert house.request("DELETE", f"/status?id={ids[2]}").status == 200
    status = ask(house, "/control/status")
    queue = status["queue"]
    assert (queue["jobs"], queue["purchases"], queue["max"]) == (1, 1, 50)
    assert queue["max_bytes"] == 100000000
    assert 0 < queue["bytes"] < queue["max_bytes"]
    assert status["in_flight"] == 1
    assert status["jobs"] == {**dict.fromkeys(ENDS, 0), "cancelled": 1}
    assert status["results"] == {"upstream": 0, "collapsed": 0, "cache": 0}


def test_why_it_is_not_ready_stands_in_the_status(start):
    house = start()
    house.sim.fault("solve:code=1")
    expect.failed(house.solve(job(), HELD), "upstream_rejected")
    status = ask(house, "/control/status")
    assert (status["state"], status["ready"]) == ("taking", False)
    assert "refuses its account" in status["message"]
    assert "solvegatectl upstreams" in status["message"]
    assert status["upstreams"][0]["state"] == "refused"


def test_an_operator_is_told_of_a_full_queue_and_not_to_come_again(start):
    house, _ = busy(start, limits={"queue_jobs": 2})
    status = ask(house, "/control/status")
    assert (status["state"], status["ready"]) == ("taking", False)
    assert "limits.queue_jobs" in status["message"] and "again" not in status["message"]


@pytest.mark.parametrize("what", ["store", "audit"])
def test_an_operator_is_told_what_cannot_be_written(start, tmp_path, what):
    (tmp_path / what).mkdir(mode=0o700)
    disk = FaultyDisk(tmp_path / "control", tmp_path / what)
    place = {"state_directory": tmp_path / what} if what == "store" else {
        "audit": {"file": str(tmp_path / what / "audit.jsonl")}}
    house = start(durability="full", environment=disk.environment, **place)
    disk.fail(errno.ENOSPC)
    house.solve(job(), {"Prefer": "respond-async"})
    status = wait_until(lambda: not_ready(house), what="it is not ready")
    disk.mend()
    assert (status["store"]["well"], status["audit"]["well"]) == (what != "store", what != "audit")
    key = {"store": "state_directory", "audit": "audit.file"}[what]
    why = {"store": "database or disk is full", "audit": "the log says why"}[what]
    assert key in status["message"] and why in status["message"]
    wait_until(lambda: ask(house, "/control/status")["ready"], what="it is ready again")


def not_ready(house):
    status = ask(house, "/control/status")
    return None if status["ready"] else status


async def test_open_connections_of_tools_are_counted(start):
    house = start(limits={"connections": 50})
    held = [await Connection.open(house.url) for _ in range(7)]
    try:
        for connection in held:
            await connection.request("GET", "/status?id=h-none")
        assert ask(house, "/control/status")["connections"] == {"open": 7, "max": 50}
    finally:
        for connection in held:
            await connection.close()


# ---- jobs ----


def test_jobs_are_listed_the_oldest_first_with_what_they_wait_for(start):
    house, ids = busy(start)
    listed = jobs(house)
    assert listed["total"] == 3
    assert [entry["id"] for entry in listed["jobs"]] == ids
    first, second, _ = listed["jobs"]
    assert list(first) == JOB
    assert (first["state"], first["upstream"], first["attempts"]) == ("sending", "main", 1)
    assert (second["state"], second["upstream"], second["attempts"]) == ("queued", None, 0)
    for entry in listed["jobs"]:
        assert (entry["client"], entry["source"]) == ("local", "upstream")
        assert entry["trouble"] is entry["code"] is entry["message"] is entry["finished"] is None
        assert 0 <= entry["age"] < 120 and 0 < entry["deadline_in"] <= 120
        moment(entry["created"])


def test_a_limit_bounds_the_list_and_not_the_total(start):
    house, ids = busy(start)
    listed = jobs(house, "?limit=2")
    assert ([entry["id"] for entry in listed["jobs"]], listed["total"]) == (ids[:2], 3)


def test_jobs_are_chosen_by_state_and_by_client(start):
    house = start(latency=NEVER, upstream={"max_in_flight": 1}, clients=[CI, OTHER])
    mine = house.submit(job(seed=0), **CI.headers)
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    theirs = [house.submit(job(seed=seed), **OTHER.headers) for seed in (1, 2)]

    def chosen(query):
        listed = jobs(house, query)
        assert listed["total"] == len(listed["jobs"])
        return [entry["id"] for entry in listed["jobs"]]

    assert chosen("?client=ci") == [mine]
    assert chosen("?client=other&state=queued") == theirs
    assert chosen("?state=sending") == [mine]
    assert chosen("?state=accepted") == chosen("?client=nobody") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=", "limit=-1", "limit=1e2",
                                   "limit=0x10", "limit=99999999999999999999", "state=",
                                   "state=solved", "state=QUEUED"])
def test_a_choice_that_is_none_is_refused(start, query):
    refusal = start().operate("GET", f"/control/jobs?{query}")
    assert query.split("=")[0] in expect.error(refusal, 400, "bad_request")["message"]


def test_a_job_that_joined_another_says_so(start):
    house = start(latency=NEVER)
    first, second = (house.submit(job()) for _ in range(2))
    sources = {entry["id"]: entry["source"] for entry in jobs(house)["jobs"]}
    assert sources == {first: "upstream", second: "collapsed"}


def test_a_job_that_has_ended_is_shown_without_its_solution(start):
    house = start()
    task = job()
    job_id = expect.solved(house.solve(task, HELD), task)["id"]
    shown = ask(house, f"/control/job?id={job_id}")
    assert list(shown) == JOB
    assert (shown["state"], shown["code"], shown["message"]) == ("solved", None, None)
    assert (shown["deadline_in"], shown["upstream"]) == (None, "main")
    assert moment(shown["created"]) <= moment(shown["finished"])
    assert jobs(house) == {"jobs": [], "total": 0}


def test_a_job_that_failed_tells_its_code_and_message(start):
    house = start()
    house.sim.fault("solve:code=12")
    failed = expect.failed(house.solve(job(), HELD), "upstream_rejected")
    shown = ask(house, f"/control/job?id={failed['id']}")
    assert (shown["state"], shown["code"]) == ("failed", "upstream_rejected")
    assert shown["message"] == failed["message"]


def test_a_job_that_waits_for_its_next_try_tells_why(start):
    house = start(retry={"base": 30.0, "cap": 30.0, "probe": 30.0, "attempts": 10})
    house.sim.fault("solve:status=503")
    job_id = house.submit(job())

    def troubled():
        shown = ask(house, f"/control/job?id={job_id}")
        return shown if shown["state"] == "queued" and shown["attempts"] else None

    shown = wait_until(troubled)
    assert (shown["attempts"], shown["upstream"]) == (1, None)
    assert shown["trouble"] and shown["trouble_upstream"] == "main"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_job_that_is_not_known_is_told(start, method):
    house = start()
    expect.error(house.operate(method, "/control/job?id=h-none"), 404, "unknown_id")
    expect.error(house.operate(method, "/control/job"), 400, "bad_request")


def test_jobs_are_listed_after_a_start_too(start):
    house, ids = busy(start, durability="full")
    house.kill_and_start_again()
    waiting = [entry["id"] for entry in jobs(house)["jobs"]]
    assert waiting == ids[1:]
    shown = ask(house, f"/control/job?id={ids[0]}")
    assert (shown["code"], shown["upstream"]) == ("outcome_unknown", None)


# ---- clients ----


def test_clients_are_told_with_their_limits_and_what_they_do(start):
    house = start(latency=NEVER, clients=[CI, OTHER], upstream={"max_in_flight": 1})
    for seed in range(3):
        house.submit(job(seed=seed), **CI.headers)
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    ci, other = ask(house, "/control/clients")["clients"]
    assert (ci["name"], ci["weight"], ci["max_in_flight"], ci["sites"]) == ("ci", 3, 2, 2)
    assert ci["expires"] == "2099-01-31"
    assert (ci["in_flight"], ci["queued"], ci["unfinished"]) == (1, 2, 3)
    assert ci["rate"]["limit"] == 5 and ci["rate"]["burst"] == 10
    daily = ci["daily"]
    assert (daily["limit"], daily["used"], daily["reserved"], daily["left"]) == (100, 0, 3, 97)
    moment(daily["resets"])
    assert ci["monthly"]["limit"] == 2000
    assert ci["saved"] == {"cache": 0, "collapsed": 0}
    assert other["name"] == "other"
    for name in ("max_in_flight", "rate", "expires", "sites"):
        assert other[name] is None
    assert other["daily"]["limit"] is other["daily"]["left"] is None


def test_without_clients_everyone_is_local(start):
    house = start()
    assert [entry["name"] for entry in ask(house, "/control/clients")["clients"]] == ["local"]


def test_clients_of_a_reload_are_told(start):
    house = start(clients=[CI])
    house.reload(clients=[OTHER])
    assert [entry["name"] for entry in ask(house, "/control/clients")["clients"]] == ["other"]


def test_usage_tells_who_was_charged_where_and_what_was_saved(start):
    house = start(clients=[CI, OTHER], results={"share": True})
    task = job()
    expect.solved(house.solve(task, {**HELD, **CI.headers}), task)
    expect.solved(house.solve(task, {**HELD, **OTHER.headers}), task)
    usage = ask(house, "/control/usage")
    assert usage["ledger"] == [{"client": "ci", "upstream": "main", "charged": 1, "unknown": 0}]
    ci, other = usage["clients"]
    assert (ci["name"], ci["daily"]["used"], ci["monthly"]["used"]) == ("ci", 1, 1)
    assert (other["daily"]["used"], other["saved"]) == (0, {"cache": 1, "collapsed": 0})


# ---- upstreams ----


def test_upstreams_are_told_with_what_became_of_their_questions(simulator, gateway):
    sims = [simulator(mode="free", api=api, latency=0.05, name=f"sim{api}") for api in (1, 2)]
    house = gateway(sims[0], upstreams=[
        {"name": f"u{n}", "priority": n, "max_in_flight": 3 + n, **upstream_of(sim)}
        for n, sim in enumerate(sims)])
    task = job()
    expect.solved(house.solve(task, HELD), task)
    first, second = ask(house, "/control/upstreams")["upstreams"]
    assert list(first) == ["name", "url", "api", "priority", "max_in_flight", "in_flight", "state",
                           "requests", "balance", "balance_failure"]
    assert (first["name"], first["url"], first["api"]) == ("u0", sims[0].url, 1)
    assert (second["priority"], second["max_in_flight"], second["api"]) == (1, 4, 2)
    assert first["state"] == second["state"] == "up"
    counts = sims[0].counters()
    assert list(first["requests"]) == ["solve", "status", "balance"]
    assert list(first["requests"]["solve"]) == RESULTS
    assert sum(first["requests"]["solve"].values()) == counts["solve_requests"] == 1
    assert sum(first["requests"]["status"].values()) == len(sims[0].requests("status"))
    assert first["requests"]["solve"]["pending"] == first["requests"]["status"]["final"] == 1
    assert not any(second["requests"]["solve"].values())


def test_an_upstream_that_fails_is_told_so(start):
    house = start(retry={"base": 0.02, "cap": 0.05, "probe": 30.0, "attempts": 10})
    house.sim.fault("solve:status=503")
    house.submit(job())

    def failing():
        upstream, = ask(house, "/control/upstreams")["upstreams"]
        return upstream if upstream["state"] == "failing" else None

    assert wait_until(failing)["requests"]["solve"]["try_later"] >= 3


@pytest.mark.parametrize("api", [1, 2])
def test_a_balance_is_asked_for_and_told_whole_and_as_a_number(simulator, gateway, api):
    house = gateway(simulator(mode="pro", api=api, latency=0), poll={"balance": 1000.0})
    balance, = ask(house, "/control/balance")["balances"]
    assert (balance["upstream"], balance["message"]) == ("main", "")
    assert 0 <= balance["age"] < 60
    told = balance["balance"]
    upstream, = ask(house, "/control/upstreams")["upstreams"]
    wanted = told["planlimit"] - told["used"] if api == 1 else told["Balance"]
    assert upstream["balance"] == pytest.approx(wanted)
    assert upstream["requests"]["balance"]["final"] >= 1


def test_a_balance_is_asked_for_anew_but_not_within_five_seconds(start):
    house = start(poll={"balance": 1000.0})
    begun = time.monotonic()
    ages = [ask(house, "/control/balance")["balances"][0]["age"] for _ in range(20)]
    upstream, = ask(house, "/control/upstreams")["upstreams"]
    asked = sum(upstream["requests"]["balance"].values())
    assert 1 <= asked <= 2 + (time.monotonic() - begun) / 5  # once before begun, at the start
    assert asked < len(ages)
    wait_until(lambda: requests_of(house, "balance") > asked, 20.0)


def requests_of(house, endpoint):
    ask(house, "/control/balance")
    upstream, = ask(house, "/control/upstreams")["upstreams"]
    return sum(upstream["requests"][endpoint].values())


def test_a_balance_that_cannot_be_had_says_why(simulator, gateway):
    vendor = simulator(mode="pro", latency=0, faults=["balance:status=500"])
    house = gateway(vendor, poll={"balance": 1000.0})
    balance, = ask(house, "/control/balance")["balances"]
    assert (balance["age"], balance["balance"]) == (None, None)
    assert "refused" in balance["message"]
    assert balance["failure"]["message"] == balance["message"]
    assert not balance["failure"]["refused"] and 0 <= balance["failure"]["age"] < 60


def test_a_key_that_is_refused_at_the_start_is_told_and_jobs_go_on(gateway, vendor):
    vendor.refuse(canary.STORED_APIKEY)
    house = gateway(upstream=vendor.entry, poll={"balance": 1000.0})
    failure = wait_until(lambda: balance_failure(house))
    assert (failure["refused"], failure["message"]) == (True, "Invalid APIKEY")
    upstream, = ask(house, "/control/status")["upstreams"]
    assert (upstream["state"], upstream["balance"]) == ("up", None)
    assert ask(house, "/control/status")["ready"]
    vendor.refuse()

    def told_anew():
        balance, = ask(house, "/control/balance")["balances"]
        return balance["failure"] is None and balance["balance"]

    assert wait_until(told_anew)["planlimit"] == 1000
    assert balance_failure(house) is None


def test_a_balance_that_is_refused_later_is_told_beside_the_last_one(gateway, vendor):
    house = gateway(upstream=vendor.entry, poll={"balance": 0.1})
    vendor.wait_for("balance", 2)
    vendor.refuse(canary.STORED_APIKEY)
    wait_until(lambda: balance_failure(house))
    balance, = ask(house, "/control/balance")["balances"]
    assert balance["balance"]["planlimit"] == 1000 and balance["message"] == ""
    assert balance["failure"]["message"] == "Invalid APIKEY"
    assert balance["failure"]["refused"]


def balance_failure(house):
    return ask(house, "/control/upstreams")["upstreams"][0]["balance_failure"]


def test_a_balance_that_is_too_long_is_left_out_and_the_others_are_told(gateway):
    def upstream(name, balance):
        return name, stack.enter_context(Upstream(None, balance=balance)).entry

    with contextlib.ExitStack() as stack:
        made = [upstream("long", {"Balance": 1, "note": "x" * 40000}),
                upstream("short", {"Balance": 2})]
        house = gateway(upstreams=[{"name": name, **entry} for name, entry in made])
        told = wait_until(lambda: all_known(house))
    assert (told["long"]["balance"], "too long" in told["long"]["message"]) == (None, True)
    assert (told["short"]["balance"], told["short"]["message"]) == ({"Balance": 2}, "")


def all_known(house):
    told = {one["upstream"]: one for one in ask(house, "/control/balance")["balances"]}
    return told if all(one["age"] is not None for one in told.values()) else None


# ---- all of them ----


@pytest.mark.parametrize("target", READS)
def test_what_is_read_takes_get_and_head_only(start, target):
    house = start()
    assert house.operate("HEAD", target).status == 200
    for method in ("POST", "PUT", "DELETE"):
        refusal = house.operate(method, target)
        expect.error(refusal, 405, "method_not_allowed")
        assert refusal.header("Allow") == "GET, HEAD"


def test_no_answer_has_a_secret(start):
    """The stored credential is looked for in every answer; here a client's token and task, too."""
    house = start(clients=[CI], poll={"balance": 0.1})
    task = job()
    solved = expect.solved(house.solve(task, {**HELD, **CI.headers}), task)
    wait_until(lambda: ask(house, "/control/balance")["balances"][0]["balance"])
    secrets = (CI.token, CI.sha256, *canary.STORED, task.digest,
               task.fields["target"])
    for target in [*READS, f"/control/job?id={solved['id']}"]:
        body = house.operate("GET", target).body.decode()
        assert not [secret for secret in secrets if secret in body], target
