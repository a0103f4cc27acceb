"""The base of upstreams that a test makes up: an HTTP server on a free port of loopback, with a
thread for each connection."""

import http.server
import json
import threading
import urllib.parse


class Request:
    """endpoint is "solve", "status" or "balance"; id is the job that a poll asks about, body a
    job's body, and key the request's credential."""

    def __init__(self, endpoint, key, id=None, body=None):
        self.endpoint = endpoint
        self.key = key
        self.id = id
        self.body = body


class HttpUpstream:
    """A context manager. A subclass defines respond(request), which is called on the connection's
    thread. It returns the HTTP status, the header fields as pairs, and the body: bytes, or an
    object to write as JSON. None closes the connection without a response."""

    def __init__(self):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.respond = self.respond
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.entry = {"url": self.url, "api": 1}

    def respond(self, request):
        raise NotImplementedError

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 100


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self._respond("solve", body=self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        if "balance" in parts.path:
            self._respond("balance")
        else:
            self._respond("status", id=urllib.parse.parse_qs(parts.query)["id"][0])

    def _respond(self, endpoint, **what):
        response = self.server.respond(Request(endpoint, self.headers["apikey"], **what))
        if response is None:
            self.close_connection = True
            return
        status, fields, value = response
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, field in fields:
            self.send_header(name, field)
        self.end_headers()
        self.wfile.write(body)
