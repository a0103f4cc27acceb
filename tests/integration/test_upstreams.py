"""Several upstreams: the lowest priority first, each up to its own max_in_flight, each spoken to in
its own generation."""

import concurrent.futures

import pytest

from lib import expect
from lib.build import wait_until
from lib.gateway import upstream_of
from lib.job import job
from lib.network import closed_port

NEVER = 60


def two(simulator, gateway, priorities, slots=2, **kwargs):
    """A gateway before two simulators; returns it and them."""
    sims = [simulator(name=f"sim-{n}", **kwargs) for n in range(2)]
    upstreams = [
        {"name": f"up-{n}", "priority": priority, "max_in_flight": slots, **upstream_of(sim)}
        for n, (sim, priority) in enumerate(zip(sims, priorities))
    ]
    return gateway(upstreams=upstreams), sims


def accepted(sims):
    return [sim.counters()["accepted"] for sim in sims]


@pytest.mark.parametrize("priorities, wanted", [((0, 1), [5, 0]), ((7, 3), [0, 5])])
def test_the_lowest_priority_is_used_first(simulator, gateway, mode, priorities, wanted):
    house, sims = two(simulator, gateway, priorities, mode=mode, latency=0.05)
    for seed in range(5):
        task = job(seed=seed)
        expect.solved(house.run(task), task)
    assert accepted(sims) == wanted


def test_the_next_priority_takes_what_the_first_has_no_slot_for(simulator, gateway, mode):
    house, sims = two(simulator, gateway, (0, 1), mode=mode, latency=NEVER)
    for seed in range(3):
        house.submit(job(seed=seed))
    wait_until(lambda: accepted(sims) == [2, 1])


def test_equal_priorities_share_the_jobs(simulator, gateway, mode):
    house, sims = two(simulator, gateway, (0, 0), mode=mode, latency=NEVER)
    for seed in range(2):
        house.submit(job(seed=seed))
    wait_until(lambda: accepted(sims) == [1, 1])


def test_no_more_is_under_way_than_all_accounts_bear(simulator, gateway, mode):
    house, sims = two(simulator, gateway, (0, 1), mode=mode, latency=0.5, concurrency=2)
    tasks = [job(images=1, seed=seed) for seed in range(40)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:  # or the second one may see too few
        ids = list(pool.map(house.submit, tasks))
    for task, job_id in zip(tasks, ids):
        expect.solved(house.status(job_id, "&wait=30"), task)
    for sim in sims:
        counters = sim.counters()
        assert counters["over_concurrency"] == 0
        assert counters["in_flight_max"] == 2


def test_each_upstream_is_spoken_to_in_its_own_generation(simulator, gateway):
    first = simulator(name="first", api=1, latency=3.0)
    second = simulator(name="second", api=2, latency=3.0)
    house = gateway(upstreams=[
        {"name": "first", "max_in_flight": 1, "priority": 0, **upstream_of(first)},
        {"name": "second", "max_in_flight": 1, "priority": 1, **upstream_of(second)},
    ])
    tasks = [job(seed=seed) for seed in range(2)]
    ids = [house.submit(task) for task in tasks]
    for task, job_id in zip(tasks, ids):
        expect.solved(house.status(job_id, "&wait=30"), task)
    for sim, has_uid in ((first, True), (second, False)):
        for sent in sim.requests():
            assert ("uid" in {name.lower() for name in sent["headers"]}) == has_uid
        assert sim.counters()["charged"] == 1


def test_one_that_works_gets_a_job_that_more_fail_than_it_has_tries(simulator, gateway):
    sim = simulator(mode="pro", latency=0)
    with closed_port() as port:
        down = [{"name": f"down-{n}", "credential": f"account-{n}", "priority": n,
                 "url": f"http://127.0.0.1:{port}"} for n in range(5)]
        works = {"name": "works", "credential": "account", "priority": 9, **upstream_of(sim)}
        house = gateway(upstreams=[works], retry={"attempts": 2})
        for number in range(5):
            house.write_credential(f"canary-apikey-{number}-of-five", f"account-{number}",
                                   uid=f"uid-{number}-of-five")
        house.reload(upstreams=[*down, works])
        task = job()
        expect.solved(house.solve(task, {"Prefer": "wait=30"}), task)
        house.stop_well()
