"""kill -9 at random moments under load, and a new start each time: every id that ever left ends as
it should, and nothing is paid for twice.

SOLVEGATE_LONG=1 kills 500 times; SOLVEGATE_SEED=N repeats the choices of another run.
"""

import asyncio
import os
import random

import pytest

from lib.build import SANITIZE
from lib.crowd import Crowd, Purchases, kill_often
from lib.state import assert_ledger_agrees

LONG = bool(os.environ.get("SOLVEGATE_LONG"))
KILLS = 500 if LONG else 12 if SANITIZE is None else 6
IN_FLIGHT = 10


def test_nothing_is_lost_or_paid_for_twice_however_often_it_is_killed(simulator, gateway, tmp_path,
                                                                      mode):
    seed = int(os.environ.get("SOLVEGATE_SEED", random.SystemRandom().randrange(10**9)))
    print(f"SOLVEGATE_SEED={seed}")
    state = tmp_path / "state"
    sim = simulator(mode=mode, latency=0.05, jitter=0.04)
    house = gateway(sim, durability="full", state_directory=state,
                    upstream={"max_in_flight": IN_FLIGHT}, limits={"job_deadline": 3600.0},
                    results={"bytes": 2**30}, log={"level": "info"})
    crowd, purchases = Crowd(house, random.Random(seed)), Purchases(sim)
    asyncio.run(kill_often(crowd, purchases, random.Random(seed + 1), KILLS))

    crowd.assert_keys_still_hold()
    counts = crowd.endings(allowed="outcome_unknown")
    assert counts["solved"] > KILLS, counts
    assert len(crowd.keyed) > KILLS / 2

    house.stop_well()
    for digest, charges in purchases.by_body().items():
        assert charges <= crowd.posted[digest], (digest, charges)
    charged = sim.counters()["charged"]
    ledger = assert_ledger_agrees(state, charged)
    assert ledger["unknown"] <= KILLS * IN_FLIGHT
    print(f"{len(crowd.told)} ids, {dict(counts)}, charged {charged}, ledger {ledger}")


@pytest.mark.parametrize("moment", ["start", "stop"])
def test_a_kill_while_it_starts_or_stops_loses_nothing(simulator, gateway, tmp_path, moment):
    state = tmp_path / "state"
    sim = simulator(mode="free", latency=1.0)
    house = gateway(sim, durability="full", state_directory=state, limits={"drain_timeout": 5.0})
    crowd = Crowd(house, random.Random(1))
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02, 0.05):
        for _ in range(5):
            task = crowd.fresh_job()
            crowd.told[house.submit(task)] = task
        kill_at(house, moment, delay)
        house.start_again()
    crowd.endings(allowed="outcome_unknown")
    house.stop_well()
    assert_ledger_agrees(state, sim.counters()["charged"])
    assert sim.counters()["charged"] <= len(crowd.told)


def kill_at(house, moment, delay):
    """kill -9 so long after it began to start, or to stop."""
    if moment == "start":
        house.kill()
        house.start_for(delay)
    else:
        house.stop_for(delay)
