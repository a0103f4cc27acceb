"""The admin socket: the file's mode and owner are the access check; what was left there is replaced,
and what is another's is left alone."""

import contextlib
import fcntl
import grp
import os
import re
import signal
import socket
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.gateway import LOOPBACK
from lib.http import exchange, open_blocking, request
from lib.job import job
from lib.once import run_once

CONTROL = ["/control/status", "/control/jobs", "/control/job?id=h-x", "/control/clients",
           "/control/usage", "/control/upstreams", "/control/balance", "/control/drain",
           "/control/resume", "/control/reload"]


@pytest.fixture
def start(simulator, gateway):
    def run(**settings):
        return gateway(simulator(mode="pro", latency=0), **settings)

    return run


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def refused(start, pattern, environment=None, launcher=(), **admin):
    with pytest.raises(AssertionError, match=rf"ended with 1:(.|\n)*{pattern}"):
        start(admin=admin, environment=environment, launcher=launcher)


# ---- the file ----


def test_it_answers_and_only_the_daemons_user_may_call(start):
    house = start()
    assert stat.S_ISSOCK(os.stat(house.socket).st_mode)
    assert mode_of(house.socket) == 0o600
    answer = house.operate("GET", "/healthz")
    assert (answer.status, answer.object()) == (200, {"status": "ok"})


def test_its_mode_and_group_are_those_of_the_configuration(start):
    group = grp.getgrgid(os.getgid()).gr_name
    house = start(admin={"socket_mode": "0660", "socket_group": group})
    assert mode_of(house.socket) == 0o660
    assert os.stat(house.socket).st_gid == os.getgid()
    assert f"mode=0660 group={group}" in house.log()


def test_an_umask_does_not_narrow_the_mode(start):
    house = start(admin={"socket_mode": "0666"}, popen={"umask": 0o077})
    assert mode_of(house.socket) == 0o666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused_by_the_kernel(start):
    house = start()
    os.chmod(house.socket.parent, 0o755)  # it is the file's mode that refuses
    code = ("import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX)\n"
            "try: s.connect(sys.argv[1])\n"
            "except PermissionError: print('refused')\n")
    done = subprocess.run(["/usr/bin/python3", "-c", code, house.socket], capture_output=True,
                          text=True, timeout=patience(20), check=False)
    assert done.stdout == "refused\n", done


def test_a_group_that_does_not_exist_is_an_error_that_names_the_key(start):
    refused(start, "admin.socket_group", socket_group="no-such-group")


def test_a_group_that_cannot_be_had_is_an_error_at_the_default_path_too(start):
    with tempfile.TemporaryDirectory(prefix="solvegate-") as runtime:
        refused(start, "admin.socket_group", socket=None, socket_group="no-such-group",
                environment={"RUNTIME_DIRECTORY": runtime})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave its groups")
def test_a_group_that_its_user_is_not_in_is_an_error_with_the_cure(start):
    refused(start, "a group that it is in, under systemd the one of Group=", socket_group="adm",
            launcher=("setpriv", "--clear-groups", "--inh-caps=-chown", "--bounding-set=-chown"))


def test_it_is_gone_after_a_clean_stop(start):
    house = start()
    assert sorted(os.listdir(house.socket.parent)) == ["admin.sock", "admin.sock.lock"]
    house.stop_well()
    assert os.listdir(house.socket.parent) == []


def test_it_stays_until_the_last_request_is_answered(simulator, gateway):
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, limits={"drain_timeout": 20.0})
    sim.freeze()
    house.submit(job())
    sim.wait_for_bytes()
    house.signal(signal.SIGTERM)
    answer = wait_until(lambda: not_ready(house), pause=0.005)
    expect.error(answer, 503, "draining")
    assert house.operate("GET", "/healthz").status == 200
    sim.thaw()
    assert house.wait(10) == 0
    assert not house.socket.exists()


def not_ready(house):
    answer = house.operate("GET", "/readyz")
    return answer if answer.status != 200 else None


# ---- what is there already ----


def test_what_a_killed_daemon_left_is_replaced(start):
    house = start()
    before = os.stat(house.socket).st_ino
    house.kill()
    assert os.stat(house.socket).st_ino == before
    house.start_again()
    assert house.operate("GET", "/healthz").status == 200


def test_a_socket_that_answers_is_left_alone_and_named(start):
    house = start()
    refused(start, re.escape(str(house.socket)), socket=str(house.socket))
    assert house.operate("GET", "/healthz").status == 200


def test_of_two_daemons_that_find_the_socket_of_a_killed_one_the_first_has_it(start):
    """Who has the lock may be between looking at what stands there and listening."""
    house = start()
    house.kill()
    before = os.stat(house.socket).st_ino
    with open(f"{house.socket}.lock", "w", encoding="utf-8") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        refused(start, "a solvegate answers there already", socket=str(house.socket))
        assert os.stat(house.socket).st_ino == before
    house.start_again()
    assert house.operate("GET", "/healthz").status == 200


@pytest.mark.parametrize("kind", ["a file", "a directory", "a link"])
def test_what_is_no_lock_is_left_alone_and_named(start, kind):
    with tempfile.TemporaryDirectory(prefix="solvegate-") as home:
        lock = Path(home, "s.lock")
        if kind == "a file":
            lock.write_text("mine")
        elif kind == "a directory":
            lock.mkdir()
        else:
            lock.symlink_to("elsewhere")
        refused(start, f"{re.escape(str(lock))} is no lock .* remove it", socket=f"{home}/s")
        assert os.listdir(home) == ["s.lock"]
        assert kind != "a file" or lock.read_text() == "mine"


def test_a_socket_of_another_kind_is_left_alone_and_named(start):
    with tempfile.TemporaryDirectory(prefix="solvegate-") as home:
        path = os.path.join(home, "s")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(path)
            refused(start, "a socket of another kind", socket=path)
            assert os.listdir(home) == ["s"]


def test_a_file_that_is_no_socket_is_left_alone_and_named(start, tmp_path):
    path = tmp_path / "f"
    path.write_text("mine")
    refused(start, "is no socket", socket=os.path.relpath(path, tmp_path / "gateway"))
    assert path.read_text() == "mine"


def test_the_file_of_another_is_not_removed_at_the_stop(start):
    house = start()
    house.socket.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(house.socket))
        house.stop_well()
        assert house.socket.exists()


def test_a_directory_that_is_missing_is_an_error_where_the_socket_is_named(start):
    refused(start, "make its directory", socket="/nonexistent/admin.sock")


def test_the_default_is_tried_and_done_without_where_its_directory_is_missing(start, tmp_path):
    missing = tmp_path / "missing"
    house = start(admin={"socket": None}, environment={"RUNTIME_DIRECTORY": str(missing)})
    assert f"without an admin socket: cannot listen on admin.socket {missing}/admin" in house.log()
    task = job()
    expect.solved(house.run(task), task)


def test_the_directory_of_the_service_manager_is_the_default(start):
    with tempfile.TemporaryDirectory(prefix="solvegate-") as runtime:
        house = start(admin={"socket": None}, environment={"RUNTIME_DIRECTORY": runtime})
        assert request(f"unix:{runtime}/admin.sock", "GET", "/readyz").status == 200
        house.stop_well()


def test_a_path_that_is_too_long_is_refused_when_the_configuration_is_checked(tmp_path):
    done = run_once(tmp_path, "-t", listen=[LOOPBACK], admin={"socket": "/" + "x" * 107})
    assert done.returncode == 2
    assert "admin.socket" in done.stderr


# ---- who speaks there ----


@pytest.mark.parametrize("host", ["localhost", "solvegate", "127.0.0.1:80", "any.example"])
def test_any_host_will_do_for_a_page_cannot_reach_it(start, host):
    assert start().operate("GET", "/healthz", headers={"Host": host}).status == 200


def test_a_host_that_is_none_is_refused(start):
    expect.error(start().operate("GET", "/healthz", headers={"Host": "a b"}), 400, "bad_request")


@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost", "null", ""])
def test_a_page_is_refused_whatever_its_origin(start, origin):
    house = start()
    for method, target in (("GET", "/healthz"), ("POST", "/control/drain")):
        answer = house.operate(method, target, headers={"Host": "localhost", "Origin": origin})
        expect.error(answer, 403, "forbidden_origin")


def test_tools_do_not_find_what_operators_ask_for(start):
    house = start(admin=LOOPBACK)
    for target in CONTROL:
        for method in ("GET", "POST", "DELETE"):
            expect.error(house.request(method, target), 404, "not_found")
            expect.error(request(house.admin_url, method, target), 404, "not_found")


@pytest.mark.parametrize("target", ["/api/solve", "/solve", "/api/status?id=h-x", "/balance"])
def test_operators_do_not_find_what_tools_ask_for(start, target):
    body = expect.error(start().operate("GET", target), 404, "not_found")
    assert "/control/" in body["message"]


def test_a_client_of_http_1_0_without_a_host_is_answered(start):
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(patience(10))
        plain.connect(str(start().socket))
        plain.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: plain.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.") and b" 200 " in answer.splitlines()[0]


def test_a_peer_that_says_nothing_is_cut_off(start):
    house = start(limits={"header_timeout": 0.3})
    with socket.socket(socket.AF_UNIX) as silent:
        silent.settimeout(patience(10))
        silent.connect(str(house.socket))
        assert b" 408 " in silent.recv(65536)


def test_too_many_operators_are_told_so_and_those_at_the_address_have_their_own(start):
    house = start(admin=LOOPBACK)
    held = [open_blocking(f"unix:{house.socket}") for _ in range(40)]
    try:
        answers = [exchange(connection, "GET", "/healthz") for connection in held]
        assert {answer.status for answer in answers} == {200, 503}
        assert request(house.admin_url, "GET", "/healthz").status == 200
    finally:
        for connection in held:
            connection.close()


# ---- what a reload creates again ----


def lock_of(house):
    return Path(f"{house.socket}.lock")


def remove_directory(house):
    for path in (house.socket, lock_of(house)):
        path.unlink()
    house.socket.parent.rmdir()
    house.socket.parent.mkdir(mode=0o700)


def leave_dead_socket(house):
    house.socket.unlink()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(house.socket))


WAYS = {
    "socket": lambda house: house.socket.unlink(),
    "lock": lambda house: lock_of(house).unlink(),
    "both": lambda house: (house.socket.unlink(), lock_of(house).unlink()),
    "directory": remove_directory,
    "replaced": leave_dead_socket,
    "renamed": lambda house: house.socket.rename(house.socket.with_name("elsewhere")),
}


@pytest.mark.parametrize("remove", WAYS.values(), ids=WAYS)
def test_a_reload_creates_what_was_removed_again(start, remove):
    house = start(admin={"socket_mode": "0660"})
    remove(house)
    house.hang_up("reloaded ")
    assert "was removed or replaced: it was created again" in house.log()
    assert house.operate("GET", "/healthz").status == 200
    assert mode_of(house.socket) == 0o660
    with open(lock_of(house), encoding="utf-8") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    house.stop_well()
    assert not house.socket.exists() and not lock_of(house).exists()


def test_a_reload_that_fails_creates_it_again_too(start):
    house = start()
    house.socket.unlink()
    house.config.write_text("nonsense")
    house.hang_up("not reloaded")
    assert house.operate("GET", "/healthz").status == 200


def test_a_reload_leaves_a_socket_that_is_there_alone(start):
    house = start()
    before = os.stat(house.socket).st_ino
    house.hang_up("reloaded ")
    assert os.stat(house.socket).st_ino == before
    assert "created again" not in house.log()


def test_it_is_created_again_and_again(start):
    house = start()
    with contextlib.closing(open_blocking(f"unix:{house.socket}")) as kept:
        exchange(kept, "GET", "/healthz")
        for _ in range(3):
            house.socket.unlink()
            wait_until(lambda: house.hang_up("reloaded ") and house.socket.exists(),
                       what="there is a socket")
            assert house.operate("GET", "/healthz").status == 200


@pytest.mark.parametrize("other, why", [("a file", "is no socket"), ("a directory", "is no socket"),
                                        ("a socket that answers", "answers there already")])
def test_what_is_in_the_place_is_named_and_left_alone(start, other, why):
    house = start()
    house.socket.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        if other == "a file":
            house.socket.write_text("mine")
        elif other == "a directory":
            house.socket.mkdir()
        else:
            listening.bind(str(house.socket))
            listening.listen()
        line = house.hang_up("cannot be created again: ")
        assert why in line and str(house.socket) in line, line
    if house.socket.is_dir():
        house.socket.rmdir()
    else:
        house.socket.unlink()
    house.hang_up("was created again")
    assert house.operate("GET", "/healthz").status == 200


def test_a_request_that_is_under_way_ends_on_the_old_one(start):
    """It has asked for the reload that creates the socket again."""
    house = start()
    with contextlib.closing(open_blocking(f"unix:{house.socket}")) as kept:
        exchange(kept, "GET", "/healthz")
        house.socket.unlink()
        answer = exchange(kept, "POST", "/control/reload")
        assert answer.status == 200, answer
    assert house.operate("GET", "/healthz").status == 200
