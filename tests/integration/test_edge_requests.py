"""Raw requests, well-formed and malformed: each gets the response that is expected, in JSON, and
nothing after a rejected request is ever served."""

import contextlib
import os
import random
import socket
import ssl
import time
import urllib.parse

import pytest

from lib import expect, proc, raw_requests
from lib.build import patience
from lib.gateway import LOOPBACK
from lib.http import Answer
from lib.tls import make_certificate

ROWS = raw_requests.rows()
MUCH_BEHIND = list(raw_requests.with_much_behind())

CLOSING = {400, 413, 414, 431, 505}  # the connection ends with these
CODES = {413: "too_large", 414: "target_too_long", 431: "header_too_large",
         403: ("site_not_allowed", "forbidden_host"), 404: ("unknown_id", "not_found"),
         405: "method_not_allowed"}

# What is sent behind each request. It would get 200; on the sockets of operators, too.
CANARY = b"GET {CANARY} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_there_are_enough_rows():
    assert len(ROWS) >= 150
    assert len({name for name, _, _ in ROWS}) == len(ROWS)


class Listener:
    """Where rows are sent to."""

    def __init__(self, scheme, host, canary, connect):
        self.scheme = scheme
        self.host = host
        self.canary = canary
        self.connect = connect

    def bytes_of(self, text):
        for name, value in [(b"{HOST}", self.host), (b"{SCHEME}", self.scheme),
                            (b"{UPPER_SCHEME}", self.scheme.upper()), (b"{CANARY}", self.canary)]:
            text = text.replace(name, value.encode())
        return text


def over_tcp(url, canary, context=None):
    parts = urllib.parse.urlsplit(url)

    def connect():
        plain = socket.create_connection((parts.hostname, parts.port), patience(10))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname=parts.hostname) if context else plain

    return Listener(parts.scheme, parts.netloc, canary, connect)


def over_unix(path, canary):
    def connect():
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(patience(10))
        one.connect(str(path))
        return one

    return Listener("http", "localhost", canary, connect)


@pytest.fixture(scope="module")
def listeners(shared_simulator, shared_gateway, authority, tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    certificate = make_certificate(directory, authority, "server", "DNS:localhost,IP:127.0.0.1")
    secure = {**LOOPBACK, "tls": {"certificate": str(certificate.certificate),
                                  "key": str(certificate.key)}}
    house = shared_gateway(shared_simulator(mode="pro", latency=0), listen=[LOOPBACK, secure],
                           admin=LOOPBACK, sites=["allowed.example"])
    context = ssl.create_default_context(cafile=str(authority.certificate))
    return {
        "plain": over_tcp(house.urls[0], "/usage"),
        "tls": over_tcp(house.urls[1], "/usage", context),
        "admin": over_tcp(house.admin_url, "/healthz"),
        "unix": over_unix(house.socket, "/healthz"),
    }


def send(connection, pieces):
    """The gateway may have closed before it has everything."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        for piece in pieces:
            connection.sendall(piece)
            if len(pieces) > 1:
                time.sleep(0.002)  # so that they come one by one


def receive_all(connection):
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def split_responses(text):
    """The responses of a connection that has ended."""
    responses = []
    while text:
        head, _, rest = text.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        if status_line.split()[1] == "100":
            text = rest
            continue
        fields = [tuple(line.split(": ", 1)) for line in lines]
        length = int(dict(fields)["Content-Length"])
        responses.append(Answer(int(status_line.split()[1]), fields, rest[:length]))
        assert len(rest) >= length, text
        text = rest[length:]
    return responses


def exchange(listener, text, cut=()):
    """Sends a request with a canary behind it, in pieces; returns all responses."""
    whole = listener.bytes_of(text) + listener.bytes_of(CANARY)
    ends = [*sorted(cut), len(whole)]
    pieces = [whole[begin:end] for begin, end in zip([0, *ends], ends)]
    with contextlib.closing(listener.connect()) as connection:
        send(connection, pieces)
        return split_responses(receive_all(connection))


def check(listener, row, cut=()):
    name, text, expected = row
    status, last = (int(expected.split()[0]), True) if isinstance(expected, str) else \
                   (expected, expected in CLOSING)
    responses = exchange(listener, text, cut)
    assert [r.status for r in responses] == ([status] if last else [status, 200]), (name, responses)
    expect.error(responses[0], status, CODES.get(status, "bad_request"))
    if last:
        assert responses[0].header("Connection").lower() == "close", responses
    return responses


@pytest.mark.parametrize("where", ["plain", "tls"])
@pytest.mark.parametrize("row", ROWS, ids=[name for name, _, _ in ROWS])
def test_a_raw_request_and_what_follows_it(listeners, where, row):
    check(listeners[where], row)


def rows_of_framing():
    """Those whose response does not depend on what the listener is for."""
    return [row for row in ROWS if row[2] in CLOSING - {413} and b"POST" not in row[1]]


@pytest.mark.parametrize("where", ["admin", "unix"])
def test_raw_requests_to_operators(listeners, where):
    for row in rows_of_framing()[::3]:
        check(listeners[where], row)


@pytest.mark.parametrize("where", ["plain", "tls"])
def test_a_request_that_comes_in_pieces_is_the_same(listeners, where):
    chance = random.Random(11)
    rows = [row for row in ROWS if len(row[1]) < 2000]
    for row in chance.sample(rows, 60):
        size = len(listeners[where].bytes_of(row[1]))
        check(listeners[where], row, chance.sample(range(1, size), 3))


@pytest.mark.parametrize("where", ["plain", "tls"])
def test_a_request_byte_by_byte(listeners, where):
    """Of a chunk's extension, white space and blank lines nothing is passed on: reads of it leave
    nothing."""
    extended = raw_requests.WHOLE.replace(b"\r\n", b";name=value\r\n", 1)
    for row in [("well-formed", raw_requests.get(), 404),
                ("malformed", raw_requests.get(fields=b": x\r\n"), 400),
                ("a chunked body", raw_requests.chunked(raw_requests.WHOLE), 403),
                ("a chunk extension", raw_requests.chunked(extended), 403),
                ("white space", raw_requests.get(host=b"Host: {HOST} \t\r\n"), 404),
                ("a blank line", b"\r\n\r\n" + raw_requests.get(), 404)]:
        size = len(listeners[where].bytes_of(row[1]))
        check(listeners[where], row, range(1, size))


@pytest.mark.parametrize("where", ["plain", "tls"])
@pytest.mark.parametrize("row", MUCH_BEHIND, ids=[name for name, _, _ in MUCH_BEHIND])
def test_what_comes_with_a_header_takes_no_memory_from_it(listeners, where, row):
    """Nothing is answered by libmicrohttpd, nor closed without an answer."""
    _, text, statuses = row
    responses = exchange(listeners[where], text)
    assert [r.status for r in responses] == [*statuses, 200]
    for response in responses:
        response.object()


def test_a_body_behind_a_large_header_is_read_in_large_pieces(shared_simulator, shared_gateway):
    """A buffer that the header has nearly filled would leave a few bytes for each read. These
    bodies took 24 s of the processor then, and take a twentieth of a second now."""
    house = shared_gateway(shared_simulator(mode="pro", latency=0), name="pieces", workers=1)
    listener, before = over_tcp(house.url, "/usage"), proc.cpu_seconds(house.pid)
    for size in range(8189, 8193):
        header = raw_requests.post(body=b"", length=b"Content-Length: 6000000\r\nX: \r\n")
        missing = size - len(listener.bytes_of(header))
        text = header.replace(b"X: ", b"X: " + b"x" * missing) + b" " * 6000000
        expect.error(exchange(listener, text)[0], 400, "bad_job")
    assert proc.cpu_seconds(house.pid) - before < patience(2.0)


@pytest.mark.parametrize("where", ["plain", "tls"])
def test_a_malformed_request_behind_a_good_one_ends_the_connection(listeners, where):
    good = raw_requests.get()
    for bad in [raw_requests.get(fields=b": x\r\n"), b"hello\r\n\r\n", b"\x00"]:
        for before in (1, 3):
            responses = exchange(listeners[where], good * before + bad)
            assert [r.status for r in responses[:before]] == [404] * before
            assert [r.status for r in responses[before:]] in ([], [400]), responses


@pytest.mark.parametrize("text, status, said", [
    (b"GET / HTTP/1.1\n", 400, "a line ends with CR LF; there is a CR or an LF alone"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "the HTTP version is not supported; use HTTP/1.1"),
    (b"OPTIONS * HTTP/1.1\r\n", 400,
     "the target is not a path that begins with /, nor http://HOST/PATH"),
    (b"GET /\r\n", 400, "the request line does not end with one space and HTTP/1.1"),
])
def test_a_request_line_is_refused_for_what_is_wrong_with_it(listeners, text, status, said):
    (response,) = exchange(listeners["plain"], text)
    assert expect.error(response, status, "bad_request")["message"] == said


def test_headers_around_the_limits_are_served_or_refused_in_json(listeners):
    """libmicrohttpd has memory for whatever passes the check."""
    chance = random.Random(11)
    for _ in range(300):
        count = chance.randrange(0, 100)
        room = 12000 - 64 * count if chance.random() < 0.5 else 8000
        size = min(8100, max(0, room)) // max(1, count)
        fields = b"".join(b"A%d: " % i + b"x" * max(0, size - 8) + b"\r\n" for i in range(count))
        query = b"&a=b" * chance.randrange(0, 64)
        cookie = b"Cookie: " + b"a=b;" * chance.randrange(0, 40) + b"\r\n"
        responses = exchange(listeners["plain"],
                             raw_requests.get(raw_requests.STATUS + query, fields=fields + cookie))
        assert responses[0].status in (404, 414, 431), responses
        assert len(responses) == (2 if responses[0].status == 404 else 1)
        expect.error(responses[0], responses[0].status, CODES[responses[0].status])


# ---- at random ----

PIECES = [b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\t", b": ", b"%00", b"%", b"\xff", b"&", b"?",
          b"Host: a\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
          b"0\r\n\r\n", b"GET / HTTP/1.1\r\n", b"Cookie: a=b;c\r\n", b"Expect: 100-continue\r\n",
          b"Connection: close\r\n"]

MUTANTS = 100000 if os.environ.get("SOLVEGATE_LONG") else 1500


def mutated(chance, text):
    """A few bytes put in, replaced or taken out."""
    text = bytearray(text)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text))
        kind = chance.randrange(4)
        if kind < 2:
            text[at:at] = chance.choice(PIECES)
        elif kind == 2:
            text[at] = chance.randrange(256)
        else:
            del text[at:at + chance.randrange(1, 5)]
    return bytes(text)


def test_mutated_requests_are_answered_in_json_or_served(shared_simulator, shared_gateway):
    """Whatever is malformed is the last thing on its connection that has a response."""
    house = shared_gateway(shared_simulator(mode="pro", latency=0), name="mutants",
                           limits={"header_timeout": 0.3, "body_timeout": 0.3})
    listener, chance = over_tcp(house.url, "/usage"), random.Random(11)
    texts = [text for _, text, _ in ROWS if len(text) < 3000 and not text.startswith(b"HEAD")]
    for _ in range(MUTANTS):
        text = mutated(chance, listener.bytes_of(chance.choice(texts)))
        cut = [chance.randrange(1, len(text))] if chance.random() < 0.1 else []
        responses = exchange(listener, text, cut)
        assert responses, text
        for number, response in enumerate(responses):
            response.object()
            if response.status in CLOSING and response.header("Connection") == "close":
                assert number == len(responses) - 1, (text, responses)
