"""The door to the network: who may open it, and by which names it is called. All traffic stays on
this machine."""

import urllib.parse

import pytest

from lib import expect
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import request
from lib.job import job
from lib.network import has_ipv6, own_address
from lib.once import CHECK, run_once

CI = Client("ci")
EVERYWHERE = {"address": "0.0.0.0", "port": 0}
CLEAR_TEXT = "in clear text"

OWN = own_address()
needs_network = pytest.mark.skipif(OWN is None, reason="this machine has loopback alone")
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def at(house, host, number=0):
    """The address of a listener under another name of its host."""
    parts = urllib.parse.urlsplit(house.urls[number])
    return f"{parts.scheme}://{host}:{parts.port}"


def solve_at(url, task, headers):
    fields = {"Content-Type": "application/json", **headers}
    return request(url, "POST", "/solve", task.body, fields)


def in_url(address):
    return f"[{address}]" if ":" in address else address


# ---- who may open it ----

OPEN_ADDRESSES = ["0.0.0.0", "::", *([OWN] if OWN else [])]


@pytest.mark.parametrize("options", [(), CHECK], ids=["start", "check"])
@pytest.mark.parametrize("address", OPEN_ADDRESSES)
def test_without_clients_it_stays_shut(tmp_path, address, options):
    done = run_once(tmp_path, *options, listen=[LOOPBACK, {"address": address, "port": 0}])
    assert done.returncode == 2, done
    problem = done.stderr.splitlines()
    assert len(problem) == 1, done.stderr
    assert f'"{address}"' in problem[0] and "solvegatectl token new" in problem[0], problem
    assert "ready" not in done.stderr


@pytest.mark.parametrize("admin", [EVERYWHERE, {"address": "::", "port": 0}])
def test_operators_are_never_called_over_the_network(tmp_path, admin):
    done = run_once(tmp_path, listen=[LOOPBACK], admin=admin, clients=[CI])
    assert done.returncode == 2, done
    assert "admin.address" in done.stderr


def test_every_address_of_loopback_is_open_to_all(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), listen=[{"address": "127.0.0.2", "port": 0}])
    task = job()
    expect.solved(house.solve(task), task)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", pytest.param(OWN, marks=needs_network),
                pytest.param("::", marks=needs_ipv6)])
def test_with_clients_it_opens_to_them_alone(simulator, gateway, address):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI],
                    listen=[{"address": address, "port": 0}, LOOPBACK])
    assert house.urls[0].startswith(f"http://{in_url(address)}:")
    hosts = {"::": ["[::1]"], "0.0.0.0": ["127.0.0.1", *([OWN] if OWN else [])]}
    for host in hosts.get(address, [address]):
        url = at(house, host)
        task = job(seed=host)
        expect.error(solve_at(url, task, {}), 401, "unauthorized")
        answer = expect.solved(solve_at(url, task, CI.headers), task)
        assert answer["url"].startswith(url + "/")
    # A token is asked for on loopback as well.
    expect.error(solve_at(house.urls[1], job(seed="near"), {}), 401, "unauthorized")
    expect.solved(solve_at(house.urls[1], job(seed="near"), CI.headers), job(seed="near"))


@pytest.mark.parametrize("options", [(), CHECK], ids=["start", "check"])
def test_without_tls_it_warns_of_clear_text(simulator, gateway, tmp_path, options):
    if options:
        done = run_once(tmp_path, *options, listen=[EVERYWHERE], clients=[CI])
        assert done.returncode == 0, done
        told = done.stderr
    else:
        told = gateway(simulator(), listen=[EVERYWHERE], clients=[CI]).log()
    warnings = [line for line in told.splitlines() if CLEAR_TEXT in line]
    assert len(warnings) == 1 and "0.0.0.0" in warnings[0], told


# ---- by which names it is called ----


@pytest.fixture(scope="module")
def named(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(mode="pro", latency=0), clients=[CI],
                          listen=[EVERYWHERE], server_names=["gate.example.net", "Solvegate"])


OURS = ["127.0.0.1", "192.0.2.77", "[::1]", "[fd00::2]", "localhost", "LOCALHOST",
        "gate.example.net", "Gate.Example.Net", "gate.example.net.", "solvegate"]
NOT_OURS = ["evil.example", "gate.example.net.evil.example", "xgate.example.net", "example.net",
            "localhost.evil.example", "127.0.0.1.evil.example", "solvegate.local", "2130706433",
            "0x7f.0.0.1", "127.1"]


@pytest.mark.parametrize("port", ["", ":1", "its own"])
@pytest.mark.parametrize("host", OURS)
def test_it_answers_by_its_addresses_and_names(named, host, port):
    suffix = f":{urllib.parse.urlsplit(named.url).port}" if port == "its own" else port
    answer = request(at(named, "127.0.0.1"), "GET", "/usage", None,
                     {"Host": host + suffix, **CI.headers})
    assert answer.status == 200, answer


@pytest.mark.parametrize("headers", [{}, CI.headers], ids=["nobody", "client"])
@pytest.mark.parametrize("host", NOT_OURS)
def test_under_another_name_it_answers_nothing(named, host, headers):
    before = named.sim.settled_counters()
    url = at(named, "127.0.0.1")
    for method, target in (("GET", "/usage"), ("GET", "/api/status?id=h-x"), ("GET", "/nowhere"),
                           ("OPTIONS", "/solve")):
        answer = request(url, method, target, None, {"Host": host, **headers})
        expect.error(answer, 403, "forbidden_host")
    answer = solve_at(url, job(seed=host), {"Host": f"{host}:8118", **headers})
    expect.error(answer, 403, "forbidden_host")
    assert named.sim.counters() == before
