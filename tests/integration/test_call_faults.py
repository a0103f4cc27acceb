"""Every call that may fail does so once, alone: memory, libcurl, SQLite, files and threads, through
the start, a solve with its polls, a reload and the stop. No crash, no leak (with a sanitizer), no
wait without end, no wrong answer, nothing bought twice, no accepted job lost.

SOLVEGATE_LONG=1 takes every call; otherwise a sample of them.
"""

import contextlib
import http.client
import os
from collections import Counter

import pytest

from lib import expect
from lib.build import SANITIZE, wait_until
from lib.callfault import CURL, MEMORY, READ, SQLITE, THREAD, WRITE, FailingCalls
from lib.gateway import FINAL, STOP_TIMEOUT
from lib.http import parse_json
from lib.job import job
from lib.state import assert_ledger_agrees

LONG = bool(os.environ.get("SOLVEGATE_LONG"))

# gcov asks for memory when the daemon ends, and does not look whether it got some.
COVERAGE = bool(os.environ.get("SOLVEGATE_COVERAGE"))

# What fails: the families of calls, and which modules' calls count. Of the files, those of the state
# directory are written, and the configuration is read too. Memory that libcurl and libconfig ask for
# is left out: libcurl 7.88 divides by zero without some of it, libconfig 1.5 does not look.
KINDS = {
    "memory": (MEMORY, ("main",)),
    "memory-sqlite": (MEMORY, ("libsqlite3",)),
    "memory-http": (MEMORY, ("libmicrohttpd",)),
    "curl": (CURL, ("main",)),
    "sqlite": (SQLITE, ("main",)),
    "read": (READ, ("main", "libsqlite3")),
    "write": (WRITE, ("main", "libsqlite3")),
    "thread": (THREAD, ("main",)),
}

# So many calls are tried where not all are, spread over the phase.
SAMPLE = 12 if SANITIZE is None else 4

# How a job may end because of one failed call: it was not bought, or may have been.
REFUSALS = ("queue_full", "store_unavailable", "no_upstream")
FAILURES = ("outcome_unknown", "upstream_unavailable")

RETRY = {"attempts": 4, "base": 0.01, "cap": 0.05, "probe": 0.05, "recheck": 0.05}

# The long form in pieces, which run at the same time.
PARTS = 4 if LONG else 1


def each_number(counted, part):
    """The numbers of the calls to be failed, where a phase has so many."""
    if LONG or counted <= SAMPLE:
        return range(1 + part, counted + 1, PARTS)
    return sorted({1 + n * counted // SAMPLE for n in range(SAMPLE)} | {counted})


class Trial:
    """A gateway whose calls can fail, and what clients know of their jobs."""

    def __init__(self, kind, simulator, gateway, tmp_path):
        families, modules = KINDS[kind]
        self.directory = tmp_path / "state"
        self.directory.mkdir(mode=0o700)
        files = self.directory if families == WRITE else tmp_path
        self.calls = FailingCalls(tmp_path / "calls", families, modules, files)
        self.sim = simulator(mode="free", latency=0)
        self.house = gateway(self.sim, durability="full", state_directory=self.directory,
                             environment=self.calls.environment, retry=RETRY)
        self.jobs = {}  # by id, those whose ids have left and that were solved
        self.bodies = []
        self.number = 0

    def job(self):
        self.number += 1
        made = job(images=2, size=300, seed=self.number)
        self.bodies.append(made.body_sha256)
        return made

    def count(self, phase):
        """How many calls a phase has."""
        self.calls.mend()
        before = self.calls.calls
        phase()
        return self.calls.calls - before

    def solve(self):
        """A job, posted and polled as a client does. Any answer must be documented."""
        task = self.job()
        try:
            answer = self.house.solve(task, {"Prefer": "wait=5"})
            if answer.status == 503:
                expect.error(answer, 503, REFUSALS)
                return
            job_id = answer.object()["id"]
            if answer.object()["status"] not in FINAL:
                expect.pending(answer)
                answer = self.follow(job_id)
        except (ConnectionError, http.client.HTTPException):
            return  # there was no memory for a response
        self.record(job_id, task, answer)

    def record(self, job_id, task, answer):
        if answer.object()["status"] == "solved":
            expect.solved(answer, task)
            self.jobs[job_id] = task
        else:
            expect.failed(answer, FAILURES)

    def follow(self, job_id):
        def final():
            try:
                answer = self.house.status(job_id)
            except (ConnectionError, http.client.HTTPException):
                return None
            if answer.status == 503:
                expect.error(answer, 503, REFUSALS)
                return None
            assert answer.status == 200, answer  # a job whose ID has left is not forgotten
            return answer if answer.object()["status"] in FINAL else None

        return self.wait(final, f"{job_id} is final")

    def follow_pending(self):
        """The job that was under way at the stop is known, and ends."""
        job_id, task = self.pending
        self.record(job_id, task, self.follow(job_id))

    def assert_goes_on(self):
        """Without a further fault a job is solved soon, and the jobs from before are known."""
        self.calls.mend()
        task = self.job()

        def solved():
            answer = self.house.solve(task, {"Prefer": "wait=5"})
            return answer if answer.status == 200 else None

        answer = self.wait(solved, "a job is accepted")
        expect.solved(answer, task)
        self.jobs[answer.object()["id"]] = task
        assert self.calls.calls > 0, "the library is not in the way of the daemon's calls"

    def assert_bought_once(self):
        bought = Counter(r["sha256"] for r in self.sim.requests("solve") if r["charged"])
        assert all(count == 1 for count in bought.values()), bought
        assert set(bought) <= set(self.bodies)

    def assert_ends_well(self):
        """After a stop and a start every solution is still there, and the ledger agrees: what could
        not be written for want of memory is settled at the start."""
        self.calls.mend()
        self.house.stop_well()
        self.house.start_again()
        for job_id, task in self.jobs.items():
            expect.solved(self.house.status(job_id), task)
        self.assert_goes_on()
        self.assert_bought_once()
        self.house.stop_well()
        assert_ledger_agrees(self.directory, self.sim.counters()["charged"])

    # ---- phases ----

    def reload(self):
        """Another configuration is put in force, or the old one stays."""
        self.number += 1
        self.house.configure(limits={"drain_timeout": 0.3, "images": 10 + self.number % 50})
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            answer = self.house.operate("POST", "/control/reload")
            assert answer.status in (200, 422, 503) and parse_json(answer.body), answer

    def start(self):
        """Returns whether it has started; if not, it has said why."""
        try:
            self.house.start_again()
        except AssertionError:
            assert self.house.popen.returncode in (1, 2), self.problem("a start that failed")
            assert self.house.log().strip(), self.problem("nothing says why it did not start")
        return self.house.running()

    def stop(self):
        """With a job under way."""
        task = self.job()
        self.pending = self.house.submit(task), task
        self.stop_only()

    def stop_only(self):
        status = self.house.stop(STOP_TIMEOUT)
        assert status in (0, 1), self.problem(f"exit status {status}")

    def wait(self, predicate, what):
        try:
            return wait_until(predicate, 15.0, what)
        except AssertionError as error:
            raise AssertionError(self.problem(str(error))) from None

    def problem(self, what):
        return f"{what}; {self.calls.which} failed\n{self.house.log()[-3000:]}"


@pytest.fixture(params=KINDS)
def trial(request, simulator, gateway, tmp_path):
    made = Trial(request.param, simulator, gateway, tmp_path)
    yield made
    made.calls.mend()


@pytest.fixture(params=range(PARTS))
def part(request):
    return request.param


def test_each_call_of_a_solve_may_fail(trial, part):
    trial.solve()  # the first one does more
    for number in each_number(trial.count(trial.solve), part):
        trial.calls.fail(number)
        trial.solve()
        trial.assert_goes_on()
    trial.assert_ends_well()


def test_a_large_body_that_no_memory_is_left_for_is_not_one_of_too_many(
        simulator, gateway, tmp_path):
    """It is parsed off the loop, which needs memory too. No other body waits."""
    calls = FailingCalls(tmp_path / "calls", *KINDS["memory"])
    house = gateway(simulator(mode="pro", latency=0), environment=calls.environment)

    def solve(seed):
        try:
            return house.solve(job(images=4, size=90_000, seed=seed), {"Prefer": "respond-async"})
        except (ConnectionError, http.client.HTTPException):
            return None  # there was no memory for a response

    expect.pending(solve("first"))
    before, refused = calls.calls, []
    solve("counted")
    for number in range(1, calls.calls - before + 1):
        calls.fail(number)
        answer = solve(number)
        if answer is not None and answer.status == 503:
            refused.append(expect.error(answer, 503, REFUSALS)["message"])
        calls.mend()
    assert any("no memory" in message for message in refused), refused
    assert not [message for message in refused if "too many" in message]


def shape(value):
    """What of an answer does not change from one second to the next."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return [shape(element) for element in value] if isinstance(value, list) else type(value)


def test_each_call_of_an_answer_may_fail_but_none_leaves_out_a_part(simulator, gateway, tmp_path):
    """json-c goes on after an append that has failed."""
    calls = FailingCalls(tmp_path / "calls", MEMORY, ("libjson-c",))
    house = gateway(simulator(), environment=calls.environment)

    def ask():
        try:
            return house.operate("GET", "/control/status")
        except (ConnectionError, http.client.HTTPException):
            return None  # there was no memory for a response

    def balance():
        return parse_json(ask().body)["upstreams"][0]["balance"]

    wait_until(lambda: balance() is not None, 15.0, "the upstream tells its balance")
    before = calls.calls
    whole = shape(parse_json(ask().body))
    statuses = Counter()
    for number in range(1, calls.calls - before + 1):
        calls.fail(number)
        answer = ask()
        calls.mend()
        statuses[answer.status if answer else None] += 1
        if answer and answer.status == 200:
            assert shape(parse_json(answer.body)) == whole, calls.which
        elif answer:
            expect.error(answer, 503, REFUSALS)
    assert statuses[503] > 100, statuses


def test_each_call_of_a_reload_may_fail(trial, part):
    for number in each_number(trial.count(trial.reload), part):
        trial.calls.fail(number)
        trial.reload()
        trial.calls.mend()
        trial.house.reload()
        trial.assert_goes_on()
    trial.assert_ends_well()


def test_each_call_of_a_start_may_fail(trial, part):
    trial.assert_goes_on()
    trial.house.stop_well()
    for number in each_number(trial.count(trial.start), part):
        trial.house.stop_well()
        trial.calls.fail(number)
        if not trial.start():
            trial.calls.mend()
            trial.house.start_again()
        trial.assert_goes_on()
    trial.assert_ends_well()


@pytest.mark.skipif(COVERAGE, reason="gcov ends the process without memory")
def test_each_call_of_a_stop_may_fail(trial, part):
    for number in each_number(trial.count(trial.stop), part):
        trial.calls.mend()
        trial.house.start_again()
        trial.follow_pending()
        task = trial.job()
        trial.pending = trial.house.submit(task), task
        trial.calls.fail(number)
        trial.stop_only()
    trial.calls.mend()
    trial.house.start_again()
    trial.follow_pending()
    trial.assert_goes_on()
    trial.assert_ends_well()
