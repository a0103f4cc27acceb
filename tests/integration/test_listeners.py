"""Every listener is announced, answers, and gives out addresses of its own."""

import re
import socket
import subprocess

import pytest

from lib import expect, libconfig
from lib.build import BUILD, patience
from lib.gateway import LOOPBACK, STORED_CREDENTIAL, configuration, write_credential
from lib.http import get_url, request
from lib.job import job

LOOPBACK_6 = {"address": "::1", "port": 0}


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def solve_at(url, task):
    headers = {"Content-Type": "application/json"}
    return request(url, "POST", "/solve", task.body, headers)


def test_each_listener_has_a_ready_line_and_answers(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), listen=[LOOPBACK] * 3)
    assert len(set(house.urls)) == 3
    for url in house.urls:
        task = job(seed=url)
        answer = expect.solved(solve_at(url, task), task)
        assert answer["url"].startswith(url + "/")


def test_a_job_is_seen_from_every_listener(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), listen=[LOOPBACK] * 2)
    task = job()
    job_id = expect.solved(solve_at(house.urls[0], task), task)["id"]
    expect.solved(request(house.urls[1], "GET", f"/status?id={job_id}"), task)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_an_ipv6_listener_gives_out_bracketed_addresses(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), listen=[LOOPBACK_6])
    assert re.fullmatch(r"http://\[::1\]:\d+", house.url)
    task = job()
    answer = expect.solved(solve_at(house.url, task), task)
    assert answer["url"].startswith(house.url + "/")
    expect.solved(get_url(answer["url"]), task)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_job_is_seen_from_every_worker(simulator, gateway, workers):
    """Each status request comes on a new connection, which any worker may accept."""
    house = gateway(simulator(latency=0.5), workers=workers)
    task = job()
    job_id = house.submit(task)
    for _ in range(20):
        expect.pending(house.status(job_id))
    house.finish(job_id)
    for _ in range(20):
        expect.solved(house.status(job_id), task)


def test_a_port_that_is_taken_is_an_error_that_names_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        write_credential(tmp_path, "account", STORED_CREDENTIAL)
        upstream = {"name": "main", "url": "http://127.0.0.1:1", "credential": "account"}
        config = tmp_path / "solvegate.conf"
        config.write_text(libconfig.dumps(
            configuration([{"address": "127.0.0.1", "port": port}], [upstream])))
        done = subprocess.run([BUILD / "solvegate", "-c", config], capture_output=True, text=True,
                              timeout=patience(10), check=False)
    assert done.returncode == 1
    assert re.search(rf"127\.0\.0\.1\b.*\b{port}\b", done.stderr)
    assert "ready http" not in done.stderr
