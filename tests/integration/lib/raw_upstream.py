"""An upstream of raw sockets, for what no HTTP library would do: a test decides which bytes are
written to a connection, and when.

    def serve(connection):                  # on a thread of its own, for each connection
        while request := connection.read():
            connection.write(answer({"status": "solved", "solution": [1]}))

    with RawUpstream(serve) as upstream:
        house = gateway(upstream=upstream.entry)
"""

import contextlib
import json
import socket
import ssl
import struct
import threading

from .build import patience

BALANCE = {"plan type": "paid", "planlimit": 1000, "status": "active", "used": 1}


def answer(value, status="200 OK", headers=()):
    """A whole response with this object, or these bytes, as its body."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json",
             f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Request:
    def __init__(self, method, target, headers, body):
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body


class RawConnection:
    def __init__(self, upstream, sock, number):
        self.upstream = upstream
        self.number = number  # from 1 on, in the order in which they were accepted
        self.requests = 0  # whose header has been read
        self._sock = sock
        self._buffer = b""

    def _receive(self):
        data = self._sock.recv(65536)
        self._buffer += data
        return bool(data)

    def read_header(self):
        """The next request without its body; None when the gateway has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                return None
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        first, *fields = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, value in
                   (field.split(":", 1) for field in fields)}
        self.requests += 1
        return Request(method, target, headers, None)

    def wait_for_body(self):
        """Waits for the first byte of the body, and reads no more than has come with it."""
        while not self._buffer:
            if not self._receive():
                return

    def read_body(self, request):
        length = int(request.headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not self._receive():
                return None
        request.body, self._buffer = self._buffer[:length], self._buffer[length:]
        return request

    def read(self):
        """The next request that is about a job. The balance is answered on the way."""
        while request := self.read_header():
            if self.read_body(request) is None:
                return None
            if "balance" not in request.target:
                self.upstream.note(self, request)
                return request
            self.write(answer(BALANCE))
        return None

    def write(self, data):
        self._sock.sendall(data)

    def closed_by_gateway(self):
        """Waits until the gateway closes. Returns whether it did."""
        self._sock.settimeout(patience(10.0))
        try:
            return not self._sock.recv(65536)
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def reset(self):
        """Closes by a TCP reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


class RawUpstream:
    """tls is a lib.tls.Certificate of localhost, or None; versions the ssl.TLSVersions allowed."""

    def __init__(self, serve, tls=None, version=None, address="127.0.0.1", port=0, buffer=None):
        self._serve = serve
        self._lock = threading.Lock()
        self._connections = []
        self.log = []  # (number of the connection, method), in order; guarded by _lock
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind((address, port))
        self._listener.listen(256)
        self.port = self._listener.getsockname()[1]
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(tls.certificate, tls.key)
            if version:
                self._context.minimum_version = self._context.maximum_version = version
        scheme, host = ("https", "localhost") if tls else ("http", address)
        self.entry = {"url": f"{scheme}://{host}:{self.port}", "api": 1}

    def __enter__(self):
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(patience(10.0))
        self._listener.close()
        for sock in self._connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def note(self, connection, request):
        with self._lock:
            self.log.append((connection.number, request.method))

    def connections(self):
        return len(self._connections)

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            # A reset would drop what Nagle's algorithm holds back.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(sock)
            threading.Thread(target=self._run, args=(sock, len(self._connections)),
                             daemon=True).start()

    def _run(self, sock, number):
        try:
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._connections[number - 1] = sock
            self._serve(RawConnection(self, sock, number))
        except (OSError, ValueError):
            pass
        with contextlib.suppress(OSError):
            sock.close()
