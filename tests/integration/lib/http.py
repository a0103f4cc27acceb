"""HTTP from the client's side: answers, a blocking request, and raw connections that can be odd.

Every answer that comes through here is searched for the stored canaries, and looked up in
docs/openapi.yaml.
"""

import asyncio
import collections
import contextlib
import http.client
import json
import re
import socket
import ssl
import struct
import urllib.parse

from . import canary, openapi
from .build import patience

TIMEOUT = 30.0


def _object_without_duplicates(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a member stands twice: {names}"
    return dict(pairs)


def _refuse_constant(text):
    raise AssertionError(f"{text} is no JSON")


def parse_json(body):
    """Strict: UTF-8, no NaN, no name twice. For what the gateway wrote."""
    return json.loads(
        body.decode("utf-8"),
        object_pairs_hook=_object_without_duplicates,
        parse_constant=_refuse_constant,
    )


class Answer:
    """A whole answer. headers is a list of pairs, as received."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        canary.assert_absent(body, "the body of an answer")
        canary.assert_absent(repr(headers), "the header of an answer")

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:400]!r}>"

    def header(self, name):
        """The value of a header that stands at most once, or None."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    def object(self):
        """The body as a tool reads it: a JSON object with a string status."""
        content_type = self.header("Content-Type") or ""
        assert content_type.split(";")[0].strip() == "application/json", self
        value = parse_json(self.body)
        assert isinstance(value, dict), self
        assert isinstance(value.get("status"), str), self
        return value


def request(url, method, target, body=None, headers=None, timeout=TIMEOUT):
    """One request on a connection of its own, by http.client. Returns an Answer."""
    with contextlib.closing(open_blocking(url, timeout)) as connection:
        return exchange(connection, method, target, body, headers)


def get_url(url, headers=None):
    """A GET of an address that the gateway gave."""
    parts = urllib.parse.urlsplit(url)
    return request(url, "GET", f"{parts.path}?{parts.query}", None, headers)


class UnixConnection(http.client.HTTPConnection):
    """To a unix socket. Its requests name localhost as the Host, like curl's."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def open_blocking(url, timeout=TIMEOUT):
    """A kept connection for exchange(), to unix:PATH too. TLS certificates are not looked at."""
    if url.startswith("unix:"):
        return UnixConnection(url.removeprefix("unix:"), patience(timeout))
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection(parts.netloc, timeout=patience(timeout), context=context)
    return http.client.HTTPConnection(parts.netloc, timeout=patience(timeout))


def exchange(connection, method, target, body=None, headers=None):
    connection.request(method, target, body, headers or {})
    return read_answer(connection, method, target)


def read_answer(connection, method, target):
    """The answer to what was asked on an http.client connection."""
    response = connection.getresponse()
    answer = Answer(response.status, response.getheaders(), response.read())
    openapi.note(connection.port, method, target, answer)
    return answer


def read_from_socket(sock):
    """Reads one answer with a Content-Length from a socket, with TLS or without, on which no further
    one has come."""
    def receive():
        piece = sock.recv(65536)
        assert piece, f"ended after {header + body!r}"
        return piece

    header, body = b"", b""
    while b"\r\n\r\n" not in header:
        header += receive()
    header, _, body = header.partition(b"\r\n\r\n")
    first, *lines = header.decode("latin-1").split("\r\n")
    fields = [tuple(line.split(": ", 1)) for line in lines]
    length = next(int(value) for name, value in fields if name.lower() == "content-length")
    while len(body) < length:
        body += receive()
    return Answer(int(first.split(" ")[1]), fields, body)


def request_bytes(method, target, host, headers=(), body=None):
    """A request as a plain client writes it. A Host in headers takes the place of host."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("Host", host))
    if body is not None:
        if "content-type" not in names:
            pairs.append(("Content-Type", "application/json"))
        if not names & {"content-length", "transfer-encoding"}:
            pairs.append(("Content-Length", str(len(body))))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in pairs)
    return head.encode("latin-1") + b"\r\n" + (body or b"")


def chunked(body, piece=1000):
    """The body in the chunked coding (RFC 9112, section 7.1)."""
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


class Requests:
    """Which requests stand in the bytes that were sent, for those who want to know what an answer
    is about."""

    def __init__(self):
        self._rest = b""
        self._skip = 0  # bytes of a body that are still to come
        self._in_chunks = False
        self._lines = collections.deque()

    def feed(self, data):
        self._rest += data
        at = 0
        while (after := self._step(at)) is not None:
            at = after
        self._rest = self._rest[at:]

    def take(self):
        """Method and target of the next request, as far as it was sent; None where they are not
        to be read."""
        if self._lines:
            return self._lines.popleft()
        if self._skip or self._in_chunks or b"\r\n" not in self._rest:
            return None, None
        return self._line(self._rest)

    @staticmethod
    def _line(head):
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        return (words[0], words[1]) if len(words) == 3 else (None, None)

    def _step(self, at):
        """Where what stands there ends, or None when more must come."""
        if self._skip:
            skipped = min(self._skip, len(self._rest) - at)
            self._skip -= skipped
            return at + skipped if skipped else None
        end = self._rest.find(b"\r\n" if self._in_chunks else b"\r\n\r\n", at)
        if end < 0:
            return None
        if self._in_chunks:
            size = _number(self._rest[at:end].split(b";")[0], 16)
            self._in_chunks, self._skip = size > 0, size + 2
            return end + 2
        head = self._rest[at:end]
        self._lines.append(self._line(head))
        length = re.search(rb"\r\ncontent-length: *([0-9]+)", head, re.IGNORECASE)
        self._in_chunks = b"\r\ntransfer-encoding: chunked" in head.lower()
        self._skip = _number(length[1], 10) if length and not self._in_chunks else 0
        return end + 4


def _number(digits, base):
    try:
        return int(digits, base)
    except ValueError:
        return 0


class Connection:
    """A TCP connection on which a test writes bytes as it likes. Every read has a time limit."""

    def __init__(self, reader, writer, host, port):
        self.reader = reader
        self.writer = writer
        self.host = host
        self._port = port
        self._requests = Requests()

    @classmethod
    async def open(cls, url):
        parts = urllib.parse.urlsplit(url)
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port, limit=16 * 1024 * 1024
        )
        return cls(reader, writer, parts.netloc, parts.port)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def send(self, data):
        self._requests.feed(data)
        self.writer.write(data)
        await self.writer.drain()

    async def request(self, method, target, headers=(), body=None):
        """Sends a whole request and reads the answer."""
        await self.send(request_bytes(method, target, self.host, headers, body))
        return await self.answer(method)

    async def drip(self, data, pause, piece=1):
        """Sends piece by piece until all is sent or the peer has had enough."""
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(data), piece):
                await self.send(data[at : at + piece])
                await asyncio.sleep(pause)

    async def reset(self):
        """Leaves with a RST instead of a FIN."""
        transport = self.writer.transport
        if not transport.is_closing():  # the peer may have been first
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        await self.close()

    async def close(self):
        self.writer.close()
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), patience(5.0))

    async def head(self, timeout=TIMEOUT):
        """Reads a status line and header fields, of an interim answer too."""
        text = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), patience(timeout))
        status_line, *lines = text.decode("latin-1")[:-4].split("\r\n")
        version, status = status_line.split(" ", 2)[:2]
        assert version == "HTTP/1.1", status_line
        headers = [(n, v.strip()) for n, v in (line.split(":", 1) for line in lines)]
        return int(status), headers

    async def answer(self, method="GET", timeout=TIMEOUT):
        """Reads a final answer; interim ones are left out."""
        status = 100
        while status < 200:
            status, headers = await self.head(timeout)
        body = b"" if method == "HEAD" or status == 204 else await self._body(dict(headers), timeout)
        answer = Answer(status, headers, body)
        openapi.note(self._port, *self._requests.take(), answer)
        return answer

    async def _body(self, headers, timeout):
        fields = {name.lower(): value for name, value in headers.items()}
        if fields.get("transfer-encoding") == "chunked":
            return await self._chunks(timeout)
        if "content-length" in fields:
            length = int(fields["content-length"])
            return await asyncio.wait_for(self.reader.readexactly(length), patience(timeout))
        return await asyncio.wait_for(self.reader.read(), patience(timeout))

    async def _chunks(self, timeout):
        body = b""
        while True:
            line = await asyncio.wait_for(self.reader.readline(), patience(timeout))
            size = int(line.split(b";")[0], 16)
            piece = await asyncio.wait_for(self.reader.readexactly(size + 2), patience(timeout))
            if size == 0:
                return body
            body += piece[:-2]

    async def at_end(self, timeout=TIMEOUT):
        """Waits for the peer to close, and tells whether it did so without a further byte."""
        try:
            return await asyncio.wait_for(self.reader.read(1), patience(timeout)) == b""
        except ConnectionError:
            return True
