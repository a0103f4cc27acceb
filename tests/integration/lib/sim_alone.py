"""solvegate-sim by itself, for its own tests: started, asked, stopped; and the fixtures of these."""

import base64
import contextlib
import hashlib
import http.client
import json
import queue
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

from .build import BUILD

SIM = BUILD / "solvegate-sim"
ACCOUNT = ("--uid", "the-uid", "--apikey", "the-key")
CREDENTIALS = {"uid": "the-uid", "apikey": "the-key"}
TIMEOUT = 30


class Answer:
    def __init__(self, response):
        self.code = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Simulator:
    def __init__(self, *options):
        self.process = subprocess.Popen([SIM, *options], stderr=subprocess.PIPE, text=True)
        self.lines = []
        ready = queue.Queue()
        self.reader = threading.Thread(target=self.read, args=(ready,))
        self.reader.start()
        self.base = ready.get(timeout=TIMEOUT)
        self.address = urllib.parse.urlsplit(self.base)

    def read(self, ready):
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("ready "):
                ready.put(line.split()[1])

    def stop(self, signal_number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        status = self.process.wait(TIMEOUT)
        self.reader.join(TIMEOUT)
        self.process.stderr.close()
        return status

    def connect(self):
        if self.address.scheme == "https":
            return http.client.HTTPSConnection(self.address.hostname, self.address.port,
                                               timeout=TIMEOUT,
                                               context=ssl._create_unverified_context())
        return http.client.HTTPConnection(self.address.hostname, self.address.port,
                                          timeout=TIMEOUT)

    def open(self):
        """A socket that is connected, through TLS where the simulator speaks it."""
        sock = socket.create_connection((self.address.hostname, self.address.port), TIMEOUT)
        if self.address.scheme != "https":
            return sock
        return ssl._create_unverified_context().wrap_socket(sock)

    def call(self, method, path, body=None, headers=None):
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())

    def solve(self, body=None, path="/api/solve", headers=None):
        return self.call("POST", path, body or job(), CREDENTIALS if headers is None else headers)

    def status(self, job_id, path="/api/status"):
        return self.call("GET", f"{path}?id={job_id}")

    def counters(self):
        return self.call("GET", "/sim/counters").json

    def requests(self):
        return self.call("GET", "/sim/requests").json

    def write_strays(self):
        assert self.call("POST", "/sim/strays").code == 200

    def fault(self, *specs):
        answer = self.call("POST", "/sim/faults", "\n".join(specs))
        assert answer.code == 200, answer.body


@pytest.fixture
def start():
    """Starts simulators; each must stop with exit status 0 and without a sanitizer's report."""
    running = []

    def start_one(*options):
        running.append(Simulator(*map(str, options)))
        return running[-1]

    yield start_one
    statuses = [sim.stop() for sim in running]
    reports = [line for sim in running for line in sim.lines
               if re.search("Sanitizer|runtime error", line)]
    assert not reports
    assert statuses == [0] * len(running)


@pytest.fixture(scope="module")
def shared():
    """One for the many faults of a free account; the account is the-uid and the-key."""
    sim = Simulator(*ACCOUNT, "--latency", "0")
    yield sim
    assert sim.stop() == 0


@pytest.fixture
def faulty(shared):
    shared.call("POST", "/sim/reset")
    return shared


def images(count=4, seed=1):
    return [random.Random(f"{seed}-{i}").randbytes(100) for i in range(count)]


def encode(image):
    return base64.b64encode(image).decode()


def job(pictures=None, **fields):
    pictures = images() if pictures is None else pictures
    fields = {"images": {str(i): encode(p) for i, p in enumerate(pictures)},
              "target": "airplane", "method": "hcaptcha_base64"} | fields
    return json.dumps(fields)


def solution(pictures):
    return [i for i, p in enumerate(pictures) if hashlib.sha256(p).digest()[0] & 1]


def digest(pictures):
    return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in pictures)).hexdigest()


def poll(sim, job_id, path="/api/status"):
    """Asks until the answer is final. Returns all answers."""
    answers = []
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        answers.append(sim.status(job_id, path))
        if answers[-1].json["status"] not in ("new", "in queue"):
            return answers
        time.sleep(0.01)
    raise AssertionError("the job never became final")


def raw_solve(sim, body=None):
    """Sends a solve by hand. Returns the connected socket."""
    body = (body or job()).encode()
    head = (f"POST /api/solve HTTP/1.1\r\nHost: {sim.address.netloc}\r\n"
            f"uid: the-uid\r\napikey: the-key\r\nContent-Length: {len(body)}\r\n\r\n")
    connection = sim.open()
    connection.sendall(head.encode() + body)
    return connection


def raw_answer(connection, rest=b""):
    """Reads an answer by hand. Returns its code, its body, and what was read behind it."""
    while b"\r\n\r\n" not in rest:
        rest += received(connection)
    head, _, rest = rest.partition(b"\r\n\r\n")
    lengths = re.findall(rb"(?i)\r\ncontent-length: *(\d+)", head)
    assert len(lengths) == 1, head
    length = int(lengths[0])
    while len(rest) < length:
        rest += received(connection)
    return int(head.split(b" ")[1]), rest[:length], rest[length:]


def received(connection):
    data = connection.recv(65536)
    assert data, "the connection ended"
    return data


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        return True
    return False
