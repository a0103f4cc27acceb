"""Each client gets its share of the account's slots, however much another one asks for.

Shown by the order in which jobs come to the upstream, so that no test depends on the machine's
speed; tests/bench/fairness has the times.
"""

import asyncio
import collections

import pytest

from lib import expect
from lib.build import wait_until
from lib.clients import Client, post_over
from lib.gate import owner_of, task
from lib.job import job
from lib.operator import ask

SLOTS = 4
FLOOD = 200
HUGE_FLOOD = 10_000
ALWAYS = 16  # jobs that a client may have unfinished however full the queue is

FLOODER, OTHER = Client("flooder"), Client("other")
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def fleet(gateway, gate):
    """Makes a gateway before the gate."""

    def start(clients, slots=SLOTS, **settings):
        limits = {"job_deadline": 3600.0, **settings.pop("limits", {})}
        return gateway(upstream={**gate.entry, "max_in_flight": slots}, clients=clients,
                       limits=limits, log={"level": "info"}, **settings)

    return start


def tasks_of(client, count, first=0):
    return [task(client.name, first + number) for number in range(count)]


async def queue_up(house, client, count, first=0):
    """Puts so many jobs of a client into the queue."""
    for answer in await post_over(house, client, tasks_of(client, count, first)):
        expect.pending(answer)


def queue_of_each(house, clients, count):
    async def all_of_them():
        await asyncio.gather(*(queue_up(house, client, count) for client in clients))

    asyncio.run(all_of_them())


def occupy(house, gate, client, slots):
    """A client takes all slots and has nothing else."""
    asyncio.run(queue_up(house, client, slots, first=1_000_000))
    gate.wait_for(slots)


def owners_after(gate, before, count):
    """Lets so many be answered; whose the jobs are that came in their place, in order."""
    gate.let(count)
    return [owner_of(target) for target in gate.wait_for(before + count)[before:before + count]]


def jain(values):
    """1: all are equal; 1/n: one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def test_the_measure_of_fairness_knows_fair_from_unfair():
    assert jain([7] * 10) == 1.0
    assert jain([10] + [0] * 9) == pytest.approx(0.1)
    assert jain([12, 8] * 5) < 0.98


# ---- one floods, another comes ----


@pytest.mark.parametrize("slots", [1, SLOTS])
def test_one_job_overtakes_a_flood(fleet, gate, slots):
    house = fleet([FLOODER, OTHER], slots)
    asyncio.run(queue_up(house, FLOODER, FLOOD))
    assert {owner_of(target) for target in gate.wait_for(slots)} == {"flooder"}
    house.caller(OTHER).submit(task("other", 0))
    assert "other" in owners_after(gate, slots, slots)


def test_one_job_overtakes_a_flood_at_the_simulator(simulator, gateway):
    """Once the other's job is there, at most one of the flood is begun for each slot before it. The
    simulator stands still meanwhile, so that it is known how many were begun by then."""
    sim = simulator(mode="pro", latency=0.1)
    house = gateway(sim, clients=[FLOODER, OTHER], upstream={"max_in_flight": SLOTS})
    sim.freeze()
    asyncio.run(queue_up(house, FLOODER, FLOOD))
    sim.thaw()
    wait_until(lambda: sim.counters()["solved"] >= SLOTS)
    sim.freeze()
    late = job(seed="late")
    job_id = house.caller(OTHER).submit(late)
    begun = FLOOD - house.caller(FLOODER).usage()["queued"]
    sim.thaw()
    expect.solved(house.finish(job_id), late)
    assert house.caller(FLOODER).usage()["queued"] > SLOTS, "the flood was over before it came"
    digests = [request["sha256"] for request in sim.requests("solve")]
    assert digests.index(late.body_sha256) <= begun + SLOTS


def test_one_job_is_taken_and_overtakes_a_flood_of_10000_that_fills_the_queue(fleet, gate):
    house = fleet([FLOODER, OTHER], limits={"queue_jobs": HUGE_FLOOD})
    asyncio.run(queue_up(house, FLOODER, HUGE_FLOOD))
    gate.wait_for(SLOTS)
    asyncio.run(queue_up(house, FLOODER, SLOTS, first=HUGE_FLOOD))  # in the place of those sent
    refused = house.caller(FLOODER).solve(task("flooder", "more"), ASYNC)
    expect.error(refused, 503, "queue_full")
    assert int(refused.header("Retry-After")) >= 1
    house.caller(OTHER).submit(task("other", 0))
    assert "other" in owners_after(gate, SLOTS, SLOTS)


def test_one_job_overtakes_a_flood_that_a_crash_has_left(fleet, gate):
    house = fleet([FLOODER, OTHER], durability="full")
    asyncio.run(queue_up(house, FLOODER, FLOOD))
    gate.wait_for(SLOTS)
    house.kill_and_start_again()
    gate.wait_for(2 * SLOTS)
    house.caller(OTHER).submit(task("other", 0))
    gate.let(SLOTS)  # those that nobody waits for any more
    assert "other" in owners_after(gate, 2 * SLOTS, SLOTS)


def test_in_a_full_queue_each_client_has_room_for_a_few_jobs(fleet, gate):
    frugal = Client("frugal", daily_limit=100)
    house = fleet([FLOODER, OTHER, frugal], slots=1, limits={"queue_jobs": 20})
    occupy(house, gate, OTHER, 1)
    asyncio.run(queue_up(house, FLOODER, 20))
    more = house.caller(FLOODER).solve(task("flooder", "more"), ASYNC)
    assert expect.error(more, 503, "queue_full")["message"] == (
        "the queue is full (limits.queue_jobs = 20), and this client has its share of it; send the "
        "job again when some of its jobs have ended")
    status = ask(house, "/control/status")
    assert not status["ready"]
    assert status["message"] == ("the queue is full (limits.queue_jobs = 20): only a client with less "
                                 "than its share of it may submit jobs until some have ended")
    asyncio.run(queue_up(house, frugal, ALWAYS))
    refused = house.caller(frugal).solve(task("frugal", "more"), ASYNC)
    expect.error(refused, 503, "queue_full")
    assert int(refused.header("Retry-After")) >= 1
    assert house.caller(frugal).usage()["daily"]["reserved"] == ALWAYS


def test_when_a_flood_of_joins_has_filled_all_room_each_other_client_has_its_share(fleet, gate):
    """The flood joins one slow job, so it neither waits nor costs anything."""
    third, slots, room = Client("third"), 1, 99 + 1  # the queue, and the slot
    house = fleet([FLOODER, OTHER, third], slots, limits={"queue_jobs": room - slots})

    async def join(client, count):
        return await post_over(house, client, [task("flooder", 0)] * count)

    asyncio.run(queue_up(house, FLOODER, 1))
    gate.wait_for(1)
    joined = asyncio.run(join(FLOODER, 2 * room))
    assert sum(answer.status == 200 for answer in joined) == room - 1
    expect.error(house.caller(FLOODER).solve(task("flooder", 0), ASYNC), 503, "queue_full")
    for client, share in ((OTHER, room // 2), (third, room // 3)):
        asyncio.run(queue_up(house, client, share))
        refused = house.caller(client).solve(task(client.name, "more"), ASYNC)
        expect.error(refused, 503, "queue_full")
    expect.error(house.caller(FLOODER).solve(task("flooder", 0), ASYNC), 503, "queue_full")


def test_in_memory_that_is_full_of_a_flood_there_is_room_for_anothers_job(fleet, gate):
    """The last eighth is for who holds no more than a body's worth."""
    house = fleet([FLOODER, OTHER], slots=1,
                  limits={"queue_bytes": 800_000, "body_bytes": 100_000})
    occupy(house, gate, OTHER, 1)
    taken, answer = 0, None
    while answer is None or answer.status == 200:
        answer = house.caller(FLOODER).solve(job(images=1, size=30_000, seed=taken), ASYNC)
        taken += 1
        assert taken < 30
    expect.error(answer, 503, "queue_full")
    assert taken > 10
    house.caller(OTHER).submit(job(images=1, size=30_000, seed="other"))
    again = house.caller(FLOODER).solve(job(images=1, size=30_000, seed="again"), ASYNC)
    assert expect.error(again, 503, "queue_full")["message"] == (
        "the bodies of all jobs may fill at most 800000 bytes (limits.queue_bytes), the last eighth "
        "only for a client with no more than one body or its share of that eighth; send the job again "
        "later")


def test_in_memory_that_is_full_of_a_flood_another_has_more_than_one_body(fleet, gate):
    """Its share of the last eighth, 400,000 bytes, is a third of it."""
    house = fleet([FLOODER, OTHER], slots=1,
                  limits={"queue_bytes": 3_200_000, "body_bytes": 50_000})
    occupy(house, gate, OTHER, 1)
    taken, answer = 0, None
    while answer is None or answer.status == 200:
        answer = house.caller(FLOODER).solve(job(images=1, size=30_000, seed=taken), ASYNC)
        taken += 1
        assert taken < 120
    expect.error(answer, 503, "queue_full")
    for number in range(3):
        house.caller(OTHER).submit(job(images=1, size=30_000, seed=f"other {number}"))


# ---- shares ----


@pytest.mark.parametrize("slots", [1, SLOTS])
def test_ten_equal_clients_get_equal_shares(fleet, gate, slots):
    team = [Client(f"c{number}") for number in range(10)]
    house = fleet([OTHER, *team], slots)
    occupy(house, gate, OTHER, slots)
    queue_of_each(house, team, 40)
    counts = collections.Counter(owners_after(gate, slots, 200))
    assert jain([counts[client.name] for client in team]) >= 0.98, counts


@pytest.mark.parametrize("slots", [1, SLOTS])
def test_clients_share_by_their_weights(fleet, gate, slots):
    team = [Client(f"c{weight}", weight=weight) for weight in (1, 2, 4)]
    house = fleet([OTHER, *team], slots)
    occupy(house, gate, OTHER, slots)
    queue_of_each(house, team, 120)
    counts = collections.Counter(owners_after(gate, slots, 140))
    for client in team:
        fair = 140 * client.settings["weight"] / 7
        assert abs(counts[client.name] - fair) <= 0.1 * fair, counts


def test_one_that_has_posted_ten_times_as_much_gets_no_more(fleet, gate):
    house = fleet([OTHER, FLOODER, Client("modest")], slots=1)
    occupy(house, gate, OTHER, 1)
    asyncio.run(queue_up(house, FLOODER, 300))
    asyncio.run(queue_up(house, Client("modest"), 30))
    counts = collections.Counter(owners_after(gate, 1, 60))
    assert abs(counts["modest"] - 30) <= 1, counts


def test_a_reload_that_changes_weights_counts_from_the_next_turn_on(fleet, gate):
    light, heavy = Client("light", weight=1), Client("heavy", weight=3)
    house = fleet([OTHER, light, heavy], slots=1)
    occupy(house, gate, OTHER, 1)
    queue_of_each(house, [light, heavy], 100)
    counts = collections.Counter(owners_after(gate, 1, 40))
    assert abs(counts["heavy"] - 30) <= 3, counts
    house.reload(clients=[OTHER, light.changed(weight=3), heavy.changed(weight=1)])
    counts = collections.Counter(owners_after(gate, 41, 40))
    assert abs(counts["light"] - 30) <= 3, counts


def test_an_idle_share_is_lent_and_taken_back_job_by_job(fleet, gate):
    house = fleet([FLOODER, OTHER])
    asyncio.run(queue_up(house, FLOODER, 60))
    assert owners_after(gate, SLOTS, 12) == ["flooder"] * 12  # all slots are lent
    asyncio.run(queue_up(house, OTHER, 10))
    so_far = SLOTS + 12
    turns = []
    for _ in range(16):
        turns += owners_after(gate, so_far + len(turns), 1)
        theirs = turns.count("other")
        # A half from now on; what was lent meanwhile is not given back.
        assert abs(theirs - len(turns) / 2) <= 1, turns
    turns += owners_after(gate, so_far + len(turns), 20)
    assert turns.count("other") == 10
    assert turns[-10:] == ["flooder"] * 10, "lent again"


def test_an_idle_share_is_divided_by_the_weights_of_the_others(fleet, gate):
    small, large = Client("small", weight=1), Client("large", weight=3)
    house = fleet([OTHER, small, large, Client("idle", weight=100)], slots=1)
    occupy(house, gate, OTHER, 1)
    queue_of_each(house, [small, large], 80)
    counts = collections.Counter(owners_after(gate, 1, 80))
    assert abs(counts["large"] - 60) <= 6, counts


# ---- jobs that two clients want ----


def test_a_job_that_is_deep_in_anothers_backlog_does_not_wait_there(fleet, gate):
    house = fleet([FLOODER, OTHER], slots=1)
    asyncio.run(queue_up(house, FLOODER, 50))
    gate.wait_for(1)
    deep = task("flooder", 40)
    answer = house.caller(OTHER).solve(deep, ASYNC)
    assert expect.pending(answer)
    assert answer.header("Cache-Status") == "solvegate; fwd=miss; collapsed"
    gate.let(2)
    assert deep.fields["target"] in gate.wait_for(3)[1:3]
    gate.let(1)
    assert house.finish(answer.object()["id"]).object()["status"] == "solved"
    gate.let(10**6)
    wait_until(lambda: len(gate.arrived()) == 50)
    assert gate.arrived().count(deep.fields["target"]) == 1


def test_a_backlog_is_not_moved_on_by_joining_it(fleet, gate):
    """Whoever has joined a flood's jobs gets his own share of turns, not one more for the flood."""
    third = Client("third")
    house = fleet([FLOODER, OTHER, third], slots=1)
    occupy(house, gate, OTHER, 1)
    asyncio.run(queue_up(house, FLOODER, 60))
    asyncio.run(queue_up(house, third, 60))
    joined = [task("flooder", number) for number in range(59, 39, -1)]
    for answer in asyncio.run(post_over(house, OTHER, joined, connections=1)):
        expect.pending(answer)
    gate.let(30)
    turns = gate.wait_for(31)[1:31]
    whose = {item.fields["target"]: "other" for item in joined}
    counts = collections.Counter(whose.get(target, owner_of(target)) for target in turns)
    assert all(abs(counts[name] - 10) <= 1 for name in ("flooder", "third", "other")), counts
    assert turns.index("flooder 59") <= 3  # the one that was joined first


# ---- max_in_flight ----


@pytest.mark.parametrize("most", [1, 2])
def test_a_client_never_holds_more_slots_than_it_may(simulator, gateway, mode, most):
    held = Client("held", max_in_flight=most)
    sim = simulator(mode=mode, latency=0.05)
    house = gateway(sim, clients=[held], upstream={"max_in_flight": 8})
    asyncio.run(queue_up(house, held, 12))  # none is refused
    wait_until(lambda: sim.counters()["solved"] == 12)
    assert sim.counters()["in_flight_max"] == most
    wait_until(lambda: house.caller(held).usage()["in_flight"] == 0)


def test_what_a_client_may_not_use_is_there_for_others(fleet, gate):
    held = Client("held", max_in_flight=1)
    house = fleet([held, OTHER])
    asyncio.run(queue_up(house, held, 20))
    asyncio.run(queue_up(house, OTHER, 20))
    owners = [owner_of(target) for target in gate.wait_for(SLOTS)]
    assert sorted(owners) == ["held"] + ["other"] * (SLOTS - 1)
    for _ in range(12):
        owners += owners_after(gate, len(owners), 1)
        assert owners[-SLOTS:].count("held") <= 1  # of those that have no answer yet
    assert owners.count("held") > 1


def test_a_higher_max_in_flight_counts_at_the_reload(fleet, gate):
    held = Client("held", max_in_flight=1)
    house = fleet([held, OTHER])
    asyncio.run(queue_up(house, held, 20))
    asyncio.run(queue_up(house, OTHER, 1))
    assert sorted(map(owner_of, gate.wait_for(2))) == ["held", "other"]
    house.reload(clients=[held.changed(max_in_flight=3), OTHER])
    gate.wait_for(4)
    assert [owner_of(target) for target in gate.arrived()].count("held") == 3
