"""An upstream that a test makes up, for what the simulator has no fault for: it sees a job's body,
or answers when the test says so.

    def answer(number, body):           # on a thread of its own, for each job that arrives
        return 503, {"Retry-After": "3"}, LATER
    with Upstream(answer) as upstream:
        house = gateway(upstream=upstream.entry)
"""

import http.server
import json
import threading
import time

LATER = {"status": "error", "message": "not now"}
SOLVED = {"status": "solved", "id": "made-up", "solution": []}


class Upstream:
    """answer is given the number of the job, from 1 on, and its body; it returns the HTTP status,
    header fields and the object. balance is what it says of the account, with 200; None: 404."""

    def __init__(self, answer, balance=None):
        self.balance = balance
        self.arrivals = []  # the moment of each job, by the monotonic clock
        self._answer = answer
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.upstream = self
        self.entry = {"url": f"http://127.0.0.1:{self._server.server_port}", "api": 1}

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, body):
        with self._lock:
            self.arrivals.append(time.monotonic())
            number = len(self.arrivals)
        return self._answer(number, body)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 100


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(*self.server.upstream.take(body))

    def do_GET(self):
        """The balance, which is about no job."""
        balance = self.server.upstream.balance
        self._reply(404 if balance is None else 200, {}, balance or LATER)

    def _reply(self, status, headers, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        fields = {"Content-Type": "application/json", "Content-Length": len(text), **headers}
        for name, field in fields.items():
            self.send_header(name, str(field))
        self.end_headers()
        self.wfile.write(text)
