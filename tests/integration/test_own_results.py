"""A response belongs to its request: whatever an upstream writes beside, before or behind its
answers, each job gets its own result, is bought once, and is counted once.

SOLVEGATE_LONG=1 sends 1,000 jobs of two clients for each kind, instead of 100.
"""

import contextlib
import itertools
import os

import pytest

from lib import expect
from lib.clients import ledger_of
from lib.gateway import LOOPBACK
from lib.h2front import KINDS, Http2Front
from lib.job import job
from lib.own import CLIENTS, SETTINGS, WAVE, Waves
from lib.tls import make_certificate

JOBS = 1000 if os.environ.get("SOLVEGATE_LONG") else 100

SURPLUS = ("solved", "code", "error", "unauthorized", "close")
ENDPOINTS = ("solve", "status")


@pytest.fixture(params=["plain", "tls"])
def transport(request):
    return request.param


@pytest.fixture
def upstream(simulator, gateway, authority, tmp_path, transport):
    """Makes a simulator and a gateway in front of it."""

    def make(mode, latency=0.0, **settings):
        tls = None
        if transport == "tls":
            tls = make_certificate(tmp_path, authority, "server", "IP:127.0.0.1")
        sim = simulator(mode=mode, latency=latency, tls=tls)
        entry = {"max_in_flight": WAVE}
        if tls:
            entry["ca"] = str(authority.certificate)
        return gateway(sim, upstream=entry, admin=LOOPBACK, **{**SETTINGS, **settings})

    return make


def mode_for(endpoint):
    """The kind of account whose jobs are solved by this endpoint."""
    return {"solve": "pro", "status": "free"}[endpoint]


def assert_own_results(house, faults, between=None, jobs=JOBS):
    """faults yields the specs of each further wave."""
    sim, waves = house.sim, Waves(house, house.sim)

    def prepare():
        sim.clear_faults()
        sim.fault(*next(faults))

    def next_wave():
        if between:
            between()
        prepare()

    prepare()
    waves.run(jobs, next_wave)
    return waves


def mixed(endpoint, kind, whats):
    """Surplus responses of each sort by turns, without end."""
    return itertools.repeat([f"{endpoint}:{kind}={what}*1" for what in whats] * 50)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_stray_responses_on_idle_connections(upstream, endpoint):
    """How many there are in a wave depends on how many connections its requests share."""
    house = upstream(mode_for(endpoint))
    written = []

    def write_strays():
        house.sim.write_strays()
        written.append(house.sim.counters()["strays"])

    waves = assert_own_results(house, mixed(endpoint, "stray", SURPLUS), write_strays)
    counters = house.sim.counters()
    assert all(before < now for before, now in itertools.pairwise([0, *written])), written
    assert counters["solve_requests"] == waves.count, counters
    waves.assert_all_agree()


@pytest.mark.parametrize("kind", ["double", "split"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_surplus_responses_glued_to_the_right_ones(upstream, endpoint, kind):
    house = upstream(mode_for(endpoint))
    waves = assert_own_results(house, mixed(endpoint, kind, SURPLUS))
    counters = house.sim.counters()
    assert counters["faults"] >= waves.count, counters
    assert counters["solve_requests"] == waves.count, counters
    waves.assert_all_agree()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_answers_that_a_reset_follows(upstream, endpoint):
    house = upstream(mode_for(endpoint))
    waves = assert_own_results(house, itertools.repeat([f"{endpoint}:reset-after"]))
    counters = house.sim.counters()
    assert counters["faults"] >= waves.count, counters
    assert counters["solve_requests"] == waves.count, counters
    waves.assert_all_agree()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_early_refusals(upstream, endpoint):
    """One in seven, so that the retry budget suffices and the breaker stays closed."""
    house = upstream(mode_for(endpoint))
    specs = [f"{endpoint}:slow=0*6", f"{endpoint}:early=429*1"] * 100
    waves = assert_own_results(house, itertools.repeat(specs))
    counters = house.sim.counters()
    assert counters["faults"] >= waves.count, counters
    assert counters[f"{endpoint}_requests"] >= waves.count + waves.count // 10, counters
    waves.assert_all_agree()


# ---- HTTP/2, by which polls and balances go ----


@pytest.fixture
def http2(simulator, gateway, authority, tmp_path):
    """Makes a simulator, a front end before it, and a gateway."""
    certificate = make_certificate(tmp_path, authority, "server", "IP:127.0.0.1")
    with contextlib.ExitStack() as stack:

        def make(kind=None):
            sim = simulator(mode="free", latency=0.05)
            front = stack.enter_context(Http2Front(sim, certificate, kind))
            house = gateway(sim, admin=LOOPBACK, **SETTINGS, upstream={
                "url": front.url, "max_in_flight": WAVE, "ca": str(authority.certificate)})
            return house, front

        yield make


@pytest.mark.parametrize("kind", KINDS)
def test_polls_by_http_2_beside_which_something_is_written(http2, kind):
    house, front = http2(kind)
    waves = Waves(house, house.sim)
    waves.run(JOBS)
    assert front.struck >= waves.count // 4, front.struck
    assert house.sim.counters()["solve_requests"] == waves.count
    waves.assert_all_agree()


def test_responses_on_idle_http_2_connections_to_the_request_that_comes_next(http2):
    house, front = http2()
    waves = Waves(house, house.sim)
    waves.run(JOBS, front.write_on_idle)
    assert front.polls >= waves.count, front.polls
    assert front.idle_written >= waves.count // WAVE, front.idle_written
    assert house.sim.counters()["solve_requests"] == waves.count
    waves.assert_all_agree()


# ---- no answer at all ----


@pytest.mark.parametrize("kind", ["reset", "close", "truncate", "garbage"])
def test_a_job_that_was_taken_on_a_used_connection_is_not_sent_again(upstream, kind):
    """libcurl would, on a new connection."""
    house = upstream("pro")
    for number in range(5):
        good = job(images=1, size=20, seed=number)
        expect.solved(house.caller(CLIENTS[0]).solve(good, {"Prefer": "wait=30"}), good)
        house.sim.fault(f"solve:{kind}*1")
        cut_off = job(images=1, size=2000, seed=f"cut off {number}")
        answer = house.caller(CLIENTS[1]).solve(cut_off, {"Prefer": "wait=30"})
        expect.failed(answer, "outcome_unknown")
    counters = house.sim.counters()
    assert counters["solve_requests"] == counters["charged"] == 10, counters
    house.stop_well()
    assert ledger_of(house.state_directory, CLIENTS[0])["charged"] == 5
    assert ledger_of(house.state_directory, CLIENTS[1])["unknown"] == 5


# ---- an early refusal of a large body ----


@pytest.mark.parametrize("size, count", [(1_000, 20), (75_000, 20), (200_000, 20), (3_000_000, 5)],
                         ids=["1 KB", "100 KB", "270 KB", "4 MB"])
def test_an_early_refusal_is_the_answer_however_large_the_body_is(upstream, size, count):
    """Also on a connection that was used before. A reset follows, as most of the body has not been
    read."""
    house = upstream("pro")
    first, second = map(house.caller, CLIENTS)
    for number in range(count):
        house.sim.fault("solve:early=413")
        large = job(images=1, size=size, seed=f"refused {number}")
        answer = first.solve(large, {"Prefer": "wait=30"})
        assert "refused by a fault" in expect.failed(answer, "upstream_rejected")["message"]
        house.sim.clear_faults()
        other = job(images=1, size=20, seed=number)
        expect.solved(second.solve(other, {"Prefer": "wait=30"}), other)
    assert house.sim.counters()["charged"] == count
    assert "upstream main fails" not in house.log()
    house.stop_well()
    for client, charged in zip(CLIENTS, (0, count)):
        ledger = ledger_of(house.state_directory, client)
        assert (ledger["charged"], ledger["unknown"]) == (charged, 0), ledger
