"""Each answer that stands in docs/openapi.yaml is one that the daemon gives."""

import asyncio
import contextlib
import errno
import re
import signal

import pytest

from lib import expect
from lib.build import SANITIZE, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import Connection, request_bytes
from lib.job import job
from lib.memfault import ScarceMemory
from lib.openapi import TOOLS
from lib.operations import KNOWN, OPERATIONS, PAGE, PREFLIGHT, asks_for_job, takes_token, tools
from lib.relay import Relay

ASYNC = {"Prefer": "respond-async"}
HELD = {"Prefer": "wait=30"}
NEVER = 60

EXPECTS = {"Expect": "100-continue"}

UNKNOWN = "h-" + "A" * 24
WRONG = {"apikey": "sgt_nobodyhasthistokenofsolvegate0123456789abcd"}


def target_of(operation, job_id=UNKNOWN):
    path = operation.path or "/nowhere"
    return f"{path}?id={job_id}" if path.endswith("/status") else path


class Stage:
    """A gateway in some state, and how to ask it for each operation."""

    def __init__(self, house):
        self.house = house

    def asked(self, operation, headers=None, body=None, job_id=UNKNOWN):
        """The bytes of a request that is all right, but for what headers and body replace. A field
        that is None is left out."""
        fields = {**(PREFLIGHT if operation.method == "options" else {}), **(headers or {})}
        if operation.takes_body:
            fields = {"Content-Type": "application/json", **fields}
            body = job(seed=operation.name).body if body is None else body
        method = (operation.method or "patch").upper()
        pairs = {name: value for name, value in fields.items() if value is not None}
        return request_bytes(method, target_of(operation, job_id), self._host(operation), pairs,
                             body)

    def _url(self, operation):
        return self.house.url if operation.kind == TOOLS else self.house.admin_url

    def _host(self, operation):
        return self._url(operation).partition("//")[2]

    async def send(self, operation, data):
        """The answer to these bytes, on a connection of their own."""
        async with await Connection.open(self._url(operation)) as connection:
            await connection.send(data)
            return await connection.answer((operation.method or "patch").upper(), timeout=60)

    def ask(self, operation, *args, **settings):
        return asyncio.run(self.send(operation, self.asked(operation, *args, **settings)))

    async def ask_all(self, operations, make):
        """All at once: make gives the bytes for each."""
        answers = await asyncio.gather(*(self.send(o, make(o)) for o in operations))
        return zip(operations, answers)


@pytest.fixture
def stage(start):
    """Quick, with a page that may call, and operators."""
    return Stage(start(origins=[PAGE]))


@pytest.fixture
def durable(durable):
    def make(sim, **settings):
        return Stage(durable(sim, admin=LOOPBACK, origins=[PAGE], **settings))

    return make


class Produced:
    """What the tests below claim to produce: (operation, status, code)."""

    def __init__(self):
        self.claims = set()

    def __call__(self, status, code, when=lambda operation: True):
        """A test that produces this of all operations for which it is so; it is given them."""
        chosen = [operation for operation in OPERATIONS if when(operation)]
        self.claims |= {(operation.name, status, code) for operation in chosen}
        return pytest.mark.parametrize("operations, status, code", [
            pytest.param(chosen, status, code, id=f"{status}-{code or 'well'}")])


produces = Produced()


def check(operations, status, code, answers, alike=lambda operation: True):
    """Each operation has such an answer, as documented; and its message is that of an example,
    where it is alike."""
    answered = set()
    for operation, answer in answers:
        assert not operation.problems(answer, operation.method or "patch"), (operation, answer)
        assert answer.status == status, (operation, answer)
        if code and operation.method != "head":
            body = expect.error(answer, status, code)
            if alike(operation):
                assert_like(body["message"], operation, status, code)
        answered.add(operation)
    assert answered == set(operations)


def assert_like(message, operation, status, code):
    """Numbers, and the place of the file, may be others."""

    def plain(text):
        text = re.sub(r"/\S*/solvegate\.conf", "FILE", text)
        return re.sub(r"\d+(\.\d+)?", "N", text)

    known = [example["message"] for example in operation.examples(status).values()
             if example["code"] == code]
    assert plain(message) in map(plain, known), (operation, status, code)


def cancels(operation):
    return operation.method == "delete"


def solves(operation):
    return operation.takes_body


def asks_for_balance(operation):
    return takes_token(operation) and operation.path.endswith("/balance")


def is_preflight(operation):
    return operation.method == "options"


def is_ready(operation):
    return operation.path == "/readyz" and operation in KNOWN


def test_every_documented_answer_has_its_test_and_no_test_another():
    documented = {(operation.name, status, code) for operation in OPERATIONS
                  for status, code in operation.documented()}
    assert produces.claims - documented == set(), "produced, and not documented"
    assert documented - produces.claims == set(), "documented, and not produced"


@produces(200, None, lambda operation: operation in KNOWN and not is_preflight(operation))
def test_what_is_asked_for_is_given(simulator, gateway, operations, status, code):
    sim = simulator(mode="pro", latency=NEVER)
    house = gateway(sim, upstream={"max_in_flight": 1}, admin=LOOPBACK)
    stage = Stage(house)
    house.submit(job(seed="first"))
    wait_until(lambda: sim.counters()["accepted"] == 1)
    answers = [(operation, stage.ask(operation, ASYNC if solves(operation) else None,
                                     job_id=house.submit(job(seed=f"for {operation}"))))
               for operation in operations]
    check(operations, status, code, answers)


@produces(204, None, is_preflight)
def test_a_page_is_told_that_it_may_call(stage, operations, status, code):
    private = {"Access-Control-Request-Private-Network": "true"}
    answers = [(operation, stage.ask(operation, private)) for operation in operations]
    check(operations, status, code, answers)
    for _, answer in answers:
        assert answer.header("Access-Control-Allow-Private-Network") == "true"


@produces(400, "bad_request")
def test_a_host_that_is_none(stage, operations, status, code):
    answers = [(o, stage.ask(o, {"Host": "no host"})) for o in operations]
    check(operations, status, code, answers)


@produces(400, "loop_detected")
def test_a_request_that_has_come_back(gateway, operations, status, code):
    with Relay() as relay:
        stage = Stage(gateway(upstream={"url": relay.url}, admin=LOOPBACK, origins=[PAGE]))
        relay.leads_to(stage.house.url)
        stage.house.solve(job(seed="loop"))
        answers = [(o, stage.ask(o, {"Via": relay.fields("Via")[0]})) for o in operations]
    check(operations, status, code, answers)


@produces(400, "bad_json", solves)
def test_a_body_that_is_no_json(stage, operations, status, code):
    check(operations, status, code, [(o, stage.ask(o, body=b"{images}")) for o in operations])


@produces(400, "bad_job", solves)
def test_a_body_that_is_no_job(stage, operations, status, code):
    body = job(images=1, target=None).body
    check(operations, status, code, [(o, stage.ask(o, body=body)) for o in operations])


@produces(401, "unauthorized", takes_token)
def test_a_token_that_is_nobodys(simulator, gateway, operations, status, code):
    stage = Stage(gateway(simulator(), clients=[Client("ci")]))
    answers = asyncio.run(stage.ask_all(operations[:6], lambda o: stage.asked(o, WRONG)))
    more = [(o, stage.ask(o, None if not asks_for_job(o) or cancels(o) else WRONG))
            for o in operations[6:]]
    check(operations, status, code, [*answers, *more])


@produces(403, "forbidden_host")
def test_a_host_that_is_not_ours(stage, operations, status, code):
    answers = [(o, stage.ask(o, {"Host": "tools.example.com"})) for o in operations]
    check(operations, status, code, answers)


@produces(403, "forbidden_origin")
def test_a_page_that_may_not_call(stage, operations, status, code):
    answers = [(o, stage.ask(o, {"Origin": "https://other.example.com"})) for o in operations]
    check(operations, status, code, answers, alike=tools)


@produces(403, "site_not_allowed", solves)
def test_a_site_that_is_not_listed(stage, operations, status, code):
    body = job(site="https://www.example.com/login").body
    check(operations, status, code, [(o, stage.ask(o, body=body)) for o in operations])


@produces(403, "method_not_allowed_for_job", solves)
def test_a_job_of_another_kind(stage, operations, status, code):
    body = job(method="hcaptcha_url").body
    check(operations, status, code, [(o, stage.ask(o, body=body)) for o in operations])


@produces(404, "unknown_id", asks_for_job)
def test_an_id_that_nobody_has(simulator, durable, operations, status, code):
    stage = durable(simulator())
    check(operations, status, code, [(o, stage.ask(o)) for o in operations])


@produces(404, "not_found", lambda operation: operation.path is None)
def test_a_path_that_leads_nowhere(stage, operations, status, code):
    check(operations, status, code, [(o, stage.ask(o)) for o in operations])


@produces(404, "not_found", lambda operation: operation.path is None and tools(operation))
@pytest.mark.parametrize("path", ["/metrics", "/healthz/", "//readyz"])
def test_a_path_that_is_not_for_tools(stage, operations, status, code, path):
    for operation in operations:
        answer = stage.house.get(path)
        check([operation], status, code, [(operation, answer)])
        assert "admin.address" in answer.object()["message"]


@produces(405, "method_not_allowed", lambda o: o.path and (not o.method or is_preflight(o)))
def test_a_method_that_the_address_does_not_take(stage, operations, status, code):
    no_page = {"Access-Control-Request-Method": None}
    answers = [(o, stage.ask(o, no_page)) for o in operations]
    check(operations, status, code, answers, alike=asks_for_balance)


@produces(408, "request_timeout")
def test_a_header_that_does_not_end(simulator, gateway, operations, status, code):
    house = gateway(simulator(), admin=LOOPBACK, limits={"header_timeout": 0.4})
    stage = Stage(house)

    def unfinished(operation):
        return stage.asked(operation).partition(b"\r\n\r\n")[0] + b"\r\n"

    answers = asyncio.run(stage.ask_all(operations, unfinished))
    check(operations, status, code, answers)


@produces(409, "already_sent", cancels)
def test_a_job_that_has_ended_cannot_be_cancelled(stage, operations, status, code):
    job_id = stage.house.run(job()).object()["id"]
    answers = [(o, stage.ask(o, job_id=job_id)) for o in operations]
    check(operations, status, code, answers)


@produces(411, "length_required", solves)
def test_a_job_without_a_body(stage, operations, status, code):
    """Not even an empty one."""

    def headless(operation):
        head = stage.asked(operation, {"Content-Length": "0"}, b"")
        return head.replace(b"Content-Length: 0\r\n", b"")

    check(operations, status, code, asyncio.run(stage.ask_all(operations, headless)))


@produces(413, "too_large", solves)
def test_a_body_that_is_too_large(simulator, gateway, operations, status, code):
    stage = Stage(gateway(simulator(), limits={"body_bytes": 2000}))
    body = job(images=1, size=3000).body
    check(operations, status, code, [(o, stage.ask(o, body=body)) for o in operations])


@produces(415, "not_json", solves)
def test_a_body_of_another_type(stage, operations, status, code):
    answers = [(o, stage.ask(o, {"Content-Type": "text/plain"})) for o in operations]
    check(operations, status, code, answers)


@produces(422, "key_reused", solves)
def test_a_key_for_another_body(stage, operations, status, code):
    key = {"Idempotency-Key": "once"}
    stage.house.submit(job(seed="the first"), **key)
    check(operations, status, code, [(o, stage.ask(o, key)) for o in operations])


@produces(429, "rate_limited", takes_token)
def test_wrong_tokens_again_and_again(simulator, gateway, operations, status, code):
    """Who waits for 100 Continue cannot be held."""
    stage = Stage(gateway(simulator(), clients=[Client("ci")]))
    for _ in range(3):
        expect.error(stage.house.get("/usage", WRONG), 401, "unauthorized")
    answers = [(o, stage.ask(o, {**WRONG, **EXPECTS})) for o in operations]
    check(operations, status, code, answers)


def test_jobs_that_come_too_fast(simulator, gateway):
    client = Client("ci", rate=0.001, burst=1)
    stage = Stage(gateway(simulator(mode="pro", latency=0), clients=[client]))
    stage.house.submit(job(), **client.headers)
    operations = [operation for operation in OPERATIONS if solves(operation)]
    answers = [(o, stage.ask(o, client.headers)) for o in operations]
    check(operations, 429, "rate_limited", answers)
    for _, answer in answers:
        assert answer.header("RateLimit") and answer.header("RateLimit-Policy")


@produces(429, "quota_exceeded", solves)
def test_a_quota_that_is_used_up(simulator, gateway, operations, status, code):
    client = Client("ci", daily_limit=2)
    stage = Stage(gateway(simulator(mode="pro", latency=0), clients=[client]))
    for seed in range(2):
        stage.house.submit(job(seed=seed), **client.headers)
    answers = [(o, stage.ask(o, client.headers)) for o in operations]
    check(operations, status, code, answers)
    for _, answer in answers:
        assert answer.header("RateLimit") and answer.header("RateLimit-Policy")


@produces(431, "header_too_large")
def test_a_header_that_is_too_large(stage, operations, status, code):
    answers = [(o, stage.ask(o, {"X-Filler": "x" * 9000})) for o in operations]
    check(operations, status, code, answers)


@produces(414, "target_too_long")
def test_a_target_that_is_too_long(stage, operations, status, code):
    data = [(o, stage.asked(o).replace(b" HTTP/1.1", b"?" + b"a&" * 100 + b" HTTP/1.1", 1))
            for o in operations]
    answers = [(o, asyncio.run(stage.send(o, request))) for o, request in data]
    check(operations, status, code, answers)


@produces(505, "bad_request")
def test_a_version_that_is_not_supported(stage, operations, status, code):
    data = [(o, stage.asked(o).replace(b" HTTP/1.1", b" HTTP/2.0", 1)) for o in operations]
    answers = [(o, asyncio.run(stage.send(o, request))) for o, request in data]
    check(operations, status, code, answers)


# ---- 503 ----


@produces(503, "too_many_connections")
def test_one_connection_too_many(simulator, gateway, operations, status, code):
    stage = Stage(gateway(simulator(), admin=LOOPBACK, limits={"connections": 4}))

    async def crowd():
        async with contextlib.AsyncExitStack() as stack:
            for url, path in ([(stage.house.url, "/status?id=h-none")] * 4 +
                              [(stage.house.admin_url, "/healthz")] * 32):
                connection = await stack.enter_async_context(await Connection.open(url))
                await connection.request("GET", path)
            return list(await stage.ask_all(operations, stage.asked))

    check(operations, status, code, asyncio.run(crowd()))


@produces(503, "queue_full")
@pytest.mark.skipif(SANITIZE is not None, reason="a sanitizer has a memory of its own")
def test_an_answer_for_which_there_is_no_memory(simulator, gateway, tmp_path, operations, status,
                                                code):
    memory = ScarceMemory(tmp_path / "control")
    house = gateway(simulator(), admin=LOOPBACK, origins=[PAGE], environment=memory.environment)
    stage = Stage(house)
    with_memory = {stage.ask(o, ASYNC).status for o in operations}
    no_page = {"Access-Control-Request-Method": None}
    with memory.out():
        answers = [(o, stage.ask(o, no_page)) for o in operations]
    check(operations, status, code, answers)
    assert with_memory == {200, 204, 404, 405}
    assert memory.refused >= len(operations)
    for _, answer in answers:
        assert not answer.header("Allow") and not answer.header("Age")


def test_a_queue_that_is_full(simulator, gateway):
    sim = simulator(mode="pro", latency=NEVER)
    stage = Stage(gateway(sim, upstream={"max_in_flight": 1}, limits={"queue_jobs": 1},
                          admin=LOOPBACK))
    stage.house.submit(job(seed="sent"))
    wait_until(lambda: sim.counters()["accepted"] == 1)
    stage.house.submit(job(seed="waits"))
    operations = [o for o in OPERATIONS if solves(o) or is_ready(o)]
    check(operations, 503, "queue_full", [(o, stage.ask(o)) for o in operations])


@produces(503, "no_upstream", lambda operation: solves(operation) or is_ready(operation))
def test_an_account_that_is_refused(simulator, gateway, operations, status, code):
    stage = Stage(gateway(simulator(mode="pro", latency=0), admin=LOOPBACK))
    stage.house.sim.fault("solve:code=1")
    expect.failed(stage.house.solve(job(), HELD), "upstream_rejected")
    check(operations, status, code, [(o, stage.ask(o)) for o in operations])


@produces(503, "no_upstream", asks_for_balance)
def test_a_balance_that_is_not_told(simulator, start, operations, status, code):
    sim = simulator(mode="pro", latency=0, faults=["balance:error=Invalid APIKEY"])
    stage = Stage(start(sim, origins=[PAGE]))
    answers = [(o, stage.ask(o)) for o in operations]
    check(operations, status, code, answers)


@produces(503, "store_unavailable", lambda operation: solves(operation) or is_ready(operation))
def test_a_disk_that_is_full(simulator, durable, disk, operations, status, code):
    stage = durable(simulator(mode="pro", latency=0))
    disk.fail(errno.ENOSPC)
    wait_until(lambda: stage.house.solve(job(), ASYNC).status == 503)
    check(operations, status, code, [(o, stage.ask(o)) for o in operations])


@produces(503, "store_unavailable", cancels)
def test_a_cancel_that_cannot_be_written(simulator, durable, disk, operations, status, code):
    sim = simulator(mode="pro", latency=NEVER)
    stage = durable(sim, upstream={"max_in_flight": 1})
    stage.house.submit(job(seed="sent"))
    wait_until(lambda: sim.counters()["accepted"] == 1)
    ids = {operation: stage.house.submit(job(seed=operation.name)) for operation in operations}
    disk.fail(errno.ENOSPC)
    answers = asyncio.run(stage.ask_all(operations, lambda o: stage.asked(o, job_id=ids[o])))
    check(operations, status, code, answers)


@produces(503, "draining", lambda operation: tools(operation) or is_ready(operation))
def test_a_stop_that_is_held_up(simulator, gateway, operations, status, code):
    """One worker waits for a body that does not come; the others are done, and refuse all."""
    house = gateway(simulator(), workers=4, admin=LOOPBACK, origins=[PAGE])
    stage = Stage(house)
    whole = request_bytes("POST", "/solve", house.host, EXPECTS, job().body)

    async def refused(operation):
        while True:  # until a worker that is done has accepted it
            answer = await stage.send(operation, stage.asked(operation))
            if answer.status == status and (not answer.body or b'"draining"' in answer.body):
                return operation, answer

    async def stopping():
        async with await Connection.open(house.url) as unfinished:
            header = whole[:whole.index(b"\r\n\r\n") + 4]
            await unfinished.send(header)
            assert (await unfinished.head())[0] == 100
            await unfinished.send(whole[len(header):-10])
            house.signal(signal.SIGTERM)
            return await asyncio.gather(*(refused(operation) for operation in operations))

    check(operations, status, code, asyncio.run(stopping()))
    assert house.wait(10) == 0
