"""The body is read strictly: JSONTestSuite whole, and no field twice in any disguise."""

import contextlib

import pytest

from lib import expect
from lib.build import REPOSITORY
from lib.http import exchange, open_blocking
from lib.job import SITE, job

SUITE = REPOSITORY / "tests/data/json-test-suite"
FILES = {"n": 188, "y": 95, "i": 35}


@pytest.fixture(scope="module")
def house(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(mode="pro", latency=0))


def post_all(house, bodies):
    """Posts each body over one kept connection; gives (name, answer)."""
    headers = {"Content-Type": "application/json"}
    with contextlib.closing(open_blocking(house.url)) as connection:
        for name, body in bodies.items():
            yield name, exchange(connection, "POST", "/api/solve", body, headers)


def suite(kind):
    files = {path.name: path.read_bytes() for path in sorted(SUITE.glob(f"{kind}_*.json"))}
    assert len(files) == FILES[kind]
    return files


def problems(house, bodies, codes):
    """The bodies that were not refused with one of the codes."""
    wrong = []
    for name, answer in post_all(house, bodies):
        try:
            expect.error(answer, 400, codes)
        except AssertionError:
            wrong.append((name, answer))
    assert house.sim.counters()["solve_requests"] == 0
    return wrong


def test_every_text_that_is_no_json_is_refused(house):
    assert not problems(house, suite("n"), "bad_json")


def test_every_text_that_is_json_is_read_but_is_no_job(house):
    assert not problems(house, suite("y"), "bad_job")


def test_every_text_that_may_be_either_is_refused_as_one_or_the_other(house):
    assert not problems(house, suite("i"), ("bad_json", "bad_job"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_job_in_another_encoding_is_refused(house, encoding):
    text = job().body.decode().encode(encoding)
    assert not problems(house, {encoding: text}, "bad_json")


def test_a_job_cut_short_anywhere_is_refused(house):
    body = job(images=1, size=3).body
    cuts = {str(at): body[:at] for at in range(len(body))}
    assert not problems(house, cuts, "bad_json")


def test_anything_behind_a_job_is_refused(house):
    body = job(images=1).body
    tails = (b"{}", b"x", b",", b"}", b"\0", b"\v", b"//", body)
    assert not problems(house, {repr(tail): body + tail for tail in tails}, "bad_json")


FIELDS = ["images", "target", "method", "sitekey", "site", "softid"]

# The same name to a parser that folds case as Unicode does (U+017F is a long s, U+212A Kelvin).
DISGUISES = {
    "images": ["images", "Images", "IMAGES", "image\u017f", "\\u0069mages", "image\\u017F"],
    "target": ["target", "tArget", "\\u0074\\u0061rget"],
    "method": ["method", "Method", "metho\\u0064"],
    "sitekey": ["sitekey", "SiteKey", "site_key", "Site_Key", "site\u212aey", "\u017fitekey",
                "site\\u212aey", "site\\u005fkey"],
    "site": ["site", "Site", "SITE", "\u017fite", "\\u0073ite", "\\u0053ite", "\\u017fite"],
    "softid": ["softid", "SoftID", "\u017foftid", "soft\\u0069d"],
}


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("field", FIELDS)
def test_a_field_given_twice_is_refused_in_every_disguise(house, field, place):
    body = job(images=1, softid="x").body.decode()
    assert f'"{field}":' in body
    value = '{"0":"AAAA"}' if field == "images" else '"x"'
    bodies = {}
    for name in DISGUISES[field]:
        member = f'"{name}":{value}'
        text = "{" + member + "," + body[1:] if place == "first" else body[:-1] + "," + member + "}"
        bodies[name] = text.encode()
    assert not problems(house, bodies, "bad_job")


def test_a_second_site_does_not_slip_past_the_policy(house):
    """The allowed site in the one place and another in the other, both ways round."""
    allowed, other = f'"site":"{SITE}"', '"\\u0053ITE":"evil.example"'
    rest = job(images=1, site=None).body.decode()[1:]
    bodies = {
        order: ("{" + order + "," + rest).encode()
        for order in (f"{allowed},{other}", f"{other},{allowed}")
    }
    assert not problems(house, bodies, "bad_job")


def test_an_image_given_twice_is_refused(house):
    body = job(images=1).body.replace(b'{"0": ', b'{"0": "AAAA", "0": ', 1)
    assert body.count(b'"0"') == 2
    assert not problems(house, {"0": body}, "bad_job")


def test_deep_nesting_is_refused_and_does_no_harm(house):
    body = job(images=1).body[:-1]
    deep = {str(n): body + b',"x":' + b"[" * n + b"]" * n + b"}" for n in (1000, 100_000)}
    assert not problems(house, deep, ("bad_json", "bad_job"))
    expect.solved(house.solve(job()), job())
    house.sim.reset()
