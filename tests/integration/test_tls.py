"""The way upstream is verified TLS, with HTTP/2 where the upstream offers it."""

import pytest

from lib import expect
from lib.build import wait_until
from lib.front import NGHTTPX, Front
from lib.gateway import upstream_of
from lib.job import job
from lib.once import CHECK, run_once
from lib.tls import make_authority, make_certificate

OUR_NAMES = "DNS:localhost,IP:127.0.0.1"

LISTEN = [{"port": 0}]
ONE_TRY = {"attempts": 1}


@pytest.fixture
def certificate(authority, tmp_path):
    def make(names=OUR_NAMES, signer=authority):
        return make_certificate(tmp_path, signer, "server", names)

    return make


def secured(gateway, sim, authority=None, host="127.0.0.1"):
    """A gateway before a simulator with TLS, which tries once only."""
    upstream = {"url": sim.url.replace("127.0.0.1", host)}
    if authority is not None:
        upstream["ca"] = str(authority.certificate)
    return gateway(sim, upstream=upstream, retry=ONE_TRY)


def assert_unavailable(house):
    """The job fails without a byte of it having been received upstream."""
    answer = house.solve(job(), {"Prefer": "wait=30"})
    body = expect.failed(answer, "upstream_unavailable")
    counters = house.sim.counters()
    assert counters["solve_requests"] == 0
    assert counters["solve_bytes"] == 0
    assert counters["charged"] == 0
    return body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_of_the_configured_authority_is_trusted(
    simulator, gateway, mode, authority, certificate, host
):
    house = secured(gateway, simulator(mode=mode, tls=certificate()), authority, host)
    task = job()
    expect.solved(house.run(task), task)
    assert house.get("/balance").object()["status"] == "active"


def test_without_the_authority_nothing_is_sent(simulator, gateway, mode, certificate):
    assert_unavailable(secured(gateway, simulator(mode=mode, tls=certificate())))


def test_under_another_authority_nothing_is_sent(
    simulator, gateway, authority, certificate, tmp_path
):
    other = make_authority(tmp_path, "other")
    assert_unavailable(secured(gateway, simulator(tls=certificate(signer=other)), authority))


def test_other_certificates_in_the_same_file_are_trusted_from_the_reload_on(
    simulator, gateway, authority, certificate, tmp_path
):
    """And those that were there are not, on connections that are open neither."""
    sim = simulator(mode="pro", latency=0.0, tls=certificate())
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate.read_bytes())
    house = gateway(sim, upstream={"ca": str(trusted)}, retry=ONE_TRY, workers=1)
    expect.solved(house.run(job(seed=1)), job(seed=1))
    trusted.write_bytes(make_authority(tmp_path, "other").certificate.read_bytes())
    told = house.reload()
    assert "upstreams: " in told, told
    expect.failed(house.run(job(seed=2)), "upstream_unavailable")
    trusted.write_bytes(authority.certificate.read_bytes())
    house.reload()
    expect.solved(house.run(job(seed=3)), job(seed=3))
    assert sim.counters()["charged"] == 2


@pytest.mark.parametrize("names", ["DNS:other.example", "IP:127.0.0.2", "DNS:127.0.0.1.example"])
def test_a_certificate_of_another_name_is_refused(
    simulator, gateway, authority, certificate, names
):
    assert_unavailable(secured(gateway, simulator(tls=certificate(names)), authority))


def test_a_plain_server_in_place_of_tls_gets_nothing(simulator, gateway, authority):
    sim = simulator()
    house = gateway(sim, upstream={"url": sim.url.replace("http:", "https:"),
                                   "ca": str(authority.certificate)},
                    retry=ONE_TRY)
    assert_unavailable(house)


# ---- the file of the authority ----


def damaged(authority):
    return authority.certificate.read_text().replace("MII", "!!!", 1)


BAD_FILES = [
    ("has no certificate", lambda authority: ""),
    ("has no certificate", lambda authority: authority.key.read_text()),
    ("has a certificate that is damaged", damaged),
    ("has a certificate that is damaged",
     lambda authority: authority.certificate.read_text() + damaged(authority)),
]


@pytest.mark.parametrize("options", [CHECK, ()], ids=["checked", "started"])
@pytest.mark.parametrize("words, content", BAD_FILES)
def test_a_file_without_a_good_certificate_is_refused_by_its_name_with_the_cure(
    tmp_path, authority, options, words, content
):
    path = tmp_path / "authority.pem"
    path.write_text(content(authority))
    done = run_once(tmp_path, *options, listen=LISTEN,
                    upstream={"url": "https://127.0.0.1:1", "ca": str(path)})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(f"{path}: {words}"), done.stderr
    assert '"main"' in done.stderr and "leave out its ca" in done.stderr


def test_a_file_with_a_key_beside_its_certificates_is_taken(tmp_path, authority):
    path = tmp_path / "authority.pem"
    path.write_text("# ours\n" + authority.key.read_text() + authority.certificate.read_text() * 2)
    done = run_once(tmp_path, *CHECK, listen=LISTEN,
                    upstream={"url": "https://127.0.0.1:1", "ca": str(path)})
    assert done.returncode == 0, done.stderr


def test_a_reload_with_a_file_without_certificate_changes_nothing_and_says_why(
    simulator, gateway, authority, certificate, tmp_path
):
    house = secured(gateway, simulator(tls=certificate()), authority)
    path = tmp_path / "empty.pem"
    path.write_text("")
    house.configure(upstreams=[{"name": "main", **upstream_of(house.sim), "ca": str(path),
                                "credential": "account"}])
    told = house.hang_up(" error ")
    assert "not reloaded" in told and f"{path}: has no certificate" in told, told
    task = job()
    expect.solved(house.run(task), task)


def test_a_reload_with_another_file_says_so_and_verifies_by_it(
    simulator, gateway, authority, certificate, tmp_path
):
    other = make_authority(tmp_path, "other")
    house = secured(gateway, simulator(tls=certificate()), other)
    assert_unavailable(house)
    told = house.reload(upstreams=[{"name": "main", **upstream_of(house.sim),
                                    "ca": str(authority.certificate), "credential": "account"}])
    assert "upstreams: other ca: main\n" in told, told
    task = job(seed=1)
    expect.solved(house.run(task), task)


# ---- HTTP/2 ----


@pytest.mark.skipif(NGHTTPX is None, reason="nghttpx is not installed")
def test_polls_and_balances_go_by_http_2_where_the_upstream_offers_it_and_solves_by_http_1_1(
    simulator, gateway, mode, authority, certificate, tmp_path
):
    sim = simulator(mode=mode)
    with Front(tmp_path, sim, certificate()) as front:
        house = gateway(sim, upstream={"url": f"https://localhost:{front.port}",
                                       "ca": str(authority.certificate)})
        for seed in range(5):
            task = job(seed=seed, size=20_000)
            expect.solved(house.run(task), task)
        assert house.get("/balance").object()["status"] == "active"
        wait_until(lambda: any("balance" in request for request in front.requests()))
        wait_until(lambda: len([r for r in front.requests() if r.startswith("POST")]) == 5)
        for request in front.requests():
            version = "HTTP/1.1" if request.startswith("POST") else "HTTP/2"
            assert request.endswith(version), request
    assert sim.counters()["charged"] == 5
