"""Connections to an upstream: a response belongs to its request, a complete response counts, and a
connection that is silent, old, or no longer asked for is not used again."""

import gzip
import json
import signal
import socket
import ssl
import threading
import zlib

import pytest

from lib import expect
from lib.build import wait_until
from lib.front import NGHTTPX, Front
from lib.job import job
from lib.memfault import ScarceMemory
from lib.names import Names
from lib.oldtcp import ENVIRONMENT as OLD_TCP
from lib.raw_upstream import RawUpstream, answer
from lib.slowsend import ENVIRONMENT as SLOW_SEND
from lib.tls import make_certificate

ASYNC = {"Prefer": "respond-async"}
KINDS = ("plain", "tls1.2", "tls1.3")
VERSIONS = {"tls1.2": ssl.TLSVersion.TLSv1_2, "tls1.3": ssl.TLSVersion.TLSv1_3}


def small(seed):
    return job(images=1, size=20, seed=seed)


def expect_solution(answer, solution):
    assert answer.object().get("solution") == solution, answer


def solved(number):
    return {"status": "solved", "solution": [number]}


@pytest.fixture
def certificate(authority, tmp_path):
    return lambda: make_certificate(tmp_path, authority, "server", "DNS:localhost,DNS:upstream.test")


@pytest.fixture(params=KINDS)
def raw(request, authority, certificate):
    """Makes a raw upstream, plain or over TLS, and what the gateway's entry for it has more."""
    kind = request.param

    def make(serve, **options):
        if kind == "plain":
            return RawUpstream(serve, **options), {}
        return (RawUpstream(serve, tls=certificate(), version=VERSIONS[kind], **options),
                {"ca": str(authority.certificate)})

    return make


@pytest.fixture
def one(gateway):
    """A gateway with one worker, so that all jobs share their connections."""

    def make(upstream, more=(), **settings):
        return gateway(upstream={**upstream.entry, **dict(more)}, workers=1, **settings)

    return make


# ---- a response belongs to its request ----

STRAYS = {
    "solved": answer(solved(9)),
    "not accepted": answer({"code": 16, "msg": "RATE_LIMITED", "retryAfterSec": 1},
                           "429 Too Many Requests"),
    "error": answer({"status": "error", "message": "surplus"}),
    "timeout": answer(b"", "408 Request Timeout", ["Connection: close"]),
    "half": answer(solved(9))[:20],
}


@pytest.mark.parametrize("stray", STRAYS)
def test_a_surplus_response_on_an_idle_connection_is_never_taken(raw, one, stray):
    written = threading.Semaphore(0)

    def serve(connection):
        while request := connection.read():
            connection.write(answer(solved(len(json.loads(request.body)["target"]))))
            connection.write(STRAYS[stray])
            written.release()

    upstream, more = raw(serve)
    with upstream:
        house = one(upstream, more)
        for number in range(1, 9):
            task = small(number).with_fields(target="x" * number)
            assert house.solve(task).object()["solution"] == [number]
            assert written.acquire(timeout=10)
            assert house.solve(task).object()["solution"] == [number], "from the cache"
        assert [method for _, method in upstream.log] == ["POST"] * 8, "each is sent once"
    assert "outcome_unknown" not in house.log()


def test_a_surplus_response_is_reported(one):
    answered, written = threading.Semaphore(0), threading.Semaphore(0)

    def serve(connection):
        while connection.read():
            connection.write(answer(solved(1)))
            assert answered.acquire(timeout=20)
            connection.write(STRAYS["solved"])
            written.release()

    with RawUpstream(serve) as upstream:
        house = one(upstream)
        expect_solution(house.solve(small(1)), [1])
        answered.release()
        assert written.acquire(timeout=20)
        expect_solution(house.solve(small(2)), [1])
        answered.release()
    assert "upstream main sent a response that no request was waiting for" in house.log()


def test_an_oversized_response_is_not_reported_as_a_surplus_one(one):
    """Its connection is closed with much of it unread."""
    def serve(connection):
        while connection.read():
            connection.write(answer(b" " * 4_194_304 if len(upstream.log) == 1 else solved(1)))

    with RawUpstream(serve) as upstream:
        house = one(upstream)
        assert house.solve(small(1)).object()["code"] == "outcome_unknown"
        expect_solution(house.solve(small(2)), [1])
    assert "no request was waiting for" not in house.log()


def test_an_idle_connection_with_input_is_closed(raw, one):
    closed = threading.Event()

    def serve(connection):
        while connection.read():
            connection.write(answer(solved(1)))
            connection.write(STRAYS["solved"])
            if connection.closed_by_gateway():
                closed.set()
            return

    upstream, more = raw(serve)
    with upstream:
        house = one(upstream, more)
        house.solve(small(1))
        assert closed.wait(10), "without a further job"


def test_a_poll_takes_no_surplus_response(raw, one):
    """The first job's connection for polls gets a surplus result, which is not the second's."""
    written = threading.Semaphore(0)

    def serve(connection):
        while request := connection.read():
            if request.method == "POST":
                name = json.loads(request.body)["target"]
                connection.write(answer({"status": "new", "id": name, "url": "x"}))
                continue
            number = len(request.target.split("id=")[1])
            connection.write(answer(solved(number)))
            connection.write(STRAYS["solved"])
            written.release()

    upstream, more = raw(serve)
    with upstream:
        house = one(upstream, more)
        for number in range(1, 6):
            task = small(number).with_fields(target="x" * number)
            assert house.run(task).object()["solution"] == [number]
            assert written.acquire(timeout=10)


@pytest.mark.parametrize("first_line", [b"HTTP/1.1 200 OK", b"HTTP/1.1  200 OK", b"HTTP/2 200",
                                        b"http/1.1 200 OK"])
def test_a_response_before_the_request_was_written_is_not_taken_on_a_used_connection(one,
                                                                                     first_line):
    """It may be a surplus one. What the upstream has of the job by then is not a job. libcurl takes
    all of these lines for the first one of a response."""
    def serve(connection):
        while request := connection.read_header():
            large = int(request.headers.get("content-length", 0)) > 10_000
            if large and connection.requests > 1:
                connection.wait_for_body()
                connection.write(STRAYS["solved"].replace(b"HTTP/1.1 200 OK", first_line))
                connection.closed_by_gateway()
                return
            connection.read_body(request)
            connection.write(answer({"status": "active"} if request.method == "GET" else
                                    solved(2 if large else 1)))

    with RawUpstream(serve, buffer=4096) as upstream:
        house = one(upstream)
        expect_solution(house.solve(small(1)), [1])
        large = house.solve(job(images=9, size=80_000, seed=2)).object()
        # By how much of it the kernel had taken.
        assert large.get("solution") == [2] or large["code"] == "outcome_unknown", large
    assert "a response that no request was waiting for" in house.log()


def test_a_kernel_that_tells_no_acknowledgments_costs_connections_and_no_job(raw, one):
    def serve(connection):
        while connection.read():
            connection.write(answer(solved(1)))

    upstream, more = raw(serve)
    with upstream:
        house = one(upstream, more, environment=OLD_TCP)
        for number in range(5):
            expect_solution(house.solve(small(number)), [1])
        posts = [connection for connection, method in upstream.log if method == "POST"]
        assert len(posts) == len(set(posts)) == 5


def test_an_early_refusal_on_a_new_connection_counts(one):
    """4 MB are sent on a connection of their own, on which a response cannot be a surplus one."""
    def serve(connection):
        while request := connection.read_header():
            if request.method == "GET":
                connection.write(answer({"status": "active"}))
            elif int(request.headers["content-length"]) < 10_000:
                connection.read_body(request)
                connection.write(answer(solved(1)))
            else:
                connection.write(answer({"status": "error", "message": "too big"},
                                        "413 Content Too Large"))
                return

    with RawUpstream(serve) as upstream:
        house = one(upstream)
        house.solve(small(1))
        refused = house.solve(job(images=9, size=350_000, seed=2))
        expect.failed(refused, "upstream_rejected")
        assert "too big" in refused.object()["message"]
        assert house.solve(small(3)).object()["solution"] == [1], "the breaker is closed"


@pytest.mark.parametrize("size", [25_000, 350_000], ids=["300 KB", "4 MB"])
def test_an_early_refusal_is_read_though_a_write_fails_first(raw, one, size):
    """It comes, with a reset behind it, while the next piece of the body is being written."""
    def serve(connection):
        while request := connection.read_header():
            if request.method == "GET":
                connection.write(answer({"status": "active"}))
                continue
            connection.wait_for_body()
            upstream.note(connection, request)
            connection.write(answer({"status": "error", "message": "too big"},
                                    "413 Content Too Large"))
            connection.reset()
            return

    upstream, more = raw(serve)
    with upstream:
        house = one(upstream, more, environment=SLOW_SEND)
        for number in range(3):
            refused = house.solve(job(images=9, size=size, seed=number))
            expect.failed(refused, "upstream_rejected")
            assert "too big" in refused.object()["message"]
        assert len(upstream.log) == 3


# ---- a complete response counts ----

def test_a_complete_response_before_a_reset_counts(raw, one):
    def serve(connection):
        while connection.read():
            connection.write(answer(solved(1), headers=["Connection: close"]))
            connection.reset()
            return

    upstream, more = raw(serve)
    with upstream:
        house = one(upstream, more)
        for number in range(20):
            expect_solution(house.solve(small(number)), [1])


@pytest.mark.parametrize("held", ["solve", "poll"])
def test_what_arrived_while_the_process_was_stopped_beyond_the_deadline_counts(one, held):
    arrived, resume = threading.Event(), threading.Event()

    def serve(connection):
        while request := connection.read():
            if held == "poll" and request.method == "POST":
                connection.write(answer({"status": "new", "id": "a", "url": "x"}))
                continue
            arrived.set()
            assert resume.wait(20)
            connection.write(answer(solved(1)))

    with RawUpstream(serve) as upstream:
        house = one(upstream, limits={"job_deadline": 3.0})
        job_id = house.submit(small(1))
        assert arrived.wait(10)
        house.signal(signal.SIGSTOP)
        try:
            resume.set()
            threading.Event().wait(5.5)  # the deadline is over by then, whatever the clock does
        finally:
            house.signal(signal.SIGCONT)
        assert house.finish(job_id).object()["solution"] == [1]


def test_a_socket_that_cannot_be_watched_costs_no_job(one, tmp_path):
    """Neither the one on it, nor one whose request is on another connection already."""
    arrived, resume = threading.Semaphore(0), threading.Event()

    def serve(connection):
        while connection.read():
            arrived.release()
            assert resume.wait(20)
            connection.write(answer(solved(1)))

    memory = ScarceMemory(tmp_path / "control")
    with RawUpstream(serve) as upstream:
        house = one(upstream, environment=memory.environment)
        before = house.submit(small(1))
        assert arrived.acquire(timeout=10)
        with memory.watches_out():
            after = house.submit(small(2))
            assert arrived.acquire(timeout=10)
            assert memory.refused > 0
            resume.set()
            for job_id in (before, after):
                expect_solution(house.finish(job_id), [1])
        expect_solution(house.solve(small(3)), [1])
        assert [method for _, method in upstream.log] == ["POST"] * 3


@pytest.mark.parametrize("packaging", ["gzip", "deflate"])
def test_a_coding_that_was_not_requested_is_decoded(one, packaging):
    codings = {"gzip": gzip.compress, "deflate": zlib.compress}
    seen = []

    def serve(connection):
        while request := connection.read():
            seen.append(request.headers)
            body = codings[packaging](json.dumps(solved(3)).encode())
            connection.write(answer(body, headers=[f"Content-Encoding: {packaging}"]))

    with RawUpstream(serve) as upstream:
        house = one(upstream)
        for number in range(4):
            assert house.solve(small(number)).object()["solution"] == [3]
    assert not any("accept-encoding" in headers for headers in seen)


# ---- which connection is used ----

def test_a_reload_leads_to_new_connections(one):
    def serve(connection):
        while connection.read():
            connection.write(answer(solved(1)))

    with RawUpstream(serve) as upstream:
        house = one(upstream)
        house.solve(small(1))
        house.solve(small(2))
        assert len({number for number, _ in upstream.log}) == 1
        house.reload()
        house.solve(small(3))
        assert len({number for number, _ in upstream.log}) == 2


def test_a_reload_closes_connections_that_nothing_uses_though_others_are_in_use(raw, one):
    arrived, resume = threading.Semaphore(0), threading.Event()
    closed = {target: threading.Event() for target in ("held", "idle", "balance")}

    def serve(connection):
        target = "balance"
        while request := connection.read():
            target = json.loads(request.body)["target"]
            arrived.release()
            if target == "held":
                assert resume.wait(20)
            connection.write(answer(solved(1)))
        closed[target].set()

    upstream, more = raw(serve)
    with upstream:
        house = one(upstream, more)
        held = house.submit(small(1).with_fields(target="held"))
        assert arrived.acquire(timeout=10)
        expect_solution(house.solve(small(2).with_fields(target="idle")), [1])
        house.reload()
        assert closed["idle"].wait(10)
        assert not closed["held"].is_set()
        resume.set()
        expect_solution(house.finish(held), [1])
        assert closed["held"].wait(10)


def test_a_name_that_points_elsewhere_is_found_by_a_reload(one, certificate, authority, tmp_path):
    """The old address still answers on its connections."""
    def serve(connection):
        while connection.read():
            connection.write(answer(connection.upstream.result))

    names, tls = Names(tmp_path / "names", "upstream.test", "127.0.0.1"), certificate()
    with RawUpstream(serve, tls) as old, \
            RawUpstream(serve, tls, address="127.0.0.2", port=old.port) as new:
        old.result, new.result = solved(1), solved(2)
        house = one(old, {"ca": str(authority.certificate),
                          "url": f"https://{names.name}:{old.port}"}, environment=names.environment)
        assert house.solve(small(1)).object()["solution"] == [1]
        names.point_to("127.0.0.2")
        assert house.solve(small(2)).object()["solution"] == [1]
        house.reload()
        assert house.solve(small(3)).object()["solution"] == [2]


class Relay:
    """Forwards connections, until freeze(): from then on those that exist accept bytes and return
    none, and new ones are served."""

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        self._generation = 0

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._generation = -1
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            sock.close()

    def freeze(self):
        self._generation += 1

    def _accept(self):
        while True:
            try:
                front, _ = self._listener.accept()
                back = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [front, back]
            for pair in ((front, back), (back, front)):
                threading.Thread(target=self._pump, args=(*pair, self._generation),
                                 daemon=True).start()

    def _pump(self, source, sink, generation):
        try:
            while data := source.recv(65536):
                if generation == self._generation:
                    sink.sendall(data)
            if generation == self._generation:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_silent_connection_costs_no_accepted_job(gateway):
    """A load balancer with a hung backend: it acknowledges every byte and answers nothing."""
    accepted = threading.Semaphore(0)
    finished = threading.Event()
    polled = set()

    def serve(connection):
        while request := connection.read():
            if request.method == "POST":
                name = json.loads(request.body)["target"]
                connection.write(answer({"status": "new", "id": name, "url": "x"}))
                accepted.release()
            else:
                polled.add(request.target)
                connection.write(answer(solved(1) if finished.is_set() else
                                        {"status": "in queue"}))

    with RawUpstream(serve) as upstream, Relay(upstream.port) as relay:
        house = gateway(upstream={"url": f"http://127.0.0.1:{relay.port}", "api": 1},
                        limits={"job_deadline": 40.0})
        ids = [house.submit(small(number).with_fields(target=f"t{number}")) for number in range(5)]
        for _ in ids:
            assert accepted.acquire(timeout=10)
        # A solve whose answer is stuck in the relay may not have been accepted.
        wait_until(lambda: len(polled) == len(ids))
        relay.freeze()
        finished.set()
        for job_id in ids:
            assert house.finish(job_id, 40.0).object()["solution"] == [1]


@pytest.mark.skipif(NGHTTPX is None, reason="nghttpx is not installed")
def test_a_silent_http_2_connection_costs_no_accepted_job(
    simulator, gateway, authority, certificate, tmp_path
):
    sim = simulator(mode="free", latency=1.0)
    with Front(tmp_path, sim, certificate()) as front, Relay(front.port) as relay:
        house = gateway(upstream={"url": f"https://localhost:{relay.port}", "api": 1,
                                  "ca": str(authority.certificate)},
                        workers=1, limits={"job_deadline": 40.0})
        tasks = [small(number) for number in range(5)]
        ids = [house.submit(task) for task in tasks]
        wait_until(lambda: sim.counters()["status_requests"] >= 5)
        relay.freeze()
        for task, job_id in zip(tasks, ids):
            expect.solved(house.finish(job_id, 40.0), task)
        later = [small(number) for number in range(10, 13)]
        for task in later:
            expect.solved(house.run(task), task)
        assert sim.counters()["charged"] == len(tasks) + len(later)
