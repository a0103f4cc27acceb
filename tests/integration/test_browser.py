"""A real browser with a page of another origin: it can neither spend a credit nor read an answer,
unless its origin is listed. And the same asked by hand, for what no browser would send."""

import contextlib
import http.server
import json
import selectors
import socket
import threading
import urllib.parse

import pytest

from lib import audit, browser as web, expect
from lib.build import wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import request
from lib.job import job

CI = Client("ci")
EXPOSED = {"age", "cache-status", "preference-applied", "ratelimit", "ratelimit-policy",
           "retry-after", "www-authenticate", "x-request-id"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if web.PROGRAM is None:
        pytest.skip("chromium is not installed; scripts/test installs it")
    with web.Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def pages():
    with web.Pages() as server:
        yield server


@pytest.fixture
def house(simulator, gateway):
    """A gateway without clients: there a browser needs no token to do harm."""
    return gateway(simulator(mode="pro", latency=0))


@pytest.fixture
def listed(simulator, gateway, pages):
    return gateway(simulator(mode="pro", latency=0), origins=["https://a.example", pages.origin])


@pytest.fixture
def team(simulator, gateway, pages):
    ci = CI.changed(daily_limit=100, rate=5.0, burst=10)
    return gateway(simulator(mode="pro", latency=0), clients=[ci], origins=[pages.origin])


def refused_origins(house):
    """How many requests were refused for their origin so far."""
    return sum(record["outcome"] == "forbidden_origin"
               for record in audit.refused(house.audit_file))


def given(house, task):
    """What a page is given to try with. The user has a result of his own, which it is after."""
    own = job(seed="the user's own")
    job_id = expect.solved(house.run(own), own)["id"]
    return {"url": house.url, "solve": f"{house.url}/api/solve", "body": task.body.decode(),
            "id": job_id, "balance": f"{house.url}/balance"}


JSON_TYPE = '{"Content-Type": "application/json"}'

# Each way to post a job. A page sees no more of the answer than that there was one, or none.
POSTS = {
    "fetch of JSON": ("tried(given.solve, {method: 'POST', body: given.body, headers: %s})"
                      % JSON_TYPE),
    "fetch with credentials": ("tried(given.solve, {method: 'POST', body: given.body, "
                               "credentials: 'include', headers: %s})" % JSON_TYPE),
    "fetch of text": "tried(given.solve, {method: 'POST', body: given.body})",
    "no-cors fetch": "tried(given.solve, {method: 'POST', mode: 'no-cors', body: given.body})",
    "no-cors fetch of JSON": ("tried(given.solve, {method: 'POST', mode: 'no-cors', "
                              "body: given.body, headers: %s})" % JSON_TYPE),
    "fetch of a stream": ("tried(given.solve, {method: 'POST', mode: 'no-cors', "
                          "body: new Blob([given.body])})"),
    "fetch without a referrer": ("tried(given.solve, {method: 'POST', mode: 'no-cors', "
                                 "body: given.body, referrerPolicy: 'no-referrer'})"),
    "form of text": ("posted(given.solve, 'text/plain', "
                     "{[given.body.slice(0, -1) + ',\"x\":\"']: '\"}'})"),
    "form": "posted(given.solve, 'application/x-www-form-urlencoded', {body: given.body})",
    "form of parts": "posted(given.solve, 'multipart/form-data', {body: given.body})",
    "beacon": "new Promise(done => done(navigator.sendBeacon(given.solve, given.body)))",
    "XMLHttpRequest": """new Promise(done => {
        const request = new XMLHttpRequest();
        request.onloadend = () => done({type: "xhr", text: request.responseText});
        request.open("POST", given.solve);
        request.setRequestHeader("Content-Type", "text/plain");
        request.send(given.body);
    })""",
    "sandboxed frame": """new Promise(done => {
        addEventListener("message", event => done(event.data));
        const frame = document.createElement("iframe");
        frame.sandbox = "allow-scripts";
        frame.srcdoc = "<script>fetch(" + JSON.stringify(given.solve) +
            ", {method: 'POST', mode: 'no-cors', body: " + JSON.stringify(given.body) +
            "}).then(answer => parent.postMessage({type: answer.type}, '*'), " +
            "error => parent.postMessage({error: String(error)}, '*'))</scr" + "ipt>";
        document.body.append(frame);
    })""",
}

UNREADABLE = [None, True, {"type": "opaque"}, {"type": "xhr", "text": ""},
              {"type": "opaque", "status": 0, "text": "", "headers": {}}]


def assert_unreadable(seen):
    assert seen in UNREADABLE or list(seen) == ["error"], seen


@pytest.mark.parametrize("way", POSTS)
def test_a_foreign_page_cannot_spend_a_credit(house, browser, pages, way):
    task = job(seed=way)
    material = given(house, task)
    before = house.sim.settled_counters()
    assert_unreadable(pages.visit(browser, f"return await {POSTS[way]}", material))
    wait_until(lambda: refused_origins(house) >= 1, what="its request was refused")
    assert house.sim.counters() == before
    assert task.body_sha256 not in [sent["sha256"] for sent in house.sim.requests("solve")]


# Reading needs no credit; but what is read must stay unread.
GETS = {
    "fetch of a result": "tried(given.url + '/api/status?id=' + given.id)",
    "fetch of the balance": "tried(given.balance)",
    "fetch of the usage": "tried(given.url + '/usage')",
    "no-cors fetch": "tried(given.url + '/api/status?id=' + given.id, {mode: 'no-cors'})",
    "frame": "framed(frame => { frame.src = given.balance; })",
    "image": "included('img', given.balance)",
    "cancelling": ("tried(given.url + '/api/status?id=' + given.id, {method: 'DELETE'})"),
    "what is not there": "tried(given.url + '/nowhere')",
}


@pytest.mark.parametrize("way", GETS)
def test_a_foreign_page_cannot_read_an_answer(house, browser, pages, way):
    seen = pages.visit(browser, f"return await {GETS[way]}", given(house, job()))
    if way == "image":
        assert seen == "error"
    else:
        assert_unreadable(seen)


def test_a_foreign_page_cannot_take_an_answer_for_a_script(house, browser, pages):
    script = """
        const failures = [];
        addEventListener("error", event => { if (event.message) failures.push(event.message); });
        const before = Object.keys(window).length;
        const end = await included("script", given.balance);
        return {names: Object.keys(window).length - before, failures: failures};
    """
    seen = pages.visit(browser, script, given(house, job()))
    assert seen["names"] == 0
    assert not [failure for failure in seen["failures"] if "plan" in failure], seen


def test_a_foreign_page_cannot_open_a_socket(house, browser, pages):
    script = """
        const socket = new WebSocket(given.url.replace("http", "ws") + "/balance");
        return await happened(socket, "open", "close");
    """
    assert pages.visit(browser, script, given(house, job())) == "close"
    wait_until(lambda: refused_origins(house) == 1, what="its request was refused")


def test_another_name_of_a_listed_page_is_another_origin(listed, browser, pages):
    elsewhere = f"http://localhost:{pages.port}"
    for way in ("fetch of JSON", "fetch of text"):
        script = f"return await {POSTS[way]}"
        assert_unreadable(pages.visit(browser, script, given(listed, job(seed=way)), elsewhere))
    wait_until(lambda: refused_origins(listed) == 2, what="both were refused")
    assert listed.sim.counters()["solve_requests"] == 1


def test_a_page_of_another_port_is_another_origin(listed, browser):
    with web.Pages() as others:
        script = f"return await {POSTS['fetch of JSON']}"
        assert_unreadable(others.visit(browser, script, given(listed, job(seed="port"))))
    wait_until(lambda: refused_origins(listed) == 1)
    assert listed.sim.counters()["solve_requests"] == 1


def test_a_listed_page_submits_a_job_and_reads_its_answer(listed, browser, pages):
    task = job(seed="listed")
    script = """
        const first = await tried(given.solve, {method: "POST", body: given.body, headers:
            {"Content-Type": "application/json", "Prefer": "wait=20", "Idempotency-Key": "page"}});
        const again = await tried(given.solve, {method: "POST", body: given.body,
            headers: {"Content-Type": "application/json"}});
        const later = await tried(JSON.parse(first.text).url);
        const balance = await tried(given.balance);
        const cancelled = await tried(JSON.parse(first.text).url, {method: "DELETE"});
        const missing = await tried(given.url + "/api/status?id=h-none");
        return {first, again, later, balance, cancelled, missing};
    """
    seen = pages.visit(browser, script, given(listed, task))
    for name in ("first", "again", "later"):
        answer = json.loads(seen[name]["text"])
        assert (seen[name]["type"], seen[name]["status"]) == ("cors", 200), seen
        assert (answer["status"], answer["solution"]) == ("solved", task.solution)
    assert seen["first"]["headers"]["preference-applied"] == "wait=20"
    assert seen["again"]["headers"]["cache-status"] == "solvegate; hit"
    assert "plan id" in json.loads(seen["balance"]["text"])
    assert json.loads(seen["cancelled"]["text"])["code"] == "already_sent"
    assert json.loads(seen["missing"]["text"])["code"] == "unknown_id"
    assert refused_origins(listed) == 0
    assert [sent["sha256"] for sent in listed.sim.requests("solve")].count(task.body_sha256) == 1


def test_a_listed_page_needs_json_as_any_tool_does(listed, browser, pages):
    before = listed.sim.counters()["solve_requests"] + 1
    for way in ("fetch of text", "no-cors fetch", "form of text", "form", "form of parts"):
        seen = pages.visit(browser, f"return await {POSTS[way]}", given(listed, job(seed=way)))
        if way == "fetch of text":
            assert json.loads(seen["text"])["code"] == "not_json"
        else:
            assert_unreadable(seen)
    assert listed.sim.counters()["solve_requests"] == before


def test_a_listed_page_of_a_client_brings_its_token_and_reads_its_limits(team, browser, pages):
    task = job(seed="team")
    material = {"url": team.url, "solve": f"{team.url}/api/solve", "body": task.body.decode(),
                "token": CI.token}
    script = """
        const json = {"Content-Type": "application/json"};
        const solve = headers => tried(given.solve,
            {method: "POST", body: given.body, headers: {...json, ...headers}});
        const nobody = await solve({});
        const apikey = await solve({apikey: given.token, uid: "u"});
        const bearer = await solve({Authorization: "Bearer " + given.token});
        const wrong = await solve({Authorization: "Bearer wrong"});
        const usage = await tried(given.url + "/usage", {headers: {apikey: given.token}});
        return {nobody, apikey, bearer, wrong, usage};
    """
    seen = pages.visit(browser, script, material)
    for name in ("nobody", "wrong"):
        assert seen[name]["status"] == 401
        assert json.loads(seen[name]["text"])["code"] == "unauthorized"
        assert seen[name]["headers"]["www-authenticate"].startswith("Bearer")
    for name in ("apikey", "bearer"):
        assert json.loads(seen[name]["text"])["solution"] == task.solution
        assert '"daily";r=99' in seen[name]["headers"]["ratelimit"]
        assert '"daily";q=100' in seen[name]["headers"]["ratelimit-policy"]
    assert json.loads(seen["usage"]["text"])["client"] == "ci"
    assert team.sim.counters()["solve_requests"] == 1


# ---- DNS rebinding ----


class Turncoat:
    """A TCP port that leads to one server first, and to another one from a moment on: what a name
    does that is rebound while a page of it is shown."""

    def __init__(self, url):
        self.leads_to(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)

    def leads_to(self, url):
        parts = urllib.parse.urlsplit(url)
        self._target = (parts.hostname, parts.port)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener's end
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near):
        """Where to is decided when the first bytes come: browsers open connections ahead."""
        with near, contextlib.suppress(OSError):
            first = near.recv(65536)
            if first:
                with socket.create_connection(self._target) as far:
                    far.sendall(first)
                    _both_ways(near, far)


def _both_ways(near, far):
    """Until one side ends."""
    with selectors.DefaultSelector() as either:
        either.register(near, selectors.EVENT_READ, far)
        either.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in either.select():
                piece = key.fileobj.recv(65536)
                if not piece:
                    return
                key.data.sendall(piece)


def test_a_name_that_is_rebound_to_the_gateway_gets_nothing(house, browser, pages):
    """To the browser the page and the gateway are one origin then: it would let the page read."""
    material = given(house, job(seed="rebound"))
    before = house.sim.settled_counters()
    script = """
        await fetch(given.turn, {mode: "no-cors"});
        const json = {"Content-Type": "application/json"};
        const solve = await tried("/api/solve", {method: "POST", body: given.body, headers: json});
        const read = await tried("/api/status?id=" + given.id);
        return {solve, read};
    """
    with Turncoat(pages.origin) as turncoat, Turn(turncoat, house.url) as turn:
        origin = f"http://{web.REBOUND}:{turncoat.port}"
        seen = pages.visit(browser, script, {**material, "turn": turn.url}, origin)
    for answer in seen.values():
        assert answer["type"] == "basic", "to the browser it is no page of the same origin"
        assert answer["status"] == 403
        assert json.loads(answer["text"])["code"] == "forbidden_host"
    assert house.sim.counters() == before


class Turn:
    """A web server whose only page, when it is asked for, turns a turncoat."""

    def __init__(self, turncoat, url):
        self._server = http.server.HTTPServer(("127.0.0.1", 0), _TurnHandler)
        self._server.turn = lambda: turncoat.leads_to(url)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _TurnHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.turn()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


# ---- the same by hand ----

PAGE = "https://tools.example"
ORIGINS = [PAGE, "http://localhost:3000", "http://[::1]:3000"]


@pytest.fixture(scope="module")
def open_house(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(mode="pro", latency=0), origins=ORIGINS, admin=LOOPBACK,
                          clients=[CI])


# Close to a listed one, but none.
STRANGERS = [
    "null", "*", "tools.example", "https://evil.example", "http://tools.example",
    "https://tools.example:444", "https://tools.example:443", "https://tools.example/",
    "https://tools.example.evil.example", "https://tools.exampl", "https://xtools.example",
    "https://TOOLS.example", "https://tools.example, https://evil.example",
    "http://localhost:30000", "http://localhost", "https://localhost:3000",
    "http://127.0.0.1:3000", "x" * 300,
]

EVERY = [
    ("GET", "/usage"), ("HEAD", "/usage"), ("GET", "/api/status?id=h-x"), ("POST", "/api/solve"),
    ("DELETE", "/api/status?id=h-x"), ("OPTIONS", "/api/solve"), ("GET", "/nowhere"),
    ("PUT", "/solve"),
]


@pytest.mark.parametrize("origin", STRANGERS)
def test_a_stranger_is_refused_whatever_he_asks(open_house, origin):
    before = open_house.sim.settled_counters()
    for method, target in EVERY:
        body = job(seed=origin).body if method in ("POST", "PUT") else None
        headers = {**CI.headers, "Origin": origin, "Content-Type": "application/json"}
        answer = open_house.request(method, target, body, headers)
        assert answer.status == 403, (method, target, answer)
        if method != "HEAD":
            expect.error(answer, 403, "forbidden_origin")
        assert not cors_fields(answer), answer
    assert open_house.sim.counters() == before


def cors_fields(answer):
    return {name.lower(): value for name, value in answer.headers
            if name.lower().startswith("access-control-")}


def in_list(value):
    return {item.strip().lower() for item in value.split(",")}


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_listed_origin_is_named_on_every_answer(open_house, origin):
    for method, target in EVERY:
        if method == "OPTIONS":
            continue
        body = b"{" if method in ("POST", "PUT") else None
        for headers in ({}, CI.headers):
            answer = open_house.request(method, target, body, {**headers, "Origin": origin,
                                                               "Content-Type": "application/json"})
            fields = cors_fields(answer)
            assert fields.pop("access-control-allow-origin") == origin, answer
            assert in_list(fields.pop("access-control-expose-headers")) == EXPOSED, answer
            assert not fields, answer
            assert "origin" in in_list(answer.header("Vary")), answer


def test_without_an_origin_there_are_no_such_fields(open_house):
    answer = open_house.get("/usage", CI.headers)
    assert answer.status == 200 and not cors_fields(answer), answer


METHODS = {"/api/solve": {"post"}, "/solve/": {"post"}, "/api/status": {"get", "head", "delete"},
           "/balance": {"get", "head"}, "/api/usage": {"get", "head"}}
FIELDS = {"apikey", "authorization", "cache-control", "content-type", "idempotency-key", "prefer",
          "uid"}


@pytest.mark.parametrize("path", METHODS)
@pytest.mark.parametrize("network", [False, True], ids=["near", "private network"])
def test_a_browser_may_ask_before(open_house, path, network):
    """Without a token, which browsers never send then."""
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "apikey,content-type"}
    if network:
        asked["Access-Control-Request-Private-Network"] = "true"
    answer = open_house.request("OPTIONS", path, None, asked)
    assert (answer.status, answer.body) == (204, b""), answer
    assert answer.header("Content-Type") is None
    fields = cors_fields(answer)
    assert fields["access-control-allow-origin"] == PAGE
    assert METHODS[path] <= in_list(fields["access-control-allow-methods"])
    assert in_list(fields["access-control-allow-headers"]) == FIELDS
    assert fields["access-control-max-age"] == "600"
    assert fields.get("access-control-allow-private-network") == ("true" if network else None)
    assert "access-control-allow-credentials" not in fields
    assert "origin" in in_list(answer.header("Vary"))


def test_asking_before_leads_nowhere_where_nothing_is(open_house):
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    expect.error(open_house.request("OPTIONS", "/nowhere", None, asked), 404, "not_found")
    asked.pop("Origin")
    expect.error(open_house.request("OPTIONS", "/solve", None, asked), 405, "method_not_allowed")


@pytest.mark.parametrize("target", ["/healthz", "/readyz", "/metrics", "/nowhere"])
def test_operators_are_called_by_no_page_but_their_own(open_house, target):
    def ask(origin):
        return request(open_house.admin_url, "GET", target, None, {"Origin": origin})

    for origin in ("http://evil.example", "null", PAGE, open_house.url):
        expect.error(ask(origin), 403, "forbidden_origin")
    assert ask(open_house.admin_url).status == (404 if target == "/nowhere" else 200)
