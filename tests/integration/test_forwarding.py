"""What goes upstream and what comes back: the body byte for byte, the stored credential and no
other, the upstream's object with our id and url."""

import base64
import hashlib
import json
import re

import pytest

from lib import canary, expect
from lib.http import Connection, request_bytes
from lib.job import SITE, TARGET, Job, job

CLIENT_HEADERS = {
    "uid": canary.CLIENT_UID,
    "apikey": canary.CLIENT_APIKEY,
    "Authorization": f"Bearer {canary.CLIENT_BEARER}",
}


@pytest.fixture
def house(simulator, gateway, mode, api):
    return gateway(simulator(mode=mode, api=api, latency=0.1))


def written(images, text):
    """A job whose body is text, with IMAGES standing for the object of images."""
    encoded = {str(i): base64.b64encode(image).decode() for i, image in enumerate(images)}
    return Job(images, {}, text.replace("IMAGES", json.dumps(encoded)).encode())


IMAGES = [b"one", b"two!", b"three", b"\x00\xff" * 50]

ODD_BODIES = {
    "white space": '\r\n\t {\n "images"\t:\r IMAGES ,\n\n"target" : "t","method":'
    f'"hcaptcha_base64" ,"site":\n\n"{SITE}"\t}}\r\n \n',
    "key order": f'{{"site":"{SITE}","zeta":1,"method":"hcaptcha_base64","alpha":[2,1],'
    '"target":"t","images":IMAGES,"b":{"z":1,"a":2}}',
    "escapes": '{"\\u0069mages":IMAGES,"target":"\\u0061\\/\\b\\f\\n\\r\\t\\"\\\\","method":'
    '"hcaptcha\\u005fbase64","site":"staging\\u002eexample.com\\/x","note":"\\ud83d\\ude00"}',
    "unicode": '{"images":IMAGES,"target":"飛行機 ✈ \U0001f6e9 \u2028é e\u0301",'
    f'"method":"hcaptcha_base64","site":"{SITE}","ключ":"значение"}}',
    "numbers": '{"images":IMAGES,"target":"t","method":"hcaptcha_base64",'
    f'"site":"{SITE}","n":[1.50,1E+2,-0,0.1e-7,123456789012345678901234567890]}}',
}


@pytest.mark.parametrize("name", ODD_BODIES)
def test_a_body_arrives_byte_for_byte(house, name):
    task = written(IMAGES, ODD_BODIES[name])
    expect.solved(house.run(task), task)
    (received,) = house.sim.requests("solve")
    assert received["bytes"] == len(task.body)
    assert received["sha256"] == hashlib.sha256(task.body).hexdigest()


@pytest.mark.parametrize("size", [10, 1000, 30_000, 500_000])
def test_bodies_of_every_size_arrive_byte_for_byte(house, size):
    task = job(size=size)
    expect.solved(house.run(task), task)
    (received,) = house.sim.requests("solve")
    assert received["sha256"] == hashlib.sha256(task.body).hexdigest()


def test_the_clients_own_credentials_never_go_upstream(house):
    task = job()
    job_id = house.submit(task, **CLIENT_HEADERS)
    expect.solved(house.finish(job_id), task)
    house.get(f"/api/status?id={job_id}", CLIENT_HEADERS)
    house.get("/api/account/balance", CLIENT_HEADERS)
    received = house.sim.requests()
    assert {r["endpoint"] for r in received} >= {"solve", "balance"}
    for sent in received:
        text = json.dumps(sent["headers"])
        assert not [value for value in canary.CLIENTS if value in text], sent
        assert "authorization" not in lower_headers(sent)


def test_the_stored_credential_goes_upstream_on_every_request(house):
    task = job()
    expect.solved(house.run(task), task)
    house.get("/api/account/balance")
    received = house.sim.requests()
    wanted = {"solve", "status", "balance"} if house.sim.mode == "free" else {"solve", "balance"}
    assert {r["endpoint"] for r in received} == wanted
    for sent in received:
        headers = lower_headers(sent)
        assert headers["apikey"] == canary.STORED_APIKEY
        assert headers.get("uid") == (canary.STORED_UID if house.sim.api == 1 else None)


def test_a_job_goes_upstream_as_json_without_expecting_a_100(house):
    house.run(job(size=200_000))
    (sent,) = house.sim.requests("solve")
    headers = lower_headers(sent)
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(sent["bytes"])
    assert "expect" not in headers


def lower_headers(sent):
    return {name.lower(): value for name, value in sent["headers"].items()}


def test_a_solved_answer_is_the_upstreams_but_for_id_and_url(house):
    task = job()
    ours = expect.solved(house.run(task), task)
    theirs = json.loads(final_of(house.sim, task))
    volatile = {"id", "url", "processing_time"}
    assert set(ours) == set(theirs) | {"id", "url"}
    assert without(ours, volatile) == without(theirs, volatile)
    assert ours["id"] != theirs.get("id") and ours["url"] != theirs.get("url")


def final_of(sim, task):
    """What the simulator says to the job by itself, when it is solved."""
    answer = sim.solve_directly(task)
    first = json.loads(answer)
    while json.loads(answer)["status"] != "solved":
        answer = sim.call("GET", f"{sim.prefix}/status?id={first['id']}")[1]
    return answer


def without(fields, names):
    return {name: value for name, value in fields.items() if name not in names}


def test_fields_not_known_here_keep_their_very_bytes(house):
    answer = house.run(job())
    assert re.search(rb'"sim_number"\s*:\s*1\.50\s*[,}]', answer.body), answer


def test_the_upstreams_own_id_and_address_are_never_seen(simulator, gateway, api):
    house = gateway(simulator(mode="free", api=api, latency=0.3))
    task = job()
    first = house.solve(task)
    last = house.finish(first.object()["id"])
    (sent,) = house.sim.requests("solve")
    for answer in (first, last):
        assert sent["id"] not in answer.body.decode()
        assert house.sim.url not in answer.body.decode()


def test_ids_are_never_twice_the_same_and_hold_128_bits(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0))
    ids = {house.solve(job(images=1, seed=n)).object()["id"] for n in range(50)}
    assert len(ids) == 50
    assert all(len(job_id) - len("h-") >= 22 for job_id in ids)


@pytest.mark.parametrize("endpoint", ["solve", "status"])
def test_a_credential_that_the_upstream_quotes_is_blotted_out(simulator, gateway, endpoint):
    house = gateway(simulator(mode="free", latency=0.1))
    house.sim.fault(f"{endpoint}:echo")
    answer = house.run(job())
    body = expect.failed(answer, "upstream_rejected")
    assert "*" in body["message"]
    for value in canary.STORED:
        assert value not in house.log()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "gate.example.net"])
def test_the_url_is_built_from_the_host_the_tool_used(simulator, gateway, name):
    house = gateway(simulator(latency=30), server_names=["gate.example.net"])
    port = house.host.split(":")[1]
    for host in (f"{name}:{port}", name):
        answer = house.request("POST", "/api/solve", job().body,
                               {"Host": host, "Content-Type": "application/json"})
        url = expect.pending(answer)["url"]
        assert url.lower().startswith(f"http://{host}/".lower())


@pytest.fixture(scope="module")
def named(shared_simulator, shared_gateway):
    sim = shared_simulator(mode="pro", latency=0)
    return shared_gateway(sim, server_names=["gate.example.net"])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:1", "10.1.2.3:8118", "[::1]", "[::1]:8118", "localhost",
     "localhost:8118", "LOCALHOST", "gate.example.net", "GATE.example.net:80"],
)
def test_our_own_names_and_addresses_pass(named, host):
    task = job()
    answer = named.request("POST", "/solve", task.body,
                           {"Host": host, "Content-Type": "application/json"})
    expect.solved(answer, task)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8118", "localhost.evil.example", "gate.example.net.evil.example",
     "127.0.0.1.evil.example", "xgate.example.net", "example.net"],
)
@pytest.mark.parametrize("target", ["/api/solve", "/api/status?id=h-x", "/api/account/balance"])
def test_a_foreign_host_name_is_refused(named, host, target):
    before = named.sim.settled_counters()
    if target == "/api/solve":
        headers = {"Host": host, "Content-Type": "application/json"}
        answer = named.request("POST", target, job().body, headers)
    else:
        answer = named.get(target, {"Host": host})
    expect.error(answer, 403, "forbidden_host")
    after = named.sim.counters()
    for name in ("solve_requests", "balance_requests"):
        assert after[name] == before[name]


async def test_a_host_that_would_break_the_answer_is_refused(named):
    task = job()
    for host in ('localhost"}', "localhost/evil", "a@localhost", "localhost:99x", "local host"):
        async with await Connection.open(named.url) as connection:
            await connection.send(
                request_bytes("POST", "/solve", named.host, {"Host": host}, task.body))
            answer = await connection.answer("POST")
            assert answer.status in (400, 403)
            expect.error(answer, answer.status, ("bad_request", "forbidden_host"))


def test_nothing_but_a_valid_job_goes_upstream(simulator, gateway, mode):
    house = gateway(simulator(mode=mode))
    for body in (b"", b"{}", b"[]", b"{", b"null", job(images=0).body, job(target="").body):
        answer = house.request("POST", "/solve", body, {"Content-Type": "application/json"})
        expect.error(answer, 400, ("bad_json", "bad_job"))
    assert house.sim.counters()["solve_requests"] == 0


def test_only_hcaptcha_base64_is_relayed(simulator, gateway, mode):
    house = gateway(simulator(mode=mode))
    other = [job(method="ocr"), job(method="recaptcha2"), job(method=None, data_type="url")]
    for task in other:
        expect.error(house.solve(task), 403, "method_not_allowed_for_job")
    expect.error(house.solve(job(method=None)), 400, "bad_job")
    assert house.sim.counters()["solve_requests"] == 0


def test_a_bad_job_is_refused_with_the_name_of_its_field(named):
    cases = {
        "images": [{}, [], ["not base64!"], [7], "AAAA", None, [""], ["AAA"], [["AAAA"]],
                   ["https://example.com/x.png"], ["data:image/png,AAAA"], {"0": {"1": "AAAA"}}],
        "target": ["", None, 7, ["t"]],
        "method": [None, 7],
        "site": [7, ["staging.example.com"]],
    }
    for field, values in cases.items():
        for value in values:
            body = expect.error(named.solve(job().with_fields(**{field: value})), 400, "bad_job")
            assert field in body["message"], body


def test_the_gateway_answers_the_upstreams_skip_as_it_is(simulator, gateway, mode):
    house = gateway(simulator(mode=mode, latency=0.1))
    house.sim.fault("solve:skip" if mode == "pro" else "status:skip")
    body = house.run(job()).object()
    assert body["status"] == "skip"
    assert isinstance(body["message"], str)
    assert body["url"].endswith(body["id"])


def test_the_target_of_a_pending_answer_is_the_tools_own(simulator, gateway):
    house = gateway(simulator(mode="free", latency=30))
    assert expect.pending(house.solve(job()))["target"] == TARGET
