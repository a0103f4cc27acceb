"""A front end before a simulator that speaks TLS, HTTP/2 and HTTP/1.1, and breaks HTTP/2 when a test says
so: it writes frames that no request has asked for, and ends streams and connections.

    with Http2Front(sim, certificate, "refused") as front:
        house = gateway(sim, upstream={"url": front.url, "ca": …})

What comes by HTTP/1.1 goes to the simulator as it is. Of the polls that come by HTTP/2, each fourth
one is answered as KINDS says.
"""

import contextlib
import http.client
import select
import socket
import ssl
import struct
import threading
import urllib.parse

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import hyperframe.frame as frames

from .build import patience, wait_until

STRAY = b'{"status":"solved","solution":[9]}'
STRIKE = 4  # each so many polls one is answered by the kind
FAR = 1000  # streams ahead: the client never opens so many

LOOK_S = 0.005


class Http2Front:
    def __init__(self, sim, certificate, kind=None):
        self.sim_address = _address(sim.url)
        self.kind = KINDS[kind] if kind else None
        self.polls = 0  # that came by HTTP/2
        self.struck = 0  # those among them that were answered by the kind
        self.orders = 0  # of write_on_idle()
        self.idle_written = 0
        self.connections = []  # all by HTTP/2 that are open
        self.lock = threading.Lock()  # guards the counts and the list
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._context.set_alpn_protocols(["h2", "http/1.1"])
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._stopping = False

    def __enter__(self):
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(patience(10))
        self._listener.close()

    def write_on_idle(self):
        """Writes a response on the stream that the client opens next, on each connection by HTTP/2,
        of which none may be in use."""
        with self.lock:
            waiting = list(self.connections)
            self.orders += 1
        wait_until(lambda: all(c.orders == self.orders or c.closed for c in waiting), 20.0,
                   "the responses are written", 0.005)

    def _accept(self):
        while not self._stopping:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        with contextlib.suppress(OSError), raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._context.wrap_socket(raw, server_side=True) as sock:
                if sock.selected_alpn_protocol() == "h2":
                    _Connection(self, sock).serve()
                else:
                    self._relay(sock)

    def _relay(self, sock):
        """Passes bytes in both directions until one side ends."""
        with socket.create_connection(self.sim_address) as behind:
            while True:
                readable = [sock] if sock.pending() else select.select([sock, behind], [], [])[0]
                for source in readable:
                    data = source.recv(65536)
                    if not data:
                        return
                    (behind if source is sock else sock).sendall(data)


class _Connection:
    """One connection by HTTP/2, on its own thread."""

    def __init__(self, front, sock):
        self.front = front
        self.sock = sock
        self.orders = front.orders
        self.closed = False
        self.last_id = 1
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)

    def serve(self):
        with self.front.lock:
            self.front.connections.append(self)
        try:
            self.h2.initiate_connection()
            self.flush()
            while not self.closed:
                self._turn()
        except (OSError, h2.exceptions.ProtocolError, http.client.HTTPException):
            pass  # the client has left, or there is no answer
        finally:
            self.closed = True
            with self.front.lock:
                self.front.connections.remove(self)

    def _turn(self):
        if self.sock.pending() or select.select([self.sock], [], [], LOOK_S)[0]:
            data = self.sock.recv(65536)
            if not data:
                self.closed = True
                return
            events = self.h2.receive_data(data)
            self.flush()
            for event in events:
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.closed = True
                elif isinstance(event, h2.events.RequestReceived) and not self.closed:
                    self._answer(event.stream_id, dict(event.headers))
        elif self.orders != self.front.orders:
            self.write_response(self.last_id + 2)
            with self.front.lock:
                self.front.idle_written += 1
            self.orders = self.front.orders

    def _answer(self, stream_id, fields):
        self.last_id = stream_id
        front = self.front
        if front.kind and "/status" in fields[":path"]:
            with front.lock:
                front.polls += 1
                strikes = front.polls % STRIKE == 0
                front.struck += strikes
            if strikes:
                front.kind(self, stream_id, fields)
                return
        elif "/status" in fields[":path"]:
            with front.lock:
                front.polls += 1
        self.respond(stream_id, fields)

    def respond(self, stream_id, fields):
        """The simulator's answer, on a connection that nothing else was written to."""
        kept = {n: v for n, v in fields.items() if not n.startswith(":")}
        behind = http.client.HTTPConnection(*self.front.sim_address, timeout=patience(30))
        with contextlib.closing(behind):
            behind.request(fields[":method"], fields[":path"], headers=kept)
            response = behind.getresponse()
            status, body = response.status, response.read()
        self.h2.send_headers(stream_id, [(":status", str(status)),
                                         ("content-type", "application/json"),
                                         ("content-length", str(len(body)))])
        self.h2.send_data(stream_id, body, end_stream=True)
        self.flush()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def write_frames(self, *several):
        self.sock.sendall(b"".join(frame.serialize() for frame in several))

    def write_response(self, stream_id):
        """A whole response, past the state of the connection."""
        fields = self.h2.encoder.encode([(":status", "200"), ("content-type", "application/json")])
        self.write_frames(
            frames.HeadersFrame(stream_id, fields, flags=["END_HEADERS"]),
            frames.DataFrame(stream_id, STRAY, flags=["END_STREAM"]))

    def end(self):
        self.closed = True
        with contextlib.suppress(OSError):
            self.sock.unwrap()


# ---- kinds ----


def _twice(connection, stream_id, fields):
    connection.respond(stream_id, fields)
    connection.write_response(stream_id)


def _odd(connection, stream_id, fields):
    connection.respond(stream_id, fields)
    connection.write_response(stream_id + 2 * FAR)


def _even(connection, stream_id, fields):
    connection.respond(stream_id, fields)
    connection.write_response(2)


def _no_error(connection, stream_id, fields):
    connection.respond(stream_id, fields)
    connection.write_frames(frames.RstStreamFrame(stream_id, h2.errors.ErrorCodes.NO_ERROR))


def _refused(connection, stream_id, _):
    connection.h2.reset_stream(stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
    connection.flush()


def _goaway(connection, stream_id, _):
    connection.write_frames(frames.GoAwayFrame(0, max(stream_id - 2, 0)))
    connection.end()


def _reset(connection, stream_id, fields):
    connection.respond(stream_id, fields)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.closed = True


KINDS = {
    "a second response on a stream that has ended": _twice,
    "a response on an odd stream that was never opened": _odd,
    "a response on an even stream that was never opened": _even,
    "RST_STREAM(NO_ERROR) after the response": _no_error,
    "RST_STREAM(REFUSED_STREAM) in place of a response": _refused,
    "GOAWAY below the stream": _goaway,
    "a TCP reset after the response": _reset,
}


def _address(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port
