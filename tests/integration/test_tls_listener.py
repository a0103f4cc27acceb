"""TLS under libmicrohttpd: bodies and answers of every size, what is held, deadlines, connections
that stop or end at odd moments, and which certificate each of them goes on with."""

import contextlib
import os
import shutil
import socket
import ssl
import urllib.parse

import pytest

from lib import expect, openapi, proc
from lib.build import patience, wait_until
from lib.gateway import LOOPBACK
from lib.http import Answer, Requests, chunked, request_bytes
from lib.job import job
from lib.tls import Certificate, make_certificate

NAMES = "DNS:localhost,IP:127.0.0.1"
NEVER = 60
HEADER_TIMEOUT = 2.0  # in which a handshake must be over
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

TOLD_BEYOND_LIMIT = 256  # so many connections are told that there are too many (server.h)

RECORD_BYTES = 16384  # of plain text, at most (RFC 8446, 5.1)

on_both_versions = pytest.mark.parametrize("version", VERSIONS, ids=["tls1.2", "tls1.3"])


@pytest.fixture(scope="module")
def certificates(authority, tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    return [make_certificate(directory, authority, f"server-{number}", NAMES)
            for number in range(2)]


def install(certificate, directory):
    """Puts a certificate and its key where the listener looks for them."""
    files = Certificate(directory / "listener.pem", directory / "listener.key")
    shutil.copy(certificate.certificate, files.certificate)
    shutil.copy(certificate.key, files.key)
    files.key.chmod(0o600)
    return files


@pytest.fixture
def secure(simulator, gateway, certificates, tmp_path):
    """Starts a gateway with TLS."""

    def start(sim=None, **settings):
        files = install(certificates[0], tmp_path)
        listener = {**LOOPBACK, "tls": {"certificate": str(files.certificate),
                                        "key": str(files.key)}}
        sim = sim or simulator(mode="pro", latency=0)
        return gateway(sim, listen=[listener], **{"workers": 1, **settings})

    return start


def port_of(house):
    return urllib.parse.urlsplit(house.url).port


class Peer:
    """A client whose handshake and records are put on the wire by hand."""

    def __init__(self, house, authority, version=None):
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # an end without close_notify is an error
        if version is not None:
            context.minimum_version = context.maximum_version = version
        self.house = house
        self.socket = socket.create_connection(("127.0.0.1", port_of(house)), patience(20))
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._received = b""
        self._requests = Requests()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _call(self, function, *arguments):
        """Goes on until it needs nothing any more from the other side."""
        while True:
            try:
                result = function(*arguments)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                received = self.socket.recv(65536)
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()

    def flush(self):
        data = self._outgoing.read()
        if data:
            self.socket.sendall(data)

    def hello(self):
        """The first bytes that a client sends, which are not sent here."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    def handshake(self):
        self._call(self.tls.do_handshake)
        return self

    def send(self, data):
        """Encrypts and sends data, in as many records as it takes."""
        self._requests.feed(data)
        while data:
            data = data[self._call(self.tls.write, data):]

    def read(self, size=65536):
        """The next bytes, or b"" at the end, as TLS sees it."""
        return self._call(self.tls.read, size)

    def rest(self):
        """All until the end, which must be one of TLS and not of TCP alone."""
        data = self._received
        while piece := self.read():
            data += piece
        return data

    def answer(self):
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines]
        length = int(dict(headers)["Content-Length"])
        while len(self._received) < length:
            self._more()
        body, self._received = self._received[:length], self._received[length:]
        answer = Answer(int(status_line.split()[1]), headers, body)
        openapi.note(port_of(self.house), *self._requests.take(), answer)
        return answer

    def _more(self):
        piece = self.read()
        assert piece, f"the end came after {self._received!r}"
        self._received += piece

    def request(self, method, target, headers=(), body=None):
        self.send(request_bytes(method, target, self.house.host, headers, body))
        return self.answer()

    def solve(self, task, headers=()):
        return self.request("POST", "/solve", dict(headers), task.body)


def posted(house, task, headers=()):
    return request_bytes("POST", "/solve", house.host, dict(headers), task.body)


# ---- sizes ----


@on_both_versions
def test_bodies_of_every_size_take_turns_on_one_connection(secure, authority, version):
    house = secure()
    sizes = [10, 1_500_000, 1, 12_000, 12_288, 300_000, 5_000_000, 100]
    with Peer(house, authority, version) as peer:
        peer.handshake()
        for seed, size in enumerate(sizes * 2):
            task = job(images=1, size=size, seed=seed)
            expect.solved(peer.solve(task), task)


@on_both_versions
def test_a_body_may_end_anywhere_in_a_record(secure, authority, version):
    """The end of the request, and that of the buffer it is read into, fall on each side of the end
    of a record."""
    house = secure()
    with Peer(house, authority, version) as peer:
        peer.handshake()
        for length in range(RECORD_BYTES - 3, RECORD_BYTES + 4):
            task = job(images=1, seed=length)
            head = len(posted(house, task)) - len(task.body)
            padded = task.with_body(task.body + b" " * (length - head - len(task.body)))
            assert len(posted(house, padded)) - length in (0, 2)  # its own length has more digits
            expect.solved(peer.solve(padded), padded)


@on_both_versions
def test_a_thousand_requests_come_in_one_write(secure, authority, version):
    house = secure()
    with Peer(house, authority, version) as peer:
        peer.handshake()
        asked = request_bytes("GET", "/status?id=h-none", house.host)
        peer.send(asked * 1000)
        for _ in range(1000):
            expect.error(peer.answer(), 404, "unknown_id")


@on_both_versions
def test_a_request_may_come_byte_by_byte_in_records_of_their_own(secure, authority, version):
    house = secure()
    task = job(images=1, size=10)
    with Peer(house, authority, version) as peer:
        peer.handshake()
        for byte in posted(house, task):
            peer.send(bytes([byte]))
        expect.solved(peer.answer(), task)


def test_a_chunked_body_comes_over_tls(secure, authority):
    house = secure()
    task = job(images=3, size=30_000)
    with Peer(house, authority) as peer:
        peer.handshake()
        fields = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        peer.send(request_bytes("POST", "/solve", house.host, fields) + chunked(task.body))
        expect.solved(peer.answer(), task)


# ---- what is held ----


@on_both_versions
def test_what_comes_behind_a_held_request_is_answered_after_it(
    secure, simulator, authority, version
):
    house = secure(simulator(mode="pro", latency=0.05))
    tasks = [job(images=1, size=20_000, seed=seed) for seed in range(6)]
    with Peer(house, authority, version) as peer:
        peer.handshake()
        peer.send(b"".join(posted(house, task, {"Prefer": "wait=20"}) for task in tasks))
        for task in tasks:
            expect.solved(peer.answer(), task)


@on_both_versions
def test_a_held_tool_that_closes_its_sending_side_is_told_its_id(
    secure, simulator, authority, version
):
    house = secure(simulator(mode="pro", latency=NEVER))
    with Peer(house, authority, version) as peer:
        peer.handshake()
        peer.send(posted(house, job(), {"Prefer": "wait=50"}))
        wait_until(lambda: house.sim.counters()["accepted"] == 1)
        peer.socket.shutdown(socket.SHUT_WR)
        expect.pending(peer.answer())


def test_a_stop_answers_what_is_held_and_closes_the_rest(secure, simulator, authority):
    house = secure(simulator(mode="pro", latency=NEVER))
    with Peer(house, authority) as held, Peer(house, authority) as idle, \
            Peer(house, authority) as halted:
        idle.handshake()
        halted.socket.sendall(halted.hello()[:20])
        held.handshake().send(posted(house, job(), {"Prefer": "wait=50"}))
        wait_until(lambda: house.sim.counters()["accepted"] == 1)
        house.stop_well()
        expect.failed(held.answer(), "outcome_unknown")
        assert idle.rest() == b""
        assert halted.socket.recv(100) == b""


# ---- deadlines ----


@on_both_versions
def test_a_header_that_does_not_come_is_answered_over_tls(secure, authority, version):
    house = secure(limits={"header_timeout": HEADER_TIMEOUT})
    with Peer(house, authority, version) as peer:
        peer.handshake().send(b"GET /balance HTTP/1.1\r\nHost: ")
        expect.error(peer.answer(), 408, "request_timeout")
        assert peer.rest() == b""


@on_both_versions
def test_a_body_that_does_not_come_is_answered_over_tls(secure, authority, version):
    house = secure(limits={"body_timeout": 0.3})
    with Peer(house, authority, version) as peer:
        peer.handshake().send(posted(house, job())[:-1])
        expect.error(peer.answer(), 408, "request_timeout")
        assert peer.rest() == b""


def test_a_body_that_goes_on_and_on_is_answered_over_tls(secure, authority):
    """It is cut off as soon as it is too large, past libmicrohttpd."""
    limit = 65536
    house = secure(limits={"body_bytes": limit})
    fields = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    with Peer(house, authority) as peer:
        peer.handshake().send(request_bytes("POST", "/solve", house.host, fields))
        with contextlib.suppress(OSError):
            for _ in range(6):
                peer.send(b"%x\r\n%s\r\n" % (limit, b" " * limit))
        expect.error(peer.answer(), 413, "too_large")


@pytest.mark.parametrize("sent", [0, 3, 60])
def test_a_handshake_has_the_time_of_a_header(secure, authority, sent):
    """Nothing in clear text leaves before it is over."""
    house = secure(limits={"header_timeout": HEADER_TIMEOUT})
    with Peer(house, authority) as peer:
        peer.socket.sendall(peer.hello()[:sent])
        assert peer.socket.recv(100) == b""


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("sent", [3, 60])
def test_a_handshake_that_stops_does_not_keep_the_processor_busy(secure, authority, sent):
    """libmicrohttpd takes it for ready all the time until its deadline."""
    timeout = 2.0
    house = secure(limits={"header_timeout": timeout})
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(house, authority)) for _ in range(20)]
        before = cpu_seconds(house.pid)
        for peer in peers:
            peer.socket.sendall(peer.hello()[:sent])
        for peer in peers:
            assert peer.socket.recv(100) == b""
        assert cpu_seconds(house.pid) - before < timeout / 2


def test_others_are_served_while_handshakes_stand_still(secure, authority):
    house = secure(limits={"header_timeout": 60.0})
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            halted = stack.enter_context(Peer(house, authority))
            halted.socket.sendall(halted.hello()[:60])
        peer = stack.enter_context(Peer(house, authority)).handshake()
        for seed in range(20):
            task = job(images=2, size=100_000, seed=seed)
            expect.solved(peer.solve(task), task)


# ---- certificates ----


def der(certificate):
    return ssl.PEM_cert_to_DER_cert(certificate.certificate.read_text())


@on_both_versions
@pytest.mark.parametrize("sent", [3, 60])
def test_a_handshake_that_has_begun_ends_with_the_certificate_of_before(
    secure, authority, certificates, tmp_path, version, sent
):
    house = secure()
    with Peer(house, authority, version) as early, Peer(house, authority, version) as late:
        hello = early.hello()
        early.socket.sendall(hello[:sent])
        # Read: so the connection is accepted. The other one has sent nothing, and may be or not.
        wait_until(lambda: not any(proc.connections(port_of(house))))
        install(certificates[1], tmp_path)
        for _ in range(3):  # nothing of the first one is kept by the files, or by the last reload
            house.reload()
        early.socket.sendall(hello[sent:])
        early.handshake()
        assert early.tls.getpeercert(binary_form=True) == der(certificates[0])
        task = job()
        expect.solved(early.solve(task), task)
        late.handshake()
        expect.solved(late.solve(task), task)
    with Peer(house, authority, version) as new:
        new.handshake()
        assert new.tls.getpeercert(binary_form=True) == der(certificates[1])


def test_no_key_is_told_by_a_bad_one(secure, certificates, tmp_path):
    """Not even where key and certificate are mixed up."""
    house = secure()
    files = Certificate(tmp_path / "listener.pem", tmp_path / "listener.key")
    shutil.copy(certificates[1].key, files.certificate)
    told = house.hang_up("Z error ")
    assert str(files.certificate) in told
    for line in certificates[1].key.read_text().splitlines():
        assert line not in house.log()


# ---- handshakes that fail ----


def failed_handshakes(house):
    return house.metrics()["solvegate_tls_handshakes_failed_total"]


@on_both_versions
def test_a_tool_that_does_not_trust_the_certificate_has_a_line_and_is_counted(secure, version):
    house = secure(admin=LOOPBACK)
    context = ssl.create_default_context(cafile=None, capath="/nonexistent")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port_of(house)), patience(20)) as plain:
        with pytest.raises(ssl.SSLCertVerificationError):
            context.wrap_socket(plain, server_hostname="localhost")
    wait_until(lambda: failed_handshakes(house) == 1)
    wait_until(lambda: "handshake failed address=127.0.0.1" in house.log())
    assert "may not trust the certificate" in house.log()


def test_plain_http_to_tls_has_a_line_that_names_https(secure):
    house = secure(admin=LOOPBACK)
    with socket.create_connection(("127.0.0.1", port_of(house)), patience(20)) as plain:
        plain.sendall(request_bytes("GET", "/balance", house.host, (), None))
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(1) == b""
    wait_until(lambda: failed_handshakes(house) == 1)
    wait_until(lambda: "handshake failed address=127.0.0.1" in house.log())
    assert "https://" in house.log().partition("handshake failed")[2]


@on_both_versions
def test_a_connection_that_sends_nothing_or_ends_after_its_handshake_has_no_line(
        secure, authority, version):
    house = secure(admin=LOOPBACK)
    with socket.create_connection(("127.0.0.1", port_of(house)), patience(20)) as silent:
        silent.shutdown(socket.SHUT_WR)
        assert silent.recv(1) == b""
    with Peer(house, authority, version) as peer:
        peer.handshake()
    wait_until(lambda: house.metrics()["solvegate_connections"] == 0)
    assert failed_handshakes(house) == 0 and "handshake failed" not in house.log()


def test_a_handshake_that_is_closed_at_once_for_want_of_room_has_no_line(secure, authority):
    house = secure(admin=LOOPBACK, limits={"connections": 1})
    with contextlib.ExitStack() as stack:
        # Quickly: after a second, silent ones make room for others. All are of addresses with fewer
        # connections than that of the last one: otherwise one would end for it.
        for number in range(1 + TOLD_BEYOND_LIMIT):
            source = f"127.0.{number // 250}.{number % 250 + 1}"
            stack.enter_context(socket.create_connection(("127.0.0.1", port_of(house)),
                                                         source_address=(source, 0)))
        wait_until(lambda: house.metrics()["solvegate_connections"] == 1 + TOLD_BEYOND_LIMIT)
        house.freeze()  # so that it finds both, a connection and a greeting
        with Peer(house, authority) as peer:
            peer.socket.sendall(peer.hello())
            house.thaw()
            with contextlib.suppress(ConnectionResetError):
                assert peer.socket.recv(1) == b""
        wait_until(lambda: house.metrics()["solvegate_connections"] == 1 + TOLD_BEYOND_LIMIT)
        assert failed_handshakes(house) == 0
    assert "handshake failed" not in house.log()
