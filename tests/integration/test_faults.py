"""Whatever the upstream does, on each of its endpoints: the tool gets well-formed JSON in time,
nothing is paid for twice, and the gateway goes on."""

import time

import pytest

from lib import canary, expect
from lib.build import patience, wait_until
from lib.gateway import FINAL
from lib.job import job
from lib.network import closed_port

# Answers to a solve that say no to this job: the tool is told why.
JOB_REFUSALS = (
    "status=400",
    "status=403",
    "status=404",
    "code=10",
    "code=12",
    "error=Wrong target",
    "echo",
)

# Those that say no to the account: so is the tool, and the upstream is left alone for a while.
ACCOUNT_REFUSALS = ("status=401", "status=402", "code=1", "code=3", "code=14", "code=15")

# Those that say "not now": the job is sent again (test_retries.py); here there is one try only.
LATER = (
    "status=429",
    "status=429/1",
    "status=503",
    "status=503/2",
    "status=503/date",
    "code=2",
    "code=16",
    "code=21",
)

# Refusals that the documents leave open: the quota of a plan may be "later" or "no".
QUOTA_REFUSALS = ("code=17", "code=18")

# What leaves open whether the job was taken and charged; it was, each time.
OPEN_OUTCOMES = (
    "reset",
    "close",
    "truncate",
    "garbage",
    "html",
    "html=502",
    "empty",
    "notobject",
    "numeric",
    "noid",
    "huge",
    "deep",
)

# A connection that ends before the body was read. Nothing can have been charged, so the gateway
# may send the job on another connection if not a byte of the body had left it.
EARLY_END = "reset-early"

# As open as those, but the answer does not come to its end before the job's deadline.
STALLS = ("hang", "drip")

# On status: not a clear final answer, so the job is asked for again.
POLLED_THROUGH = (
    "status=401",
    "status=402",
    "status=429",
    "status=500",
    "status=502",
    "status=503",
    "status=503/1",
    "status=503/date",
    "code=2",
    "code=16",
    "code=21",
    EARLY_END,
    *OPEN_OUTCOMES,
)

BALANCE_FAULTS = (
    "status=401",
    "status=402",
    "status=500",
    "status=503",
    "code=16",
    "error=No balance",
    "echo",
    EARLY_END,
    *(kind for kind in OPEN_OUTCOMES if kind != "noid"),
)

DEADLINE = 1.5

ONE_TRY = {"attempts": 1}
RECHECK = 0.5


def is_wellformed(answer):
    """An answer that no published tool crashes on."""
    body = answer.object()
    if body["status"] != "solved":
        assert isinstance(body["message"], str), answer
    return body


def solve_held(house, task, within=10.0):
    """Posts a job, waits until it is final, and sees that it comes in time."""
    started = time.monotonic()
    answer = house.solve(task, {"Prefer": "wait=60"})
    assert time.monotonic() - started < patience(within)
    is_wellformed(answer)
    assert answer.object()["status"] in FINAL, answer
    assert house.status(answer.object()["id"]).object() == answer.object()
    return answer


def assert_goes_on(house):
    """A good job works after the faults are gone."""
    house.sim.clear_faults()
    task = job(seed="afterwards")
    expect.solved(house.run(task), task)


def wait_until_tried_again(house):
    """The account was refused: jobs are, too, until it is tried again."""

    def taken():
        answer = house.solve(job(seed="again"))
        if answer.status == 503:
            expect.error(answer, 503, "no_upstream")
        return answer.status == 200

    house.sim.clear_faults()
    wait_until(taken)


def assert_sent_once(house, requests=1):
    counters = house.sim.counters()
    assert counters["solve_requests"] == requests
    assert counters["charged"] <= requests


@pytest.fixture
def house(simulator, gateway, mode):
    return gateway(simulator(mode=mode, latency=0.1))


@pytest.fixture
def one_try(simulator, gateway, mode):
    """As house, but a job that was turned away is not sent again."""
    return gateway(simulator(mode=mode, latency=0.1), retry=ONE_TRY)


@pytest.fixture
def single(simulator, gateway, mode):
    """With one worker, and so one set of connections: the second job goes over the first's. The
    first has a new one, as that of the balance asked for at the start is closed."""
    house = gateway(simulator(mode=mode, latency=0.1, faults=["balance:close*1"]), workers=1)
    wait_until(lambda: house.sim.counters()["balance_requests"] >= 1)
    return house


def warm_up(house):
    """Leaves a kept connection to the upstream behind."""
    task = job(seed="before")
    expect.solved(solve_held(house, task), task)


@pytest.mark.parametrize("kind", JOB_REFUSALS)
def test_a_refusal_of_a_job_is_told_to_the_tool(house, kind):
    house.sim.fault(f"solve:{kind}")
    body = expect.failed(solve_held(house, job()), "upstream_rejected")
    if kind.startswith("error="):
        assert kind.removeprefix("error=") in body["message"]
    assert_sent_once(house)
    assert house.sim.counters()["charged"] == 0
    assert_goes_on(house)


@pytest.mark.parametrize("kind", ACCOUNT_REFUSALS)
def test_a_refusal_of_the_account_is_told_to_the_tool(simulator, gateway, mode, kind):
    house = gateway(simulator(mode=mode, latency=0.1), retry={"recheck": RECHECK})
    house.sim.fault(f"solve:{kind}")
    expect.failed(solve_held(house, job()), "upstream_rejected")
    assert_sent_once(house)
    assert house.sim.counters()["charged"] == 0
    wait_until_tried_again(house)
    assert_goes_on(house)


@pytest.mark.parametrize("kind", LATER)
def test_an_upstream_that_cannot_take_the_job_now_is_told_to_the_tool(one_try, kind):
    one_try.sim.fault(f"solve:{kind}")
    expect.failed(solve_held(one_try, job()), "upstream_unavailable")
    assert_sent_once(one_try)
    assert one_try.sim.counters()["charged"] == 0
    assert_goes_on(one_try)


@pytest.mark.parametrize("kind", QUOTA_REFUSALS)
def test_a_used_up_plan_is_told_to_the_tool(one_try, kind):
    one_try.sim.fault(f"solve:{kind}")
    expect.failed(solve_held(one_try, job()), ("upstream_rejected", "upstream_unavailable"))
    assert_sent_once(one_try)
    assert_goes_on(one_try)


def test_a_server_error_in_the_upstreams_own_words_is_told_to_the_tool(house):
    house.sim.fault("solve:status=500")
    expect.failed(solve_held(house, job()), ("upstream_rejected", "outcome_unknown"))
    assert_sent_once(house)
    assert_goes_on(house)


@pytest.mark.parametrize("kind", OPEN_OUTCOMES)
def test_an_answer_that_leaves_the_outcome_open_is_never_sent_again(house, kind):
    house.sim.fault(f"solve:{kind}")
    expect.failed(solve_held(house, job()), "outcome_unknown")
    assert_sent_once(house)
    assert house.sim.counters()["charged"] == 1
    assert_goes_on(house)


@pytest.mark.parametrize("kind", ["reset", "close", "truncate", "empty"])
def test_a_fault_on_a_connection_used_before_does_not_make_it_sent_again(single, kind):
    warm_up(single)
    single.sim.fault(f"solve:{kind}")
    expect.failed(solve_held(single, job()), "outcome_unknown")
    assert_sent_once(single, requests=2)
    assert single.sim.counters()["charged"] == 2
    assert_goes_on(single)


@pytest.mark.parametrize("count", ["", "*1"])
@pytest.mark.parametrize("warm", [False, True], ids=["new", "used before"])
def test_a_connection_that_ends_before_the_body_costs_nothing(single, warm, count):
    """As long as nothing of the body was written the job is sent again: by probes, too, which are
    no attempts. How much was written when the reset came is up to the kernel."""
    if warm:
        warm_up(single)
    single.sim.fault(f"solve:{EARLY_END}{count}")
    answer = solve_held(single, job())
    if answer.object()["status"] == "error":
        expect.failed(answer, ("outcome_unknown", "upstream_unavailable"))
    else:
        assert count, "each attempt ends before the body"
        expect.solved(answer, job())
    solved = int(warm) + (answer.object()["status"] == "solved")
    counters = single.sim.counters()
    assert counters["charged"] == solved
    assert not count or counters["solve_requests"] <= 2 + int(warm)
    assert_goes_on(single)


@pytest.mark.parametrize("kind", STALLS)
def test_an_answer_that_never_ends_is_given_up_at_the_deadline(simulator, gateway, mode, kind):
    house = gateway(simulator(mode=mode, latency=0.1), limits={"job_deadline": DEADLINE})
    house.sim.fault(f"solve:{kind}")
    started = time.monotonic()
    expect.failed(solve_held(house, job(), within=DEADLINE + 3), "outcome_unknown")
    assert time.monotonic() - started >= DEADLINE - 0.1
    assert_sent_once(house)
    assert_goes_on(house)


def test_a_slow_answer_is_waited_for(house):
    house.sim.fault("solve:slow=1")
    task = job()
    expect.solved(solve_held(house, task), task)
    assert_sent_once(house)


def test_a_final_answer_with_members_twice_is_mended_or_open(house):
    house.sim.fault("solve:duplicate")
    answer = solve_held(house, job())  # whose reader refuses an object with a name twice
    assert answer.object()["id"].startswith("h-")
    if answer.object()["status"] == "error":
        expect.failed(answer, "outcome_unknown")
    assert_sent_once(house)
    assert_goes_on(house)


@pytest.mark.parametrize("kind", ["status=503", "code=21", "reset", "empty", "error=no"])
def test_without_a_wait_the_first_answer_is_just_as_well_formed(simulator, gateway, mode, kind):
    house = gateway(simulator(mode=mode, latency=0.1), retry=ONE_TRY if kind in LATER else {})
    house.sim.fault(f"solve:{kind}")
    first = house.solve(job())
    assert first.status == 200
    is_wellformed(first)
    last = house.finish(first.object()["id"])
    assert last.object()["status"] == "error"
    is_wellformed(last)
    assert_sent_once(house)


def test_a_refused_connection_means_unavailable(gateway):
    with closed_port() as port:
        house = gateway(upstream={"url": f"http://127.0.0.1:{port}"}, retry=ONE_TRY)
        expect.failed(house.solve(job(), {"Prefer": "wait=30"}), "upstream_unavailable")
        house.stop_well()


def test_many_faults_in_a_row_leave_the_gateway_well(simulator, gateway, mode):
    """So many that the breaker opens: the jobs then wait, and one probes at a time."""
    house = gateway(simulator(mode=mode, latency=0.1),
                    retry={**ONE_TRY, "probe": 0.1, "recheck": 0.2})
    kinds = [*JOB_REFUSALS, *LATER, *OPEN_OUTCOMES]
    house.sim.fault(*(f"solve:{kind}*1" for kind in kinds))
    for seed in range(len(kinds)):
        task = job(images=1, seed=seed)
        answer = solve_held(house, task, within=60.0)
        if answer.object()["status"] == "solved":
            expect.solved(answer, task)
    sent = house.sim.requests("solve")
    assert len(sent) >= len(kinds), "not every fault came"
    charged = [request["sha256"] for request in sent if request["charged"]]
    assert len(charged) == len(set(charged)), "charged twice"
    assert_goes_on(house)


@pytest.fixture
def free_house(simulator, gateway):
    return gateway(simulator(mode="free", latency=0.2))


@pytest.mark.parametrize("kind", [*POLLED_THROUGH, "slow=0.5", "duplicate"])
def test_a_poll_that_fails_twice_does_not_lose_the_job(free_house, kind):
    free_house.sim.fault(f"status:{kind}*2")
    task = job()
    answer = free_house.run(task)
    if kind == "duplicate":
        assert answer.object()["status"] in ("solved", "error")
    else:
        expect.solved(answer, task)
    assert_sent_once(free_house)
    assert free_house.sim.counters()["charged"] == 1


def test_a_poll_that_hangs_does_not_lose_the_job(free_house):
    free_house.sim.fault("status:hang*1")
    task = job()
    expect.solved(free_house.run(task, timeout=60.0), task)
    assert_sent_once(free_house)


@pytest.mark.parametrize("kind", [*POLLED_THROUGH, "hang", "drip"])
def test_polls_that_fail_for_ever_end_at_the_deadline(simulator, gateway, kind):
    house = gateway(simulator(mode="free", latency=0.2), limits={"job_deadline": DEADLINE})
    house.sim.fault(f"status:{kind}")
    first = house.solve(job())
    expect.pending(first)
    job_id = first.object()["id"]

    def ended():
        answer = house.status(job_id)
        is_wellformed(answer)
        return answer if answer.object()["status"] == "error" else None

    expect.failed(wait_until(ended, DEADLINE + 5), "deadline")
    assert_sent_once(house)
    assert_goes_on(house)


@pytest.mark.parametrize(
    "kind, message", [("error=Bad images", "Bad images"), ("code=12", ""), ("echo", "")]
)
def test_a_clear_no_to_a_poll_is_final(free_house, kind, message):
    free_house.sim.fault(f"status:{kind}")
    body = expect.failed(free_house.run(job()), "upstream_rejected")
    assert message in body["message"]
    assert_goes_on(free_house)


@pytest.mark.parametrize("kind", BALANCE_FAULTS)
def test_a_faulty_balance_is_503_in_json(simulator, gateway, mode, kind):
    house = gateway(simulator(mode=mode, faults=[f"balance:{kind}"]))
    started = time.monotonic()
    answer = house.get("/api/account/balance")
    assert time.monotonic() - started < patience(15)
    assert answer.status == 503, answer
    body = is_wellformed(answer)
    assert body["status"] == "error" and isinstance(body["code"], str)
    assert_goes_on(house)


def test_a_balance_that_hangs_is_given_up(simulator, gateway):
    house = gateway(simulator(faults=["balance:hang"]))
    answer = house.get("/balance")
    assert answer.status == 503, answer
    is_wellformed(answer)
    assert_goes_on(house)


def test_a_wrong_key_upstream_is_told_without_naming_it(simulator, gateway, mode):
    sim = simulator(mode=mode)
    house = gateway(sim)
    other = gateway(sim, credential={"uid": "someone", "apikey": "wrong-apikey-0a1b2c"})
    body = expect.failed(other.solve(job(), {"Prefer": "wait=30"}), "upstream_rejected")
    assert "wrong-apikey-0a1b2c" not in str(body) + other.log()
    assert len(sim.requests("solve")) == 1
    wait_until(lambda: sim.counters()["unauthorized"] == 2)  # it, and the balance at the start
    expect.solved(house.run(job()), job())


def test_an_error_message_of_the_upstream_is_only_text(house):
    house.sim.fault('solve:error=<b>"quoted" \\ back</b> ✈')
    body = expect.failed(solve_held(house, job()), "upstream_rejected")
    assert body["message"].endswith('<b>"quoted" \\ back</b> ✈'), body
    assert not canary.found_in(house.log())
