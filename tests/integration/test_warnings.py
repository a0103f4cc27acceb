"""What a configuration allows and is yet unwise, or has no effect, is told: at each start, by -t,
and by each reload."""

import subprocess

import pytest

from lib import libconfig
from lib.build import BUILD, patience
from lib.clients import Client
from lib.gateway import LOOPBACK, STORED_CREDENTIAL, configuration, write_credential
from lib.tls import make_authority

PAST, FUTURE = "2026-01-31", "2999-12-31"
EVERYWHERE = {"address": "0.0.0.0", "port": 0}


@pytest.fixture
def warnings(tmp_path):
    """Checks a configuration that is right, and returns what it is warned of."""

    def run(**settings):
        write_credential(tmp_path, "account", STORED_CREDENTIAL)
        upstream = {"name": "main", "url": "http://127.0.0.1:1", "credential": "account"}
        config = tmp_path / "solvegate.conf"
        settings = {"listen": [LOOPBACK], "durability": "full", **settings}
        config.write_text(libconfig.dumps(configuration(upstreams=[upstream], **settings)))
        done = subprocess.run([BUILD / "solvegate", "-t", "-c", config], capture_output=True,
                              text=True, timeout=patience(10), check=False)
        assert done.returncode == 0, done
        *told, last = done.stderr.splitlines()
        assert last == f"{config}: ok"
        assert all("Z warning " in line for line in told), told
        return [line.split("Z warning ", 1)[1] for line in told]

    return run


SOUND = [
    {},
    {"clients": [Client("ci", expires=FUTURE, sites=["a.example"], daily_limit=5)],
     "sites": ["a.example", {"site": "b.example", "expires": FUTURE}]},
    {"clients": [Client("ci", sites=["a.qa.example", "*.b.example"])],
     "sites": ["*.qa.example", "*.example.com"]},
    {"clients": [Client("ci", rate=5.0, burst=5)], "durability": "none"},
    {"listen": [LOOPBACK, {"address": "::1", "port": 0}]},
]


@pytest.mark.parametrize("settings", SOUND)
def test_of_what_is_sound_nothing_is_told(warnings, settings):
    assert warnings(**settings) == []


# Each configuration, and what stands in the one line about it.
UNWISE = {
    "no site": ({"sites": []}, ["sites.allow is empty", "every job is refused"]),
    "every site": ({"sites": ["*"]}, ['sites.allow has "*"', "every site"]),
    "a top-level domain": ({"sites": ["*.example"]}, ['"*.example"', "top-level domain"]),
    "a site that has expired": (
        {"sites": ["a.example", {"site": "b.example", "expires": PAST}]},
        ["sites.allow", '"b.example" has expired']),
    "a client that has expired": (
        {"clients": [Client("ci", expires=PAST)]}, ['client "ci" has expired', "token"]),
    "a client's site that has expired": (
        {"clients": [Client("ci", sites=["a.example", {"site": "b.example", "expires": PAST}])],
         "sites": ["a.example", "b.example"]},
        ['client "ci"', '"b.example" has expired']),
    "a client's site that the global list lacks": (
        {"clients": [Client("ci", sites=["a.example", "www.b.example"])],
         "sites": ["a.example", "b.example"]},
        ['client "ci"', '"www.b.example"', "does not allow"]),
    "every site of the global list for a client": (
        {"clients": [Client("ci", sites=["*"])]}, ['client "ci"', '"*"']),
    "a limit that a stop forgets": (
        {"clients": [Client("ci", daily_limit=5)], "durability": "none"},
        ['durability is "none"', "daily_limit"]),
    "a monthly limit that a stop forgets": (
        {"clients": [Client("ci", monthly_limit=5)], "durability": "none"},
        ['durability is "none"', "monthly_limit"]),
    "clear text on the network": (
        {"clients": [Client("ci")], "listen": [LOOPBACK, EVERYWHERE]},
        ["listen[1]", "0.0.0.0", "in clear text"]),
}


@pytest.mark.parametrize("what", UNWISE)
def test_what_is_unwise_is_told_in_one_line(warnings, what):
    settings, words = UNWISE[what]
    told = warnings(**settings)
    assert len(told) == 1, told
    assert all(word in told[0] for word in words), told


def test_a_certificate_that_has_expired_is_told(warnings, tmp_path):
    files = make_authority(tmp_path, "expired")
    subprocess.run(["openssl", "x509", "-in", files.certificate, "-signkey", files.key, "-days",
                    "-1", "-out", files.certificate], check=True, capture_output=True, timeout=60)
    files.key.chmod(0o600)
    listener = {**LOOPBACK, "tls": {"certificate": str(files.certificate), "key": str(files.key)}}
    told = warnings(listen=[listener])
    assert len(told) == 1 and "listen[0] has expired" in told[0], told


def test_it_is_told_at_the_start_and_by_a_reload(simulator, gateway):
    house = gateway(simulator(), sites=["*"])
    assert house.log().count('sites.allow has "*"') == 1
    assert house.reload(sites=[]).count("sites.allow is empty") == 1
