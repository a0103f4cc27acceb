"""One account at the service under two names, or under a new one: its slots are shared, and an id
that a job of it has is not taken for another one's."""

import subprocess

from lib import expect
from lib.build import BUILD
from lib.canary import STORED_APIKEY, STORED_UID
from lib.job import job
from lib.state import ledger
from lib.vendor import Vendor

SLOTS = 3
HELD = {"Prefer": "wait=30"}
CLASH = "with the id of another one"


def entry(name, upstream, **settings):
    return {"name": name, "credential": "account", "max_in_flight": SLOTS, **upstream.entry,
            **settings}


def tasks_of(count, start=0):
    return [job(images=1, size=20, seed=seed) for seed in range(start, start + count)]


def expect_only(vendor, solves):
    """So many jobs are with the service, and no more come while these are polled several times."""
    vendor.wait_for("solve", solves)
    vendor.wait_for("status", len(vendor.keys("status")) + 4 * solves)
    assert len(vendor.keys("solve")) == solves


def expect_solved(house, ids):
    for job_id in ids:
        assert house.finish(job_id).object()["status"] == "solved"


# ---- slots ----


def check(house):
    done = subprocess.run([BUILD / "solvegate", "-t", "-c", house.config], capture_output=True,
                          text=True, cwd=house.home, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_two_names_of_one_account_have_its_slots_together(gateway, vendor):
    house = gateway(upstreams=[entry("one", vendor), entry("two", vendor, max_in_flight=SLOTS + 2)])
    ids = [house.submit(task) for task in tasks_of(2 * SLOTS + 2)]
    expect_only(vendor, SLOTS)
    vendor.finish()
    expect_solved(house, ids)
    assert '"one" and "two" are one account' in house.log()


def test_one_account_without_a_uid_is_known_by_its_key(gateway, vendor):
    house = gateway(upstreams=[entry("one", vendor)], credential={"apikey": STORED_APIKEY})
    (house.home / "credentials" / "again").touch(mode=0o600)
    (house.home / "credentials" / "again").write_text(f'apikey = "{STORED_APIKEY}";')
    house.reload(upstreams=[entry("one", vendor), entry("two", vendor, credential="again")])
    ids = [house.submit(task) for task in tasks_of(2 * SLOTS)]
    expect_only(vendor, SLOTS)
    vendor.finish()
    expect_solved(house, ids)


def test_two_accounts_at_one_url_have_slots_each(gateway, vendor):
    house = gateway(upstreams=[entry("one", vendor)])
    house.write_credential("canary-apikey-of-another-account", name="other", uid="another-uid")
    house.reload(upstreams=[entry("one", vendor), entry("two", vendor, credential="other")])
    ids = [house.submit(task) for task in tasks_of(2 * SLOTS + 1)]
    expect_only(vendor, 2 * SLOTS)
    vendor.finish()
    expect_solved(house, ids)
    assert "are one account" not in house.log()


def test_a_new_name_by_a_reload_brings_no_new_slots(gateway, vendor):
    house = gateway(upstreams=[entry("name-0", vendor)])
    ids = [house.submit(task) for task in tasks_of(SLOTS + 2)]
    expect_only(vendor, SLOTS)
    for number in range(1, 4):
        house.reload(upstreams=[entry(f"name-{number}", vendor)])
        expect_only(vendor, SLOTS)
    vendor.finish()
    expect_solved(house, ids)


def test_nor_does_a_new_key_of_the_account(gateway, vendor):
    house = gateway(upstreams=[entry("one", vendor)])
    ids = [house.submit(task) for task in tasks_of(SLOTS + 2)]
    expect_only(vendor, SLOTS)
    house.write_credential("canary-apikey-the-second-9310aa", uid=STORED_UID)
    house.reload(upstreams=[entry("two", vendor)])
    expect_only(vendor, SLOTS)
    vendor.finish()
    expect_solved(house, ids)


def test_a_new_name_by_a_restart_has_the_jobs_of_the_old_one(gateway, vendor, state):
    house = gateway(upstreams=[entry("before", vendor)], durability="full", state_directory=state)
    ids = [house.submit(task) for task in tasks_of(SLOTS + 2)]
    expect_only(vendor, SLOTS)
    house.configure(upstreams=[entry("after", vendor)])
    house.kill_and_start_again()
    expect_only(vendor, SLOTS)
    vendor.finish()
    expect_solved(house, ids)
    house.stop_well()
    assert ledger(state)["unknown"] == 0


def test_names_that_are_swapped_over_a_restart_have_their_jobs_still(gateway, vendor, state):
    with Vendor() as other:
        house = gateway(upstreams=[entry("one", vendor, priority=0, max_in_flight=1),
                                   entry("two", other, priority=1)],
                        durability="full", state_directory=state)
        ids = [house.submit(task) for task in tasks_of(2)]
        for service in (vendor, other):
            expect_only(service, 1)
        house.configure(upstreams=[entry("two", vendor), entry("one", other)])
        house.kill_and_start_again()
        for service in (vendor, other):
            service.wait_for("status", len(service.keys("status")) + 2)
            service.finish()
        expect_solved(house, ids)
        house.stop_well()
    assert ledger(state)["unknown"] == 0


def test_a_configuration_check_names_the_account_with_two_names(gateway, vendor):
    house = gateway(upstreams=[entry("one", vendor)])
    house.configure(upstreams=[entry("one", vendor), entry("two", vendor)])
    assert '"one" and "two" are one account' in check(house)


# ---- ids ----


def test_an_id_that_another_job_has_is_not_taken(gateway, vendor, state):
    house = gateway(upstreams=[entry("one", vendor)], durability="full", state_directory=state)
    vendor.repeat_id()
    first, second = tasks_of(2)
    first_id = house.submit(first)
    vendor.wait_for("status", 1)
    expect.failed(house.solve(second, HELD), "outcome_unknown")
    assert CLASH in house.log() and "h-same" not in house.log()
    vendor.finish()
    assert house.finish(first_id).object()["status"] == "solved"
    house.stop_well()
    counts = ledger(state)
    assert (counts["charged"], counts["unknown"]) == (1, 1)


def test_identical_tasks_may_have_one_id(gateway, vendor):
    house = gateway(upstreams=[entry("one", vendor)])
    vendor.repeat_id()
    (task,) = tasks_of(1)
    ids = [house.submit(task, **{"Cache-Control": "no-cache"}) for _ in range(2)]
    vendor.wait_for("solve", 2)
    vendor.wait_for("status", 4)
    expect.failed(house.solve(tasks_of(1, start=7)[0], HELD), "outcome_unknown")
    vendor.finish()
    expect_solved(house, ids)


def test_an_id_is_free_again_when_its_job_is_final(gateway, vendor):
    house = gateway(upstreams=[entry("one", vendor)])
    vendor.repeat_id()
    for task in tasks_of(3):
        vendor.queue_again()
        job_id = house.submit(task)
        vendor.wait_for("status", len(vendor.keys("status")) + 1)
        vendor.finish()
        assert house.finish(job_id).object()["status"] == "solved"
    assert CLASH not in house.log()


def test_an_id_of_before_the_start_is_known(gateway, vendor, state):
    house = gateway(upstreams=[entry("one", vendor)], durability="full", state_directory=state)
    vendor.repeat_id()
    first, second = tasks_of(2)
    first_id = house.submit(first)
    vendor.wait_for("status", 1)
    house.kill_and_start_again()
    expect.failed(house.solve(second, HELD), "outcome_unknown")
    vendor.finish()
    assert house.finish(first_id).object()["status"] == "solved"


def test_an_id_is_known_under_the_account_s_other_name(gateway, vendor):
    house = gateway(upstreams=[entry("one", vendor, priority=0), entry("two", vendor, priority=1)])
    vendor.repeat_id()
    first, second = tasks_of(2)
    first_id = house.submit(first)
    vendor.wait_for("status", 1)
    house.reload(upstreams=[entry("two", vendor)])
    expect.failed(house.solve(second, HELD), "outcome_unknown")
    vendor.finish()
    assert house.finish(first_id).object()["status"] == "solved"


def test_two_services_may_give_the_same_id(gateway, vendor):
    with Vendor() as other:
        house = gateway(upstreams=[entry("one", vendor, max_in_flight=1),
                                   entry("two", other, max_in_flight=1)])
        vendor.repeat_id()
        other.repeat_id()
        ids = [house.submit(task) for task in tasks_of(2)]
        vendor.wait_for("solve", 1)
        other.wait_for("solve", 1)
        vendor.finish()
        other.finish()
        expect_solved(house, ids)
        assert CLASH not in house.log()
