"""The checks of the package under systemd, in their order: each finds what the one before left.

Prints a line for each, and at the end how many passed and failed. scripts/test-boot runs it in a
tree of its own; it changes the machine that it runs on."""

import concurrent.futures
import contextlib
import grp
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import sys
import traceback

from machine import (GATEWAY, Load, SITE, call, is_active, job, jobs_upstream, journal, journal_since,
                     main_pid, run, shown, solve, solve_well, systemctl, wait_active, wait_until)

HERE = pathlib.Path(__file__).parent
PACKAGE, NEXT_PACKAGE = HERE / "solvegate.deb", HERE / "solvegate-next.deb"
SOCKET_PACKAGE = HERE / "solvegate-socket.deb"  # with another socket unit, and configuration
CONFIG = pathlib.Path("/etc/solvegate/solvegate.conf")
CREDENTIAL = pathlib.Path("/etc/solvegate/credentials/nocaptchaai")
STATE = pathlib.Path("/var/lib/solvegate")
KEY = "boot-canary-key"
UNITS = ("solvegate.socket", "solvegate.service")
SECOND = ("127.0.0.1", 8120)  # where one more socket of some checks is

CHECKS = []
NEEDED = set()  # without these, no later check can pass


def check(function):
    CHECKS.append(function)
    return function


def needed(function):
    NEEDED.add(function)
    return check(function)


def change_config(*changes):
    """Replaces texts in the configuration, each of which stands there once."""
    text = CONFIG.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {CONFIG}"
        text = text.replace(old, new)
    CONFIG.write_text(text)


def write_credential():
    CREDENTIAL.touch(mode=0o600)
    CREDENTIAL.write_text(f'uid = "boot-uid"; apikey = "{KEY}";\n')


@contextlib.contextmanager
def changed_config(*changes, extra=""):
    """While the block runs, the configuration is another one."""
    good = CONFIG.read_text()
    change_config(*changes)
    CONFIG.write_text(CONFIG.read_text() + extra)
    try:
        yield
    finally:
        CONFIG.write_text(good)


@contextlib.contextmanager
def drop_in(text, unit="solvegate.service"):
    """While the block runs, the unit has a drop-in; nothing is restarted."""
    file = pathlib.Path(f"/etc/systemd/system/{unit}.d/boot.conf")
    file.parent.mkdir()
    file.write_text(text)
    systemctl("daemon-reload")
    try:
        yield
    finally:
        file.unlink()
        file.parent.rmdir()
        systemctl("daemon-reload")


def stop_and_start():
    systemctl("stop", *UNITS)
    systemctl("start", "solvegate.service")


def second_address():
    """While the block runs, the configuration has a further address to listen at."""
    one = '( { address = "127.0.0.1"; port = 8118; }'
    return changed_config((f"listen = {one} );",
                           f'listen = {one}, {{ address = "127.0.0.1"; port = 8120; }} );'))


def refuses(address=GATEWAY):
    """Whether who connects is refused; who is not is in the backlog for a moment."""
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


class BadConfig:
    """While the block runs, the configuration has a mistake, which is named by WHAT."""

    WHAT = "poll.interval = -1"

    def __enter__(self):
        self.good = CONFIG.read_text()
        change_config(("interval = 1.0;", "interval = -1.0;"))

    def __exit__(self, *_):
        CONFIG.write_text(self.good)


def said(messages, what):
    assert any(what in message for message in messages), f"{what!r} is not in: {messages}"


@needed
def the_package_is_installed_and_says_what_is_missing():
    text = run("dpkg", "-i", str(PACKAGE)).text
    assert f"{CREDENTIAL}: the credential file does not exist" in text, text
    assert "systemctl enable --now solvegate.socket solvegate.service" in text, text


@check
def an_unconfigured_service_is_neither_started_nor_enabled():
    for unit in UNITS:
        assert not is_active(unit), unit
        assert shown("UnitFileState", unit) == "disabled", unit


@check
def an_unconfigured_service_that_is_started_says_what_is_missing():
    systemctl("start", "solvegate.service", ok=None)
    assert not is_active("solvegate.service")
    told = systemctl("status", "solvegate.service", ok=None).text
    assert str(CREDENTIAL.parent) in told, told
    systemctl("stop", "solvegate.service")
    systemctl("reset-failed", "solvegate.service", ok=None)


@check
def the_credentials_are_for_root_alone():
    assert CREDENTIAL.parent.stat().st_mode & 0o7777 == 0o700
    assert CREDENTIAL.parent.stat().st_uid == 0


@needed
def with_a_credential_and_a_site_the_configuration_is_right():
    write_credential()
    change_config(('"https://pro.nocaptchaai.com"', '"http://127.0.0.1:18118"'),
                  ("\n  allow = [ ];", f'\n  allow = [ "{SITE}" ];'),
                  ('format = "text";', 'format = "journal";'))
    run("solvegate", "--check-config")


@needed
def it_starts_as_the_message_said():
    systemctl("enable", "--now", *UNITS)
    for unit in UNITS:
        assert is_active(unit), unit


@needed
def a_job_is_solved():
    assert "solution" in solve_well()


@check
def the_process_is_not_roots():
    status = pathlib.Path(f"/proc/{main_pid()}/status").read_text()
    assert not re.search(r"^Uid:.*\b0\b", status, re.MULTILINE), status
    assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE), status


@check
def status_says_what_it_does_now():
    wait_until(lambda: "taking jobs" in shown("StatusText"), "the status text says: taking jobs")
    told = systemctl("status", "solvegate.service").text
    assert re.search(r'Status: "taking jobs', told), told


@check
def a_reload_lists_a_further_site():
    pid = main_pid()
    status, answer = solve("second.example.com")
    assert (status, answer["code"]) == (403, "site_not_allowed"), answer
    change_config((f'[ "{SITE}" ];\n  //', f'[ "{SITE}", "second.example.com" ];\n  //'))
    systemctl("reload", "solvegate.service")
    solve_well("second.example.com")
    assert main_pid() == pid


@check
def a_reload_of_a_bad_file_fails_says_why_and_changes_nothing():
    pid = main_pid()
    with BadConfig(), journal_since() as messages:
        systemctl("reload", "solvegate.service", ok=False)
        said(messages(), BadConfig.WHAT)
    solve_well()
    assert main_pid() == pid and is_active("solvegate.service")
    systemctl("reload", "solvegate.service")


@check
def the_journal_has_the_fields_of_a_request():
    solved = solve_well()

    def record():
        return [r for r in journal() if r.get("SOLVEGATE_JOB") == solved["id"]
                and r.get("SOLVEGATE_ENDPOINT")]

    found = wait_until(record, "a record with the fields of the request")[0]
    assert found["PRIORITY"] == "6" and found["SYSLOG_IDENTIFIER"] == "solvegate", found
    assert (found["SOLVEGATE_CLIENT"], found["SOLVEGATE_CODE"]) == ("local", "200"), found


@check
def root_may_look_at_it_and_nobody_else():
    assert "takes jobs" in run("solvegatectl", "status").text
    other = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                "solvegatectl", "status", ok=None)
    assert other.returncode == 3 and "/run/solvegate/admin.sock: you may not" in other.text, other


@check
def a_restart_under_load_fails_no_connection():
    with Load() as load:
        for _ in range(3):
            pid = main_pid()
            systemctl("restart", "solvegate.service")
            assert main_pid() != pid
            load.wait_for_more()


@check
def a_stop_lets_the_job_under_way_end_solved():
    before = jobs_upstream()
    with concurrent.futures.ThreadPoolExecutor(1) as tool:
        answer = tool.submit(solve_well)
        wait_until(lambda: jobs_upstream() > before, "the job is upstream")
        systemctl("stop", *UNITS)
        assert answer.result()["status"] == "solved"
    assert shown("Result") == "success" and not is_active("solvegate.service")


@check
def a_tool_that_connects_to_the_socket_starts_it():
    systemctl("start", "solvegate.socket")
    assert not is_active("solvegate.service")
    solve_well()
    assert is_active("solvegate.service")


def hang(pid):
    """Stops the process, and waits until each thread has: one may take a connection before."""
    os.kill(pid, signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{pid}/task")
    wait_until(lambda: all(task.read_text().rpartition(")")[2].startswith(" T ")
                           for task in tasks.glob("*/stat")), "every thread is stopped")


@check
def the_watchdog_restarts_what_hangs_and_who_came_meanwhile_is_answered():
    pid, restarts = main_pid(), int(shown("NRestarts"))
    hang(pid)
    with concurrent.futures.ThreadPoolExecutor(1) as tool:
        answer = tool.submit(solve_well)
        wait_until(lambda: main_pid() not in (0, pid) and is_active("solvegate.service"),
                   "another process runs", patience=60.0)
        answer.result()
    assert int(shown("NRestarts")) > restarts


@check
def an_upgrade_under_load_fails_no_connection_and_the_socket_stays():
    pid = main_pid()
    socket_since = shown("ActiveEnterTimestampMonotonic", "solvegate.socket")
    with Load() as load:
        run("dpkg", "-i", str(NEXT_PACKAGE))
        load.wait_for_more()
    assert main_pid() != pid
    assert shown("ActiveEnterTimestampMonotonic", "solvegate.socket") == socket_since
    status, answer = call("GET", f"/api/status?id={load.id}")
    assert (status, answer["status"]) == (200, "solved"), answer


@check
def an_upgrade_with_a_bad_configuration_leaves_the_running_one():
    pid = main_pid()
    with BadConfig():
        text = run("dpkg", "-i", str(NEXT_PACKAGE)).text
    assert BadConfig.WHAT in text and "goes on running" in text, text
    assert main_pid() == pid
    solve_well()


@check
def an_upgrade_that_does_not_come_up_says_why():
    """A mistake that --check-config cannot see: the socket unit has another port."""
    with changed_config(('( { address = "127.0.0.1"; port = 8118; } );',
                         '( { address = "127.0.0.1"; port = 8128; } );')):
        text = run("dpkg", "-i", str(NEXT_PACKAGE)).text
    assert "solvegate does not run" in text, text
    assert "systemd has passed a socket at 127.0.0.1:8118" in text, text
    systemctl("reset-failed", *UNITS, ok=None)
    systemctl("start", "solvegate.service")
    solve_well()


@check
def an_upgrade_of_a_unit_with_the_key_elsewhere_restarts_it():
    pid = main_pid()
    with drop_in("[Service]\nLoadCredential=\nLoadCredential=nocaptchaai:/etc/boot-key\n"):
        CREDENTIAL.rename("/etc/boot-key")
        try:
            text = run("dpkg", "-i", str(NEXT_PACKAGE)).text
            assert "not restarted" not in text and main_pid() != pid, text
            solve_well()
        finally:
            pathlib.Path("/etc/boot-key").rename(CREDENTIAL)
    systemctl("restart", "solvegate.service")


@check
def an_upgrade_of_the_socket_unit_is_taken_and_keeps_the_configuration():
    with second_address():
        run("dpkg", "-i", "--force-confold", str(SOCKET_PACKAGE))
        assert shown("SubState", "solvegate.socket") == "running"
        systemctl("stop", "solvegate.service")
        # Who connects there starts it: systemd has the new address.
        assert call("GET", "/api/status?id=h-none", address=SECOND)[0] == 404
        with BadConfig():
            text = run("dpkg", "-i", "--force-confold", str(NEXT_PACKAGE)).text
            assert "systemctl stop solvegate.socket solvegate.service && " in text, text
        run("dpkg", "-i", "--force-confold", str(SOCKET_PACKAGE))
    run("dpkg", "-i", "--force-confold", str(NEXT_PACKAGE))
    assert all(is_active(unit) for unit in UNITS)
    assert refuses(SECOND)
    solve_well()


@check
def operators_of_the_units_group_are_let_in_and_another_path_is_reloaded():
    run("groupadd", "operators")
    path = "/run/solvegate/operators.sock"
    admin = (f'\nadmin = {{ socket = "{path}"; socket_mode = "0660"; '
             'socket_group = "operators"; };\n')
    with changed_config(extra=admin):
        with drop_in(f"[Service]\nGroup=operators\nEnvironment=SOLVEGATE_SOCKET={path}\n"):
            systemctl("restart", "solvegate.service")
            gid = grp.getgrnam("operators").gr_gid
            told = run("setpriv", "--reuid=65534", f"--regid={gid}", "--clear-groups",
                       "solvegatectl", "--socket", path, "status").text
            assert "takes jobs" in told, told
            systemctl("reload", "solvegate.service")
        systemctl("restart", "solvegate.service", ok=False)
        assert "Group= in the unit" in shown("StatusText")
    systemctl("restart", "solvegate.service")


@check
def what_fails_each_time_is_given_up_and_tools_are_refused():
    store = STATE / "jobs.db"
    good = store.read_bytes()
    systemctl("stop", *UNITS)
    store.write_bytes(b"x" * 8192)
    with drop_in("[Unit]\nStartLimitBurst=3\n"):
        systemctl("reset-failed", *UNITS, ok=None)
        systemctl("start", "solvegate.service", ok=False)
        wait_until(lambda: shown("ActiveState") == "failed", "the service is given up")
        assert "damaged" in shown("StatusText")
        wait_until(refuses, "who connects is refused")
        store.write_bytes(good)
        systemctl("reset-failed", *UNITS)
    systemctl("start", "solvegate.service")
    solve_well()


@check
def the_socket_is_changed_by_a_stop_and_a_start_of_both():
    with second_address(), drop_in("[Socket]\nListenStream=127.0.0.1:8120\n", "solvegate.socket"):
        stop_and_start()
        assert call("GET", "/api/status?id=h-none", address=SECOND)[0] == 404
        assert all(is_active(unit) for unit in UNITS)
    stop_and_start()
    solve_well()


@check
def no_key_is_in_the_journal():
    # But in those of the simulator, whose command line has it.
    records = [record for record in journal("--all")
               if record.get("_SYSTEMD_UNIT") != "boot-sim.service"]
    assert len(records) > 100
    assert not [record for record in records if KEY in json.dumps(record)]


@check
def a_removal_stops_it_and_keeps_its_data():
    run("dpkg", "-r", "solvegate")
    for unit in UNITS:
        assert not is_active(unit), unit
    assert CONFIG.exists() and CREDENTIAL.exists()
    assert (STATE / "jobs.db").exists()


@check
def what_is_installed_again_runs_again():
    run("dpkg", "-i", str(NEXT_PACKAGE))
    wait_active()
    solve_well()


def purge():
    run("dpkg", "-P", "solvegate")
    left = run("find", "/", "(", "-path", "/proc", "-o", "-path", "/sys", "-o", "-path",
               str(HERE), ")", "-prune", "-o", "-iname", "*solvegate*", "-print").text
    assert left == "", left
    assert "0 unit files" in systemctl("list-unit-files", "solvegate*", ok=None).text
    with_key = run("grep", "-rlF", "--exclude=boot-sim.service", "--exclude-dir=journal", KEY,
                   "/etc", "/run", "/tmp", "/var", ok=None)
    assert with_key.text == "", with_key.text


def back_up(folder):
    """As docs/operations.md says, while it runs."""
    folder.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(STATE / "jobs.db")) as running, \
            contextlib.closing(sqlite3.connect(folder / "jobs.db")) as copy:
        running.backup(copy)
    shutil.copy(STATE / "audit.jsonl", folder)
    run("cp", "-aT", str(CONFIG.parent), str(folder / "etc"))


@check
def a_backup_is_restored_where_nothing_is_left():
    solved, folder = solve_well(), HERE / "backup"
    back_up(folder)
    purge()
    run("dpkg", "-i", str(PACKAGE))
    run("cp", "-aT", str(folder / "etc"), str(CONFIG.parent))
    private = f"/var/lib/private/{STATE.name}"
    run("install", "-d", "-m", "700", "/var/lib/private", private)
    run("install", "-m", "600", str(folder / "jobs.db"), str(folder / "audit.jsonl"), private)
    systemctl("enable", "--now", *UNITS)
    status, answer = call("GET", f"/api/status?id={solved['id']}")
    assert (status, answer.get("solution")) == (200, solved["solution"]), answer
    run("solvegatectl", "audit", "verify")
    solve_well()


@check
def a_purge_leaves_nothing_behind():
    purge()


@check
def where_a_credential_waits_for_it_the_first_installation_starts_it():
    CREDENTIAL.parent.mkdir(mode=0o700, parents=True)
    write_credential()
    text = run("dpkg", "-i", str(PACKAGE)).text
    assert "sites.allow is empty" in text and "not started" not in text, text
    for unit in UNITS:
        assert is_active(unit) and shown("UnitFileState", unit) == "enabled", unit
    status, answer = solve()
    assert (status, answer["code"]) == (403, "site_not_allowed"), answer


@check
def a_purge_of_what_runs_stops_it_and_leaves_nothing_behind():
    pid = main_pid()
    purge()
    assert not pathlib.Path(f"/proc/{pid}").exists()


def failure_of(function):
    """Runs a check. Returns what is wrong, on one line, or None."""
    try:
        function()
        return None
    except Exception as problem:  # a check that breaks off is a check that failed
        traceback.print_exc()
        return " ".join((str(problem) or repr(problem)).split())[:1000]


def main():
    failed, missing = 0, None
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        why = f"not tried, since this failed: {missing}" if missing else failure_of(function)
        failed += why is not None
        print(f"FAILED  {name}: {why}" if why else f"ok      {name}", flush=True)
        if why and function in NEEDED and not missing:
            missing = name
    print(f"{len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
