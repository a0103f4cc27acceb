"""The site allow-list: deny by default, whatever form the tool gives the site in."""

import pytest

from lib import expect
from lib.job import job

ALLOWED = ["staging.example.com", "*.qa.example.com"]

FORMS = [
    "staging.example.com",
    "STAGING.Example.COM",
    "staging.example.com.",
    "staging.example.com:8443",
    "staging.example.com/",
    "staging.example.com/signup",
    "staging.example.com/signup?next=https://evil.example/#top",
    "staging.example.com?x=1",
    "staging.example.com#x",
    "http://staging.example.com",
    "https://staging.example.com",
    "HTTPS://staging.example.com",
    "https://staging.example.com/",
    "https://staging.example.com:443/signup",
    "https://Staging.Example.com.:8443/a/b?c=d#e",
    "a.qa.example.com",
    "a.b.qa.example.com",
    "https://a.qa.example.com/login",
]

UNLISTED = [
    "example.com",
    "www.staging.example.com",
    "qa.example.com",
    "xqa.example.com",
    "evilstaging.example.com",
    "staging.example.com.evil.example",
    "staging-example.com",
    "evil.example/staging.example.com",
    "evil.example?staging.example.com",
    "evil.example#staging.example.com",
    "https://evil.example/https://staging.example.com/",
    "https://evil.example:443/",
    "127.0.0.1",
]

# What two parsers may read differently, and what is no site at all.
CROOKED = [
    "https://staging.example.com@evil.example/",
    "https://evil.example@staging.example.com/",
    "staging.example.com@evil.example",
    "https://staging.example.com:pw@evil.example",
    "https://evil.example\\@staging.example.com/",
    "https://evil.example\\.staging.example.com",
    "https:\\\\staging.example.com",
    "staging.example.com\\.evil.example",
    "//staging.example.com/",
    "https:///staging.example.com",
    "https:staging.example.com",
    "ftp://staging.example.com/",
    "javascript://staging.example.com/%0aalert(1)",
    "staging.example.com ",
    " staging.example.com",
    "staging.example.com\t",
    "staging.example.com\n.evil.example",
    "staging.example.com\u0000.evil.example",
    "staging.example.com%2eevil.example",
    "staging。example。com",
    "ｓtaging.example.com",
    "stagıng.example.com",
    "staging..example.com",
    "staging.example.com..",
    ".staging.example.com",
    "*.qa.example.com",
    "*",
    "https://",
    "/",
    ":80",
    "staging.example.com:",
    "staging.example.com:0",
    "staging.example.com:99999",
    "staging.example.com:8x",
    "x" * 300 + ".qa.example.com",
]


@pytest.fixture(scope="module")
def house(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(mode="pro", latency=0), sites=ALLOWED)


def refused(house, task, readable=True):
    """The refusal, which sent nothing upstream. What cannot be read may be called a bad job."""
    before = house.sim.counters()["solve_requests"]
    answer = house.solve(task)
    assert house.sim.counters()["solve_requests"] == before
    if answer.status == 400 and not readable:
        return expect.error(answer, 400, "bad_job")
    return expect.error(answer, 403, "site_not_allowed")


@pytest.mark.parametrize("site", FORMS)
def test_a_listed_site_passes_in_every_form(house, site):
    task = job(site=site)
    expect.solved(house.solve(task), task)


@pytest.mark.parametrize("site", UNLISTED)
def test_an_unlisted_site_is_refused(house, site):
    refused(house, job(site=site))


@pytest.mark.parametrize("site", CROOKED)
def test_a_crooked_site_is_refused(house, site):
    refused(house, job(site=site), readable=False)


def test_an_empty_site_is_refused(house):
    refused(house, job(site=""), readable=False)


def test_the_refusal_gives_the_line_to_add(house):
    body = refused(house, job(site="https://New.Example.org:8443/login"))
    assert "sites" in body["message"] and "allow" in body["message"]
    assert '"new.example.org"' in body["message"]


def test_the_line_to_add_is_the_right_one(simulator, gateway):
    sim = simulator(mode="pro", latency=0)
    task = job(site="https://New.Example.org/login")
    assert refused(gateway(sim), task)
    expect.solved(gateway(sim, sites=["new.example.org"]).solve(task), task)


def test_the_refusal_of_a_job_without_a_site_is_403_and_says_so(house):
    body = refused(house, job(site=None))
    assert "site" in body["message"]


def test_a_refused_site_has_a_line_in_the_log(simulator, gateway):
    house = gateway(simulator())
    refused(house, job(site="log-me.example.org"))
    lines = [line for line in house.log().splitlines() if "log-me.example.org" in line]
    assert lines and all("site" in line for line in lines)


def test_a_site_cannot_forge_a_line_of_the_log(house):
    house.solve(job(site="x.example\nready http://evil.example\n2026-11-22T00:00:00Z error forged"))
    assert not [line for line in house.log().splitlines() if line.startswith("ready http://evil")]
    assert "\n2026-11-22T00:00:00Z error forged" not in house.log()


def test_an_empty_list_refuses_every_site(simulator, gateway, mode):
    house = gateway(simulator(mode=mode), sites=[])
    for site in ("staging.example.com", "localhost", "127.0.0.1"):
        refused(house, job(site=site))
    assert house.sim.counters()["solve_requests"] == 0


def test_a_star_allows_every_site_and_is_warned_about(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), sites=["*"])
    task = job(site="https://anything.example.org/")
    expect.solved(house.solve(task), task)
    assert [line for line in house.log().splitlines() if "warning" in line and "site" in line]


def test_patterns_are_matched_without_regard_to_case(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), sites=["Staging.EXAMPLE.com", "*.QA.example"])
    for site in ("staging.example.com", "a.qa.EXAMPLE"):
        expect.solved(house.solve(job(site=site)), job(site=site))
