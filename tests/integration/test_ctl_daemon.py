"""solvegatectl and the daemon itself: each command says or does what it should."""

import re
import subprocess

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.clients import Client
from lib.ctl import NO_DAEMON, PROGRAM, ctl, environment, told, told_json
from lib.job import job

NEVER = 60
CI = Client("ci", max_in_flight=4, daily_limit=100)
ANN = Client("ann")


@pytest.fixture
def busy(simulator, gateway):
    """One job of ci is under way, one of ci and one of ann wait. Gives the gateway and the ids."""
    house = gateway(simulator(mode="pro", latency=NEVER), clients=[CI, ANN],
                    upstream={"max_in_flight": 1})
    ids = [house.submit(job(seed=0), **CI.headers)]
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    ids += [house.submit(job(seed=1), **CI.headers), house.submit(job(seed=2), **ANN.headers)]
    return house, ids


def rows(text):
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_status_tells_of_the_daemon(busy):
    house, _ = busy
    status = told_json(house.socket, "status")
    assert (status["pid"], status["queue"]["jobs"], status["in_flight"]) == (house.pid, 2, 1)
    out = told(house.socket, "status")
    assert out.startswith(f"solvegate {status['version']} takes jobs\n")
    for words in ("2 jobs; 2 of 10000 to buy", str(house.pid), house.url, str(house.config),
                  house.sim.url):
        assert words in out, words


def test_jobs_are_listed_the_oldest_first_and_chosen(busy):
    house, ids = busy
    table = rows(told(house.socket, "jobs"))
    assert [row[0] for row in table[1:]] == ids
    assert [row[1] for row in table[1:]] == ["ci", "ci", "ann"]
    assert [row[2] for row in table[1:]] == ["sending", "queued", "queued"]

    def chosen(*options):
        return [entry["id"] for entry in told_json(house.socket, "jobs", *options)["jobs"]]

    assert chosen("--client", "ann") == ids[2:]
    assert chosen("--state", "queued") == ids[1:]
    assert chosen("--limit", "1") == ids[:1]
    assert "the 1 oldest of 3 jobs" in told(house.socket, "jobs", "--limit", "1")
    assert told(house.socket, "jobs", "--client", "nobody") == "no unfinished jobs\n"


def test_a_state_that_is_none_is_refused(busy):
    status, out, complaint = ctl(busy[0].socket, "jobs", "--state", "solved")
    assert (status, out) == (1, "") and "bad_request" in complaint


def test_a_job_is_shown_while_it_waits_and_when_it_has_ended(busy):
    house, ids = busy
    shown = dict(rows(told(house.socket, "job", ids[1])))
    assert (shown["id"], shown["client"], shown["state"]) == (ids[1], "ci", "queued")
    assert told(house.socket, "cancel", ids[1]) == f"{ids[1]} is cancelled\n"
    shown = dict(rows(told(house.socket, "job", ids[1])))
    assert (shown["state"], shown["code"]) == ("cancelled", "cancelled") and shown["finished"]
    expect.failed(house.status(ids[1]), "cancelled")


def test_a_job_that_was_sent_is_not_cancelled_and_an_unknown_one_is_none(busy):
    house, ids = busy
    for command, code in (("cancel", ids[0]), "already_sent"), (("job", "h-none"), "unknown_id"):
        status, out, complaint = ctl(house.socket, *command)
        assert (status, out) == (1, "") and f"({code})" in complaint


def test_a_solution_is_never_shown(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0))
    task = job(target="a target that nobody else has")
    job_id = expect.solved(house.solve(task), task)["id"]
    for options in (), ("--json",):
        out = told(house.socket, *options, "job", job_id)
        assert "solved" in out and "solution" not in out and task.digest not in out


def test_clients_and_usage_are_listed(busy):
    house, _ = busy
    clients = {row[0]: row for row in rows(told(house.socket, "clients"))}
    assert clients["ci"][1:5] == ["1", "1 of 4", "2", "2 of 100"]
    assert clients["ann"][1] == "1"
    usage = told_json(house.socket, "usage")
    assert {entry["name"] for entry in usage["clients"]} == {"ci", "ann"}
    assert "2 of 100" in told(house.socket, "usage")


def test_upstreams_and_balance_are_listed(busy):
    house, _ = busy
    assert rows(told(house.socket, "upstreams"))[1][:3] == ["main", "up", "1 of 1"]
    assert rows(told(house.socket, "balance"))[1][0] == "main"


def test_a_balance_that_was_asked_for_is_shown(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0))
    assert house.get("/api/account/balance").status == 200
    assert "planlimit" in told(house.socket, "balance")
    assert rows(told(house.socket, "upstreams"))[1][3] != "-"


def test_a_reload_that_finds_a_need_for_a_restart_alone_says_so(simulator, gateway):
    house = gateway(simulator())
    assert told(house.socket, "reload") == "reloaded: nothing is different\n"
    house.configure(workers=3)
    assert told(house.socket, "reload") == (
        "reloaded: what may change without a restart is as before\n"
        "a restart is needed for workers\n")


def test_drained_it_takes_no_jobs_until_resumed(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0))
    assert "no more jobs are taken" in told(house.socket, "drain")
    expect.error(house.solve(job()), 503, "draining")
    assert "is drained" in told(house.socket, "status").splitlines()[0]
    assert told(house.socket, "resume") == "jobs are taken\n"
    expect.solved(house.solve(job()), job())


def test_a_reload_is_over_when_it_is_told(busy):
    house, _ = busy
    house.configure(clients=[CI, ANN, Client("new")])
    assert told(house.socket, "reload").startswith("reloaded")
    assert "new" in [row[0] for row in rows(told(house.socket, "clients"))]


def test_a_bad_configuration_is_told_by_file_and_line(busy):
    house, _ = busy
    house.config.write_text(house.config.read_text() + "\nclints = ( );\n")
    status, out, complaint = ctl(house.socket, "reload")
    assert (status, out) == (1, "")
    assert f"{house.config}:" in complaint and "clints" in complaint
    assert "the reload of" in told(house.socket, "status")


def test_what_needs_a_restart_is_told(busy):
    house, _ = busy
    house.configure(workers=3)
    assert "a restart is needed for workers" in told(house.socket, "reload")
    assert "a restart is needed for workers" in told(house.socket, "status")


def test_top_prints_a_page_of_the_daemon(busy):
    house, ids = busy
    out = told(house.socket, "top")
    assert all(job_id in out for job_id in ids) and "ann" in out and "main" in out


def test_a_daemon_that_has_stopped_is_not_there(busy):
    house, _ = busy
    house.stop_well()
    status, out, complaint = ctl(house.socket, "status")
    assert (status, out) == (NO_DAEMON, "") and "is solvegate running" in complaint


def test_a_daemon_that_was_killed_is_not_there(busy):
    house, _ = busy
    house.kill()
    assert ctl(house.socket, "status")[0] == NO_DAEMON
    house.start_again()


@pytest.mark.parametrize("name", ["local", "sgt_" + "x" * 40, "a b"])
def test_a_name_that_gets_no_token_is_none_in_the_configuration_and_the_other_way(
        busy, name, tmp_path):
    house, _ = busy
    done = subprocess.run([PROGRAM, "token", "new", name], capture_output=True, text=True,
                          timeout=patience(60), check=False, cwd=tmp_path, env=environment())
    assert (done.returncode, done.stdout) == (2, "")
    house.configure(clients=[CI, Client(name)])
    status, _, complaint = ctl(house.socket, "reload")
    assert status == 1
    rule = done.stderr.partition('" ')[2].strip()
    assert rule and rule in complaint and "x" * 40 not in complaint
