"""An upstream whose url leads back to solvegate: refused by the check where it can be told, and
recognized at run time, where no job is charged and none waits for its own end."""

import socket
import subprocess

import pytest

from lib import expect, state
from lib.build import BUILD, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK, upstream_of
from lib.http import Connection
from lib.job import job
from lib.manager import entry, passing
from lib.once import run_once
from lib.relay import Relay

CI = Client("ci", daily_limit=10)
MAIN = {"name": "main", "credential": "account"}
LOOP = "solvegate has sent this request itself"
FOREVER = {"limits": {"job_deadline": 600.0, "drain_timeout": 0.3}, "answers": {"solve_hold": 60.0}}


@pytest.fixture
def relay():
    with Relay() as running:
        yield running


@pytest.fixture
def looping(gateway, relay):
    """A gateway whose upstream is itself, through a relay."""

    def make(**settings):
        house = gateway(upstream={"url": relay.url}, **{**FOREVER, **settings})
        relay.leads_to(house.url)
        return house

    return make


def errors(house):
    return [line for line in house.log().splitlines() if " error " in line]


# ---- at run time ----


@pytest.mark.parametrize("generation", [1, 2])
def test_a_job_that_would_come_back_is_refused_and_not_charged(gateway, relay, generation):
    house = gateway(upstream={"url": relay.url, "api": generation}, clients=[CI], durability="full",
                    **FOREVER)
    relay.leads_to(house.url)
    tool = house.caller(CI)
    told = expect.failed(tool.solve(job(seed="loop")), "upstream_rejected")
    assert LOOP in told["message"] and str(house.config) in told["message"]
    assert tool.usage()["daily"]["used"] == 0
    assert [f"upstream main: its url {relay.url} leads back" in line
            for line in errors(house) if "its url" in line] == [True]
    expect.error(tool.solve(job(seed="next")), 503, "no_upstream")
    house.stop_well()
    assert state.ledger(house.state_directory) == {
        "open": 0, "charged": 0, "not_charged": 1, "unknown": 0}


def test_the_other_upstream_gets_the_job(simulator, gateway, relay):
    sim = simulator(mode="pro", latency=0)
    house = gateway(upstreams=[{"name": "loop", "url": relay.url, "priority": 0},
                               {"name": "good", **upstream_of(sim), "priority": 1}], **FOREVER)
    relay.leads_to(house.url)
    for seed in range(5):
        task = job(seed=f"other {seed}")
        expect.solved(house.solve(task), task)
    assert sim.counters()["solve_requests"] == 5
    assert "upstream loop: its url" in house.log()
    assert "upstream good: its url" not in house.log()


def test_a_reload_with_the_right_url_makes_it_well(simulator, looping):
    sim = simulator(mode="pro", latency=0)
    house = looping()
    expect.failed(house.solve(job(seed="before")), "upstream_rejected")
    house.reload(upstreams=[{**MAIN, **upstream_of(sim)}])
    task = job(seed="after")
    expect.solved(house.solve(task), task)


def test_a_job_that_was_accepted_waits_until_the_url_is_right_again(gateway, relay, vendor):
    """It is polled; no answer of solvegate's own ends it."""
    house = gateway(upstream={"url": relay.url}, **FOREVER)
    relay.leads_to(vendor.url)
    job_id = expect.pending(house.solve(job(seed="accepted")))["id"]
    relay.leads_to(house.url)
    wait_until(lambda: "upstream main: its url" in house.log(), what="a poll has come back")
    expect.pending(house.status(job_id))
    relay.leads_to(vendor.url)
    vendor.finish()
    assert house.finish(job_id).object()["status"] == "solved"


def test_the_balance_names_the_upstream(looping):
    house = looping()
    answer = house.get("/balance")
    assert LOOP in expect.error(answer, 503, "no_upstream")["message"]
    assert any("balance of upstream main" in line and LOOP in line for line in errors(house))


async def test_its_own_name_refuses_the_request_that_has_it_and_no_other(simulator, gateway, relay):
    """Whatever the request is, and however the field is written; a refusal has no further effect."""
    sim = simulator(mode="pro", latency=0)
    house = gateway(upstream={"url": relay.url}, admin=LOOPBACK, clients=[CI])
    relay.leads_to(sim.url)
    other = gateway(sim, name="other")
    task = job(seed="first")
    expect.solved(house.caller(CI).solve(task), task)
    names = set(relay.fields("Via"))
    assert len(names) == 1, names
    via = names.pop()
    assert via.startswith("1.1 solvegate-") and len(via) == len("1.1 solvegate-") + 16
    ways = [[("Via", via)], [("via", f"1.0 fred, {via} (a, comment)")],
            [("Via", "1.1 fred"), ("Via", via)]]
    for pairs in ways:
        for method, target, body in (("POST", "/api/solve", task.body), ("GET", "/balance", None),
                                     ("GET", "/status?id=h-x", None), ("GET", "/nowhere", None)):
            async with await Connection.open(house.url) as connection:
                answer = await connection.request(method, target, pairs, body)
            assert LOOP in expect.error(answer, 400, "loop_detected")["message"]
    async with await Connection.open(house.admin_url) as connection:
        expect.error(await connection.request("GET", "/metrics", ways[0]), 400, "loop_detected")
    assert errors(house) == []
    for asked in (house, other):
        later = job(seed=f"later {asked.name}")
        expect.solved(asked.solve(later, {**CI.headers, "Via": "1.1 fred, 1.1 solvegate"}), later)
    seen = job(seed="a name of another gateway")
    expect.solved(other.solve(seen, {"Via": via}), seen)


def test_each_start_has_another_name(simulator, gateway, relay):
    sim = simulator(mode="pro", latency=0)
    relay.leads_to(sim.url)
    house = gateway(upstream={"url": relay.url})
    house.run(job(seed="first"))
    house.kill_and_start_again()
    house.run(job(seed="second"))
    assert len(set(relay.fields("Via"))) == 2


@pytest.mark.parametrize("mode", ["pro", "free"])
def test_gateways_in_a_row_are_not_a_loop(simulator, gateway, mode):
    sim = simulator(mode=mode, latency=0)
    last = gateway(sim, name="last")
    middle = gateway(upstream={"url": last.url}, name="middle")
    first = gateway(upstream={"url": middle.url}, name="first")
    for seed in range(3):
        task = job(seed=f"row {seed}")
        expect.solved(first.run(task), task)
    assert sim.counters()["solve_requests"] == 3


def test_a_loop_behind_another_gateway_ends_the_job(gateway, relay):
    """The one behind finds it, and says so to the one before, which charges nothing either."""
    behind = gateway(upstream={"url": relay.url}, name="behind", **FOREVER)
    relay.leads_to(behind.url)
    before = gateway(upstream={"url": behind.url}, name="before", clients=[CI], **FOREVER)
    tool = before.caller(CI)
    assert LOOP in expect.failed(tool.solve(job(seed="behind")), "upstream_rejected")["message"]
    assert tool.usage()["daily"]["used"] == 0


# ---- before the start, and at a reload ----


def test_the_check_refuses_the_port_that_it_listens_on(tmp_path):
    done = run_once(tmp_path, "-t", listen=[{"address": "127.0.0.1", "port": 8118}],
                    upstream={"url": "http://127.0.0.1:8118"})
    assert done.returncode == 2
    assert "solvegate itself (listen[0]: 127.0.0.1 port 8118)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reload_refuses_the_port_that_the_kernel_has_chosen(simulator, gateway):
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, admin=LOOPBACK)
    for url in (house.url, house.url.replace("127.0.0.1", "localhost"), house.admin_url):
        house.configure(upstreams=[{**MAIN, "url": url}])
        checked = subprocess.run([BUILD / "solvegate", "-t", "-c", house.config], check=False,
                                 capture_output=True)
        assert checked.returncode == 0, "the check knows no port that the kernel chooses"
        told = house.hang_up("not reloaded.*\n")
        assert f'{house.config}: upstream main: url "{url}" is solvegate itself' in told, told
    task = job(seed="as before")
    expect.solved(house.solve(task), task)


def test_a_reload_refuses_a_listener_that_stays_until_the_restart(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), listen=[LOOPBACK, LOOPBACK])
    house.configure(listen=[LOOPBACK], upstreams=[{**MAIN, "url": house.urls[1]}])
    assert "is solvegate itself" in house.hang_up("not reloaded.*\n")


def test_a_passed_socket_of_both_families_is_known_at_the_start(tmp_path):
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as sock:
        at = entry(sock)
        started = passing(sock)
        upstream = {"url": f"http://127.0.0.1:{at['port']}"}
        settings = {"listen": [at], "clients": [CI], "upstream": upstream,
                    "admin": {"socket": str(tmp_path / "s")}}
        assert run_once(tmp_path, "-t", **settings).returncode == 0
        done = subprocess.run(
            [*started["launcher"], BUILD / "solvegate", "-c", tmp_path / "solvegate.conf"],
            capture_output=True, text=True, timeout=60, check=False, **started["popen"])
    assert done.returncode == 1
    assert f'url "{upstream["url"]}" is solvegate itself' in done.stderr
