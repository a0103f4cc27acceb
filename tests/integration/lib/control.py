"""A small daemon on a unix socket, for solvegatectl: it answers what a test says.

    with Control({"GET /control/status": (200, {...})}) as daemon:
        ctl("--socket", daemon.path, "status")
        assert daemon.asked == ["GET /control/status"]

An answer is (code, object), (code, bytes), or a function that is given the socket.
"""

import json
import shutil
import socket
import socketserver
import tempfile
import threading
from pathlib import Path

UNKNOWN = (404, {"status": "error", "code": "not_found", "message": "there is nothing here"})


class Control:
    def __init__(self, answers=None):
        # Not below pytest's directory, whose path may be too long for a socket.
        self._directory = Path(tempfile.mkdtemp(prefix="sg-"))
        self.path = self._directory / "s"
        self.answers = dict(answers or {})
        self.asked = []
        self._changed = threading.Condition()
        self._server = _Server(str(self.path), _Handler)
        self._server.control = self

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._thread.join()
        shutil.rmtree(self._directory)

    def take(self, question):
        """Notes a question, "METHOD TARGET". Returns the answer."""
        with self._changed:
            self.asked.append(question)
            self._changed.notify_all()
        return self.answers.get(question, UNKNOWN)

    def wait_for(self, question, count, timeout):
        """Waits until it was asked so often in all."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.asked.count(question) >= count, timeout), self.asked

    def leave(self):
        """Ends as a daemon does that is stopped: nobody listens, the socket is removed."""
        self._server.shutdown()
        self._server.socket.close()
        self._server.end_connections()
        self.path.unlink()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, *args):
        self._connections = set()
        self._lock = threading.Lock()
        super().__init__(*args)

    def note(self, connection, there):
        with self._lock:
            (self._connections.add if there else self._connections.discard)(connection)

    def end_connections(self):
        with self._lock:
            for connection in self._connections:
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(socketserver.StreamRequestHandler):
    def setup(self):
        super().setup()
        self.server.note(self.connection, True)

    def finish(self):
        self.server.note(self.connection, False)
        super().finish()

    def handle(self):
        while self._question():
            pass

    def _question(self):
        """Reads one request and answers it. Returns whether there may be another."""
        try:
            line = self.rfile.readline().decode()
            length = 0
            while (field := self.rfile.readline().decode().strip()):
                name, value = field.split(":", 1)
                length = int(value) if name.lower() == "content-length" else length
            self.rfile.read(length)
            if not line:
                return False
            method, target, _ = line.split()
            answer = self.server.control.take(f"{method} {target}")
            if callable(answer):
                answer(self.connection)
                return False
            code, body = answer
            body = body if isinstance(body, bytes) else json.dumps(body).encode() + b"\n"
            self.wfile.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                             b"Content-Length: %d\r\n\r\n%s" % (code, len(body), body))
            return True
        except OSError:  # the other side has gone
            return False
