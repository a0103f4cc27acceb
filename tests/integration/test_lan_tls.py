"""TLS at the door to the network, seen by real clients: what is spoken and what is refused, and a
certificate that is replaced while much goes on. What a single connection needs of it is in
test_tls_listener.py."""

import contextlib
import http.client
import itertools
import json
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.parse

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import TIMEOUT, read_answer, request
from lib.job import job
from lib.network import own_address
from lib.once import CHECK, run_once
from lib.tls import Certificate, make_certificate

CI = Client("ci")
ERROR = r"Z error [^\n]*\n"
OWN = own_address()
NAMES = "DNS:localhost,DNS:gate.example.net,IP:127.0.0.1" + (f",IP:{OWN}" if OWN else "")


@pytest.fixture(scope="module")
def certificates(authority, tmp_path_factory):
    """Three of one authority, each with a key of its own."""
    return [make_certificate(tmp_path_factory.mktemp("certificate"), authority, f"server-{number}",
                             NAMES) for number in range(3)]


def install(certificate, directory):
    """Puts a certificate where a listener looks for it, over the one before."""
    files = Certificate(directory / "server.pem", directory / "server.key")
    for source, target in ((certificate.key, files.key),
                           (certificate.certificate, files.certificate)):
        fresh = target.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(source.read_bytes())
        fresh.replace(target)
    return files


def with_tls(files, address="127.0.0.1"):
    return {"address": address, "port": 0,
            "tls": {"certificate": str(files.certificate), "key": str(files.key)}}


def test_with_tls_or_on_loopback_it_does_not_warn(simulator, gateway, certificates, tmp_path):
    files = install(certificates[0], tmp_path)
    house = gateway(simulator(), listen=[with_tls(files, "0.0.0.0"), LOOPBACK], clients=[CI])
    assert "in clear text" not in house.log()


def trusting(authority, version=None):
    """What a careful client is set up with: it checks the chain and the name."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


@pytest.fixture
def files(tmp_path, certificates):
    """What the listener is told to use; at first the first of the certificates."""
    directory = tmp_path / "tls"
    directory.mkdir()
    return install(certificates[0], directory)


@pytest.fixture
def secure(simulator, gateway, files):
    return gateway(simulator(mode="pro", latency=0.01), clients=[CI], listen=[with_tls(files)],
                   upstream={"max_in_flight": 50}, workers=2)


def port_of(house):
    return urllib.parse.urlsplit(house.url).port


def open_tls(house, context, host="localhost"):
    """A connection on which a handshake has been made."""
    plain = socket.create_connection(("127.0.0.1", port_of(house)), patience(TIMEOUT))
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def shown(house, context):
    """The certificate that a new handshake is shown, as bytes."""
    with contextlib.closing(open_tls(house, context)) as line:
        return line.getpeercert(binary_form=True)


def der(certificate):
    return ssl.PEM_cert_to_DER_cert(certificate.certificate.read_text())


class Line:
    """A kept connection over TLS, spoken to by hand."""

    def __init__(self, house, context, host="localhost"):
        self._socket = open_tls(house, context, host)
        self._host = f"{host}:{port_of(house)}"
        self.certificate = self._socket.getpeercert(binary_form=True)
        self.version = self._socket.version()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def ask(self, method, target, body=None, **headers):
        connection = http.client.HTTPConnection(self._host)
        connection.sock = self._socket
        connection.request(method, target, body, {**CI.headers, **headers})
        return read_answer(connection, method, target)

    def solve(self, task, **headers):
        fields = {"Content-Type": "application/json", **headers}
        return self.ask("POST", "/solve", task.body, **fields)


VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
OLD_VERSIONS = {"TLSv1": ssl.TLSVersion.TLSv1, "TLSv1.1": ssl.TLSVersion.TLSv1_1}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_job_goes_over_tls(secure, authority, version):
    assert secure.url.startswith("https://127.0.0.1:")
    for host in ("localhost", "127.0.0.1"):
        with Line(secure, trusting(authority, VERSIONS[version]), host) as line:
            assert line.version == version
            task = job(seed=host, size=50_000)
            body = expect.solved(line.solve(task), task)
            assert body["url"].startswith(f"https://{host}:{port_of(secure)}/")
            expect.solved(line.ask("GET", body["url"].split(str(port_of(secure)), 1)[1]), task)


def old_client(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


def meet(client, server):
    """A handshake in memory. Returns the version that was agreed on."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near, far, near):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return near.version()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_old_versions_of_tls_are_refused(secure, certificates, version):
    client = old_client(OLD_VERSIONS[version])
    tolerant = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tolerant.load_cert_chain(certificates[0].certificate, certificates[0].key)
    tolerant.set_ciphers("ALL:@SECLEVEL=0")
    tolerant.minimum_version = ssl.TLSVersion.TLSv1
    assert meet(client, tolerant) == version, "this client does not speak the old version at all"
    with pytest.raises(ssl.SSLError):
        open_tls(secure, client)
    assert request(secure.url, "GET", "/usage", None, CI.headers).status == 200


def s_client(house, *options):
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port_of(house)}", "-servername",
         "localhost", *map(str, options)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=patience(20), check=False)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_agrees_with_the_certificate(secure, authority, version):
    done = s_client(secure, version, "-CAfile", authority.certificate, "-verify_return_error",
                    "-verify_hostname", "gate.example.net")
    assert done.returncode == 0 and "Verify return code: 0 (ok)" in done.stdout, done


@pytest.fixture(scope="module")
def classic(tmp_path_factory):
    """A certificate of the old kind, with which a client could do without forward secrecy."""
    directory = tmp_path_factory.mktemp("classic")
    pair = Certificate(directory / "rsa.pem", directory / "rsa.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", pair.key, "-out", pair.certificate],
                   check=True, capture_output=True, timeout=60)
    return pair


STRONG = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
          "ECDHE-RSA-CHACHA20-POLY1305"]
WEAK = {
    "TLS 1.0": ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
    "TLS 1.1": ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    "no forward secrecy": ["-tls1_2", "-cipher", "kRSA"],
    "CBC": ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA"],
    "no encryption": ["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"],
    "no certificate": ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"],
}


def test_openssl_is_refused_what_is_weak(simulator, gateway, classic):
    """The connection is closed after its first message; what is strong goes through."""
    house = gateway(simulator(), clients=[CI], listen=[with_tls(classic)])
    for what, options in WEAK.items():
        done = s_client(house, *options)
        assert "CONNECTED" in done.stdout and "Cipher is (NONE)" in done.stdout, (what, done)
        assert "alert" in done.stderr or "unexpected eof" in done.stderr, (what, done)
    for cipher in STRONG:
        done = s_client(house, "-tls1_2", "-cipher", cipher)
        assert f"Cipher is {cipher}" in done.stdout, done


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_posts_a_job_and_follows_its_url(secure, authority, version, tmp_path):
    def curl(*arguments):
        done = subprocess.run(
            ["curl", "-sS", "--cacert", authority.certificate, "--tlsv" + version, "--tls-max",
             version, "--noproxy", "*", "-H", f"apikey: {CI.token}", *arguments],
            capture_output=True, timeout=patience(30), check=True)
        return json.loads(done.stdout)

    task = job(size=100_000)
    body = tmp_path / "job.json"
    body.write_bytes(task.body)
    answer = curl("-H", "Content-Type: application/json", "--data-binary", f"@{body}",
                  f"https://localhost:{port_of(secure)}/api/solve")
    assert (answer["status"], answer["solution"]) == ("solved", task.solution)
    assert answer["url"].startswith(f"https://localhost:{port_of(secure)}/")
    assert curl(answer["url"])["sim_digest"] == task.digest


def test_plain_http_gets_nothing_from_a_tls_listener(secure, authority):
    before = secure.sim.settled_counters()
    with socket.create_connection(("127.0.0.1", port_of(secure)), patience(10)) as plain:
        plain.sendall(b"GET /usage HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = b""
        with contextlib.suppress(ConnectionError):
            while piece := plain.recv(4096):
                said += piece
    assert b"HTTP/" not in said
    assert secure.sim.counters() == before
    with Line(secure, trusting(authority)) as line:
        assert line.ask("GET", "/usage").status == 200


def test_both_kinds_of_listeners_share_the_jobs(simulator, gateway, files, authority):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI],
                    listen=[with_tls(files), LOOPBACK])
    assert [url.split(":")[0] for url in house.urls] == ["https", "http"]
    task = job()
    fields = {**CI.headers, "Content-Type": "application/json"}
    plain = expect.solved(request(house.urls[1], "POST", "/solve", task.body, fields), task)
    assert plain["url"].startswith(house.urls[1])
    with Line(house, trusting(authority)) as line:
        body = expect.solved(line.ask("GET", f"/status?id={plain['id']}"), task)
        assert body["url"].startswith(f"https://localhost:{port_of(house)}/")


@pytest.mark.skipif(OWN is None, reason="this machine has loopback alone")
def test_tls_on_every_address(simulator, gateway, files, authority):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI],
                    listen=[with_tls(files, "0.0.0.0")])
    context = trusting(authority)
    for host in ("127.0.0.1", OWN):
        with socket.create_connection((host, port_of(house)), patience(10)) as plain:
            with context.wrap_socket(plain, server_hostname=host) as line:
                assert line.getpeercert(binary_form=True) == der(files)


# ---- certificates that cannot be used ----


def spoil_key_of_another(files, certificates):
    files.key.write_bytes(certificates[1].key.read_bytes())


def spoil_no_key(files, certificates):
    files.key.unlink()


def spoil_no_certificate(files, certificates):
    files.certificate.unlink()


def spoil_garbage_certificate(files, certificates):
    files.certificate.write_text(
        "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n")


def spoil_empty_key(files, certificates):
    files.key.write_text("")


def spoil_readable_key(files, certificates):
    files.key.chmod(0o644)


def spoil_swapped(files, certificates):
    certificate, key = files.certificate.read_bytes(), files.key.read_bytes()
    files.certificate.write_bytes(key)
    files.key.write_bytes(certificate)


SPOILT = [spoil_key_of_another, spoil_no_key, spoil_no_certificate, spoil_garbage_certificate,
          spoil_empty_key, spoil_readable_key, spoil_swapped]


def key_lines(certificates):
    """What must never be quoted."""
    return [line for certificate in certificates
            for line in certificate.key.read_text().splitlines() if "-----" not in line]


@pytest.mark.parametrize("options", [(), CHECK], ids=["start", "check"])
@pytest.mark.parametrize("spoil", SPOILT)
def test_it_does_not_start_with_a_spoilt_certificate(tmp_path, files, certificates, spoil, options):
    spoil(files, certificates)
    done = run_once(tmp_path, *options, listen=[with_tls(files)], clients=[CI])
    assert done.returncode == 2, done
    problem = [line for line in done.stderr.splitlines() if str(files.key.parent) in line]
    assert len(problem) == 1, done.stderr
    assert not any(line in done.stderr for line in key_lines(certificates))
    assert "ready" not in done.stderr


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_reload_with_a_spoilt_certificate_keeps_the_old_one(
    secure, files, certificates, authority, spoil
):
    context = trusting(authority)
    install(certificates[1], files.key.parent)
    spoil(files, [certificates[1], certificates[2]])
    secure.configure(clients=[CI, Client("new")])
    told = secure.hang_up(ERROR)
    assert told.count("Z error ") == 1 and "Z info reloaded" not in told, told
    assert str(files.key.parent) in told, told
    assert not any(line in told for line in key_lines(certificates))
    assert shown(secure, context) == der(certificates[0])
    expect.error(request(secure.url, "GET", "/usage", None, Client("new").headers), 401,
                 "unauthorized")
    install(certificates[2], files.key.parent)
    secure.hang_up("reloaded ")
    assert shown(secure, context) == der(certificates[2])


# ---- a certificate that is replaced ----


def test_a_new_certificate_is_shown_after_a_reload_and_not_before(
    secure, files, certificates, authority
):
    context = trusting(authority)
    for certificate in (certificates[1], certificates[0], certificates[2]):
        old = shown(secure, context)
        install(certificate, files.key.parent)
        assert shown(secure, context) == old != der(certificate)
        told = secure.hang_up("reloaded ")
        assert "info new certificate: 127.0.0.1:0\n" in told and "restart" not in told, told
        for _ in range(10):  # whichever worker takes it
            assert shown(secure, context) == der(certificate)
    told = secure.hang_up("reloaded ")
    assert "new certificate" not in told, told


def test_a_new_path_of_the_certificate_takes_effect(secure, certificates, authority):
    port = port_of(secure)
    told = secure.reload(listen=[with_tls(certificates[2])])
    assert "restart" not in told, told
    assert shown(secure, trusting(authority)) == der(certificates[2])
    assert port_of(secure) == port


def test_tls_that_comes_or_goes_takes_a_restart(secure, authority, files, certificates):
    told = secure.reload(listen=[LOOPBACK])
    assert "restart" in told and "listen[0]" in told, told
    assert shown(secure, trusting(authority)) == der(certificates[0])


def test_a_connection_outlives_the_certificate_that_it_began_with(
    secure, files, certificates, authority
):
    context = trusting(authority)
    lines = [Line(secure, trusting(authority, version)) for version in VERSIONS.values()]
    for number in (1, 2, 1):
        install(certificates[number], files.key.parent)
        secure.hang_up("reloaded ")
        for line in lines:
            task = job(seed=f"{number}{line.version}")
            expect.solved(line.solve(task), task)
            assert line.certificate == der(certificates[0])
        assert shown(secure, context) == der(certificates[number])
    for line in lines:
        line.__exit__()


class Visitors:
    """Threads that go on asking over TLS: half of them keep their connection, half make a new one
    each time. Every certificate must be one of those that there are."""

    def __init__(self, house, context, known, count=8):
        self.house = house
        self.context = context
        self.known = known
        self.seen = set()
        self.failures = []
        self.rounds = [0] * count
        self._stopping = threading.Event()
        self._seeds = itertools.count()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def more(self, times=2):
        """Waits until each has asked so often again."""
        before = list(self.rounds)
        wait_until(lambda: self.failures or all(
            now >= then + times for now, then in zip(self.rounds, before)), 30.0, "all have asked")
        assert not self.failures, self.failures

    def _work(self, number):
        keep = number % 2
        try:
            while not self._stopping.is_set():
                with Line(self.house, self.context) as line:
                    self.seen.add(line.certificate)
                    assert line.certificate in self.known
                    self._ask(line, number)
                    while keep and not self._stopping.is_set():
                        self._ask(line, number)
        except Exception as error:  # the thread's end is told by the test
            self.failures.append(f"visitor {number}: {error!r}")

    def _ask(self, line, number):
        task = job(images=2, size=10_000, seed=next(self._seeds))
        expect.solved(line.solve(task, Prefer="wait=20"), task)
        self.rounds[number] += 1


def test_a_certificate_is_replaced_under_load_without_a_failed_request(
    secure, files, certificates, authority
):
    context = trusting(authority)
    known = {der(certificate): number for number, certificate in enumerate(certificates)}
    with Visitors(secure, context, known) as visitors:
        visitors.more()
        for round_number in range(12):
            number = (round_number + 1) % len(certificates)
            install(certificates[number], files.key.parent)
            secure.hang_up("reloaded ")
            assert known[shown(secure, context)] == number
            visitors.more()
    assert not visitors.failures, visitors.failures
    assert visitors.seen == set(known)


def test_what_is_held_over_tls_is_answered_after_a_reload(secure, files, certificates, authority):
    secure.sim.fault("solve:slow=1*1")
    task = job()
    results = []
    with Line(secure, trusting(authority)) as line:
        asking = threading.Thread(
            target=lambda: results.append(line.solve(task, Prefer="wait=30")))
        asking.start()
        wait_until(lambda: secure.sim.counters()["accepted"] == 1)
        install(certificates[1], files.key.parent)
        secure.hang_up("reloaded ")
        asking.join()
    expect.solved(results[0], task)


def test_a_revoked_token_over_tls_is_answered_at_once(simulator, gateway, files, authority):
    house = gateway(simulator(mode="pro", latency=3600), clients=[CI], listen=[with_tls(files)],
                    limits={"job_deadline": 3600.0})
    results = []
    with Line(house, trusting(authority)) as line:
        asking = threading.Thread(
            target=lambda: results.append(line.solve(job(), Prefer="wait=3000")))
        asking.start()
        wait_until(lambda: house.sim.counters()["accepted"] == 1)
        house.reload(clients=[Client("other")])
        asking.join(patience(20))
        assert not asking.is_alive(), "the held request was not answered"
    expect.error(results[0], 401, "unauthorized")
