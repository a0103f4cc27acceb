"""The habits of published tools, each with free and pro upstreams, and both generations where
it matters. What a tool sends is written here as that tool writes it."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib import expect
from lib.build import wait_until
from lib.gateway import FINAL
from lib.http import Connection, chunked, exchange, get_url, open_blocking, request_bytes
from lib.job import job

CLIENTS = Path(__file__).parent / "clients"

SOLVE_PATHS = ["/api/solve", "/solve", "/api/solve/", "/solve/"]


@pytest.fixture
def house(simulator, gateway, mode, api):
    """A gateway before an upstream that takes 0.2 s."""
    return gateway(simulator(mode=mode, api=api, latency=0.2))


@pytest.fixture
def slow_house(simulator, gateway, mode):
    """A gateway whose first answer is always the queued one, as the upstream takes longer."""
    return gateway(simulator(mode=mode, latency=0.5), answers={"solve_hold": 0})


def poll(url):
    """Follows an address as most tools do: no credentials, only the address."""

    def final():
        answer = get_url(url)
        return answer if answer.object()["status"] in FINAL else None

    return wait_until(final, 20.0, f"{url} is final")


@pytest.mark.parametrize("path", SOLVE_PATHS)
def test_polling_the_url_without_credentials_leads_to_the_solution(house, path):
    task = job()
    first = house.solve(task, {"uid": "u", "apikey": "k"}, path)
    expect.solved(poll(first.object()["url"]), task)


@pytest.mark.parametrize("path", ["/api/status", "/status", "/api/status/", "/status/"])
def test_a_tool_may_build_the_status_address_by_hand(house, path):
    task = job()
    job_id = house.solve(task).object()["id"]
    expect.solved(poll(f"{house.url}{path}?id={job_id}"), task)


def test_pending_answers_hold_the_word_queue(slow_house):
    task = job()
    slow_house.sim.freeze()
    first = slow_house.solve(task)
    assert b"queue" in first.body
    polled = get_url(first.object()["url"])
    assert b"queue" in polled.body
    slow_house.sim.thaw()
    expect.solved(poll(first.object()["url"]), task)


def test_pending_answers_say_new_and_give_a_url(slow_house):
    slow_house.sim.freeze()
    first = slow_house.solve(job()).object()
    polled = get_url(first["url"]).object()
    assert first["status"] == polled["status"] == "new"
    assert first["url"] == polled["url"]


def test_pending_answers_repeat_target_and_time(slow_house):
    slow_house.sim.freeze()
    before = int(time.time())
    first = slow_house.solve(job(target='ein "Flugzeug" ✈'))
    body = expect.pending(first)
    assert body["target"] == 'ein "Flugzeug" ✈'
    assert before <= body["createdat"] <= int(time.time())
    assert expect.pending(slow_house.status(body["id"])) == body


def test_a_solved_answer_gives_a_url_too(simulator, gateway, api):
    house = gateway(simulator(mode="pro", api=api, latency=0))
    task = job()
    first = expect.solved(house.solve(task), task)
    assert expect.solved(get_url(first["url"]), task) == first


def test_a_tool_that_never_polls_still_has_its_job_solved(slow_house):
    slow_house.solve(job())
    wait_until(lambda: slow_house.sim.counters()["solved"] == 1)


def test_a_tool_that_polls_once_after_two_seconds_gets_the_solution(slow_house):
    task = job()
    url = slow_house.solve(task).object()["url"]
    time.sleep(2)  # the habit itself: one poll, two seconds after the answer
    expect.solved(get_url(url), task)


def test_a_tool_that_polls_for_ever_sees_the_same_error_each_time(slow_house):
    slow_house.sim.fault("solve:error=no such luck")
    url = slow_house.solve(job()).object()["url"]
    failed = expect.failed(poll(url), "upstream_rejected")
    for _ in range(5):
        assert get_url(url).object() == failed


def test_images_may_be_an_array(house):
    task = job()
    task = task.with_fields(images=list(task.fields["images"].values()))
    expect.solved(house.run(task), task)


def test_images_may_have_keys_of_another_name(house):
    task = job()
    images = {f"img{int(n) + 1}": text for n, text in task.fields["images"].items()}
    task = task.with_fields(images=images)
    expect.solved(house.run(task), task)


def test_keys_may_be_capitalised(house):
    task = job()
    task = task.renamed({name: name.capitalize() for name in task.fields})
    assert "Sitekey" in task.fields
    expect.solved(house.run(task), task)


def test_headers_may_be_recapitalised(house):
    task = job()
    first = house.solve(task, {"Apikey": "k", "Uid": "u", "CONTENT-TYPE": "application/json"})
    expect.solved(poll(first.object()["url"]), task)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"],
)
def test_the_content_type_may_have_parameters_and_any_case(house, content_type):
    task = job()
    first = house.solve(task, {"Content-Type": content_type})
    expect.solved(poll(first.object()["url"]), task)


def test_site_key_counts_as_sitekey(house):
    task = job().renamed({"sitekey": "site_key"})
    expect.solved(house.run(task), task)


@pytest.mark.parametrize("data_type", ["base64", "hcaptcha_base64"])
def test_the_oldest_tools_send_data_type_in_place_of_method(house, data_type):
    task = job(method=None, data_type=data_type)
    expect.solved(house.run(task), task)


def test_unknown_fields_pass(house):
    task = job(ln="en", softid="tool/1.2", type="grid", choices=["a", "b"], examples=["AAAA"],
               deep={"a": [{"b": None}, 1.5e3, True]})
    expect.solved(house.run(task), task)


def test_several_jobs_go_over_one_connection(house):
    connection = open_blocking(house.url)
    connection.connect()
    kept = connection.sock
    for seed in range(5):
        task = job(seed=seed)
        first = exchange(connection, "POST", "/api/solve", task.body,
                         {"Content-Type": "application/json", "Connection": "keep-alive"})
        path = house.path_of(first.object()["url"])

        def final():
            answer = exchange(connection, "GET", path)
            return answer if answer.object()["status"] in FINAL else None

        expect.solved(wait_until(final), task)
        assert connection.sock is kept
    connection.close()


async def test_connection_close_is_obeyed_after_the_whole_answer(house):
    async with await Connection.open(house.url) as connection:
        answer = await connection.request(
            "POST", "/api/solve", {"Connection": "close"}, job().body)
        assert answer.status == 200
        assert (answer.header("Connection") or "").lower() == "close"
        assert await connection.at_end()
    assert answer.object()["id"]


@pytest.mark.parametrize(
    "headers, kept",
    [
        ({"TE": "trailers", "Connection": "TE"}, True),
        ({"TE": "deflate,gzip;q=0.3", "Connection": "TE, close"}, False),
        ({"TE": "trailers", "Connection": "keep-alive, TE"}, True),
    ],
    ids=["trailers", "libwww-perl", "keep-alive"],
)
async def test_a_te_header_does_no_harm(house, headers, kept):
    task = job()
    async with await Connection.open(house.url) as connection:
        answer = await connection.request(
            "POST", "/api/solve", {**headers, "Prefer": "wait=20"}, task.body)
        expect.solved(answer, task)
        if kept:
            again = await connection.request("GET", f"/api/status?id={answer.object()['id']}")
            expect.solved(again, task)
        else:
            assert await connection.at_end()


async def test_expect_100_continue_is_answered_before_the_body_is_sent(house):
    task = job(size=20000)
    async with await Connection.open(house.url) as connection:
        whole = request_bytes("POST", "/api/solve", house.host,
                              {"Expect": "100-continue", "Prefer": "wait=20"}, task.body)
        head, body = whole.split(b"\r\n\r\n", 1)
        await connection.send(head + b"\r\n\r\n")
        assert await connection.head() == (100, [])
        await connection.send(body)
        expect.solved(await connection.answer("POST"), task)


@pytest.mark.parametrize("piece", [1, 1000, 10**6])
async def test_bodies_may_be_chunked(house, piece):
    task = job(size=100 if piece == 1 else 10000)
    async with await Connection.open(house.url) as connection:
        headers = {"Transfer-Encoding": "chunked", "Prefer": "wait=20"}
        head = request_bytes("POST", "/api/solve", house.host, headers, b"")
        await connection.send(head + chunked(task.body, piece))
        expect.solved(await connection.answer("POST"), task)


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", "data:;base64,",
                                    "data:image/jpeg;charset=utf-8;base64,"])
def test_a_data_prefix_before_an_image_is_tolerated(house, prefix):
    task = job()
    images = {n: prefix + text for n, text in task.fields["images"].items()}
    task = task.with_fields(images=images)
    expect.solved(house.run(task), task)


def test_slashes_may_be_escaped_as_php_does(house):
    task = job(size=3000, site="staging.example.com/signup")
    task = task.with_body(task.body.replace(b"/", b"\\/"))
    assert b"\\/" in task.body
    expect.solved(house.run(task), task)


@pytest.mark.parametrize("prefix", ["/api", ""])
def test_head_works_where_get_does(house, prefix):
    task = job()
    job_id = house.solve(task).object()["id"]
    house.finish(job_id)
    balance = "/api/account/balance" if prefix else "/balance"
    for target in (f"{prefix}/status?id={job_id}", balance):
        got = house.get(target)
        head = house.request("HEAD", target)
        assert head.status == got.status == 200
        assert head.body == b""
        assert head.header("Content-Type") == got.header("Content-Type")
        assert head.header("Content-Length") == str(len(got.body))


@pytest.mark.parametrize(
    "method, target, allowed",
    [
        ("GET", "/api/solve", {"POST"}),
        ("GET", "/solve/", {"POST"}),
        ("HEAD", "/solve", {"POST"}),
        ("PUT", "/solve", {"POST"}),
        ("PATCH", "/api/status?id=x", {"GET", "HEAD", "DELETE"}),
        ("POST", "/status?id=x", {"GET", "HEAD", "DELETE"}),
        ("DELETE", "/balance", {"GET", "HEAD"}),
        ("POST", "/api/account/balance", {"GET", "HEAD"}),
    ],
)
def test_another_method_gets_405_with_allow(shared_house, method, target, allowed):
    body = b"{}" if method in ("POST", "PUT", "PATCH") else None
    answer = shared_house.request(method, target, body, {"Content-Type": "application/json"})
    assert answer.status == 405
    assert allowed <= {name.strip() for name in answer.header("Allow").split(",")}
    if method != "HEAD":
        expect.error(answer, 405, "method_not_allowed")


@pytest.mark.parametrize(
    "target",
    ["/", "/api", "/api/solve/x", "/api//solve", "/API/solve", "/account/balance", "/api/balance",
     "/solvex", "/favicon.ico"],
)
def test_an_unknown_path_is_not_found(shared_house, target):
    expect.error(shared_house.get(target), 404, "not_found")


@pytest.mark.parametrize(
    "query",
    ["?id=h-unknown", "?id=" + "x" * 500, "?x=1&id=h-nosuch", "?id=%68-x", "?id=h-%E2%9C%88"],
)
@pytest.mark.parametrize("path", ["/api/status", "/status"])
def test_an_unknown_id_is_404_in_json(shared_house, path, query):
    expect.error(shared_house.get(path + query), 404, "unknown_id")


@pytest.mark.parametrize("query", ["", "?", "?id=", "?id", "?ID=h-x", "?id=%00"])
def test_a_status_without_an_id_is_refused_in_json(shared_house, query):
    answer = shared_house.get("/api/status" + query)
    assert answer.status in (400, 404)
    expect.error(answer, answer.status, ("bad_request", "unknown_id"))


@pytest.fixture(scope="module")
def shared_house(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(mode="pro", latency=0))




def run_tool(argv, task):
    """Runs a program that is given the job on standard input; returns what it printed."""
    done = subprocess.run(argv, input=task.body, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done
    return done.stdout


def assert_right(text, task):
    answer = json.loads(text)
    assert answer["status"] == "solved"
    assert answer["solution"] == task.solution


def test_curl_gets_the_solution(house):
    task = job()
    curl = ["curl", "-sS", "--noproxy", "*"]
    first = run_tool([*curl, "-H", "Content-Type: application/json", "-H", "uid: me",
                      "-H", "apikey: mine", "--data-binary", "@-", f"{house.url}/api/solve"], task)
    url = json.loads(first)["url"]
    poll(url)
    assert_right(run_tool([*curl, url], task), task)


def test_curl_with_a_big_body_is_told_to_continue(house):
    task = job(images=18, size=100_000)
    done = subprocess.run(
        ["curl", "-sS", "-v", "--noproxy", "*", "-H", "Content-Type: application/json",
         "-H", "Prefer: wait=20", "--data-binary", "@-", f"{house.url}/api/solve"],
        input=task.body, capture_output=True, timeout=60, check=True)
    assert b"> Expect: 100-continue" in done.stderr
    assert b"< HTTP/1.1 100 Continue" in done.stderr
    assert_right(done.stdout, task)


def test_a_urllib_tool_gets_the_solution(house):
    task = job()
    printed = run_tool([sys.executable, CLIENTS / "urllib_tool.py", f"{house.url}/solve"], task)
    assert_right(printed, task)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_a_node_tool_with_fetch_gets_the_solution(slow_house):
    task = job()
    printed = run_tool(["node", CLIENTS / "fetch.mjs", f"{slow_house.url}/api/solve"], task)
    assert_right(printed, task)
