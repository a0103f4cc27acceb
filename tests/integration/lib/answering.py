"""An upstream whose responses a test writes to the byte, to jobs, polls and balance requests.

    def respond(request):               # on a thread of its own, for each request that arrives
        if request.endpoint == "solve":
            return 200, [], {"status": "new", "id": "A1"}
        return 200, [("Retry-After", "1")], b'{"status":"solved"}'
    with Answering(respond) as upstream:
        house = gateway(upstream=upstream.entry)
"""

import http.server
import json
import threading
import urllib.parse


class Request:
    """endpoint is "solve", "status" or "balance"; number counts those of the endpoint from 1 on; id
    is what a poll asks for, and body what a job brings."""

    def __init__(self, endpoint, number, id=None, body=None):
        self.endpoint = endpoint
        self.number = number
        self.id = id
        self.body = body


class Answering:
    """respond is given a Request and returns the HTTP status, a list of header fields, and the body:
    bytes, or what is to be written as JSON."""

    def __init__(self, respond):
        self._respond = respond
        self._changed = threading.Condition()
        self._requests = []  # guarded by _changed
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

    def requests(self, endpoint):
        """Those that have come so far, in order."""
        with self._changed:
            return [request for request in self._requests if request.endpoint == endpoint]

    def take(self, endpoint, id=None, body=None):
        with self._changed:
            number = 1 + sum(request.endpoint == endpoint for request in self._requests)
            request = Request(endpoint, number, id, body)
            self._requests.append(request)
        return self._respond(request)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 100


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self._reply("solve", body=self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        if "balance" in parts.path:
            self._reply("balance")
        else:
            self._reply("status", id=urllib.parse.parse_qs(parts.query)["id"][0])

    def _reply(self, endpoint, **what):
        status, fields, value = self.server.upstream.take(endpoint, **what)
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, field in [("Content-Length", str(len(text))), *fields]:
            self.send_header(name, field)
        self.end_headers()
        self.wfile.write(text)
