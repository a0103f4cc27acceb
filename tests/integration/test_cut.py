"""The connection to the upstream is cut at every byte of the request and of the answer: nothing is
paid for twice, and every job ends in a state that is true."""

import pytest

from lib import expect
from lib.build import SANITIZE
from lib.cutter import ANSWER, CLOSE, REQUEST, RESET, Cut, Cutter
from lib.gateway import FINAL
from lib.job import job
from lib.state import assert_ledger_agrees

LANES = 16
STEP = 1 if SANITIZE is None else 7  # bytes between two cuts

# Uncut jobs go first, to learn how long a request and an answer are.
WHOLE = 20

# A poll that is cut costs 0.1 s or more, and a job is polled until it is solved.
POLL_STEP = 3 * STEP


def small_job(seed):
    """One image of its own, and so a body of its own; all of them equally long."""
    return job(images=1, size=12, seed=seed, target="airplane")


def proxied(gateway, sim, cutter, state_directory, **settings):
    """A gateway with an account behind each of the proxy's lanes."""
    upstreams = [{"name": f"lane-{number}", "url": url, "api": sim.api, "max_in_flight": 1}
                 for number, url in enumerate(cutter.urls)]
    return gateway(upstreams=upstreams, durability="full", state_directory=state_directory,
                   retry={"base": 0.01, "cap": 0.05}, limits={"job_deadline": 100.0}, **settings)


class Bought:
    """What the simulator charged, by the digest of the body."""

    def __init__(self, sim):
        self.charges = {}
        for sent in sim.requests("solve"):
            if sent["charged"]:
                self.charges[sent["sha256"]] = self.charges.get(sent["sha256"], 0) + 1

    def of(self, task):
        return self.charges.get(task.body_sha256, 0)


def assert_true(answer, task, bought):
    """The job's state is what happened. Returns the code of an error, or None."""
    body = answer.object()
    if body["status"] == "solved":
        expect.solved(answer, task)
        assert bought.of(task) == 1, (body, bought.of(task))
        return None
    expect.failed(answer, ("outcome_unknown", "upstream_unavailable"))
    assert bought.of(task) <= (1 if body["code"] == "outcome_unknown" else 0), body
    return body["code"]


def run_jobs(house, first, count):
    """Runs count jobs at once; returns them with their last answers."""
    tasks = [small_job(seed) for seed in range(first, first + count)]
    ids = [house.submit(task) for task in tasks]
    answers = [house.status(job_id, "&wait=60") for job_id in ids]
    assert all(answer.object()["status"] in FINAL for answer in answers)
    return list(zip(tasks, answers))


@pytest.mark.parametrize("how", [RESET, CLOSE])
@pytest.mark.parametrize("where", [REQUEST, ANSWER])
def test_a_solve_cut_at_any_byte_is_paid_for_once_at_most(simulator, gateway, tmp_path, mode,
                                                          where, how):
    sim = simulator(mode=mode, latency=0)
    with Cutter(sim.url, LANES) as cutter:
        house = proxied(gateway, sim, cutter, tmp_path / "state")
        for task, answer in run_jobs(house, 0, WHOLE):
            expect.solved(answer, task)
        offsets = range(0, cutter.lengths[where] + 1, STEP)
        assert len(offsets) * STEP > 100
        cutter.plan(Cut(where, offset, how) for offset in offsets)

        ended, seed = [], WHOLE
        while cutter.left():
            count = 2 * cutter.left() + LANES
            ended += run_jobs(house, seed, count)
            seed += count
        house.stop_well()
        assert cutter.done == len(offsets)

        bought = Bought(sim)
        codes = [assert_true(answer, task, bought) for task, answer in ended]
        assert sum(code is not None for code in codes) <= cutter.done
        assert max(bought.charges.values()) == 1
        if where == REQUEST:  # all but that which went through whole cannot have been charged
            cut = [task for (task, _), code in zip(ended, codes) if code is not None]
            assert sum(bought.of(task) for task in cut) <= 1
        counts = assert_ledger_agrees(tmp_path / "state", sim.counters()["charged"])
        assert counts["unknown"] == codes.count("outcome_unknown")


@pytest.mark.parametrize("how", [RESET, CLOSE])
@pytest.mark.parametrize("where", [REQUEST, ANSWER])
def test_a_poll_cut_at_any_byte_does_not_lose_the_job(simulator, gateway, tmp_path, where, how):
    sim = simulator(mode="free", latency=0)
    # After a whole answer the cut would hit whatever goes over the connection next.
    with Cutter(sim.url, LANES, method="GET", withheld=1) as cutter:
        house = proxied(gateway, sim, cutter, tmp_path / "state",
                        poll={"first": 0.02, "interval": 0.02, "cap": 0.05})
        for task, answer in run_jobs(house, 0, WHOLE):
            expect.solved(answer, task)
        offsets = range(0, cutter.lengths[where] + 1, POLL_STEP)
        cutter.plan(Cut(where, offset, how) for offset in offsets)
        seed = WHOLE
        while cutter.left():
            count = 2 * cutter.left() + LANES
            for task, answer in run_jobs(house, seed, count):
                expect.solved(answer, task)
            seed += count
        house.stop_well()
        assert cutter.done == len(offsets)
        assert sim.counters()["charged"] == seed
        counts = assert_ledger_agrees(tmp_path / "state", seed)
        assert counts == {"open": 0, "charged": seed, "not_charged": 0, "unknown": 0}
