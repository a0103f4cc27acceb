"""solvegatectl and a daemon: what it asks, what it prints, and what it says where there is no good
answer. The daemon is a small one of lib/control.py."""

import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import termios
import fcntl

import pytest

from lib.build import patience
from lib.control import Control
from lib.ctl import NO_DAEMON, PROGRAM, ctl, environment, told, told_json
from lib.samples import ANSWERS, CLIENT, EMPTY, JOB, JOB_ID, UPSTREAM, WELL

COMMANDS = {
    ("status",): "GET /control/status",
    ("jobs",): "GET /control/jobs",
    ("job", JOB_ID): f"GET /control/job?id={JOB_ID}",
    ("cancel", JOB_ID): f"DELETE /control/job?id={JOB_ID}",
    ("clients",): "GET /control/clients",
    ("usage",): "GET /control/usage",
    ("upstreams",): "GET /control/upstreams",
    ("balance",): "GET /control/balance",
    ("drain",): "POST /control/drain",
    ("resume",): "POST /control/resume",
    ("reload",): "POST /control/reload",
}


@pytest.fixture
def daemon():
    with Control(ANSWERS) as control:
        yield control


@pytest.fixture
def path(tmp_path_factory, daemon):
    """A path on which there is no socket yet, in a short directory."""
    return daemon.path.with_name("t")


def rows(text):
    """The cells of each line of a table."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


# What is asked


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_asks_one_question_and_prints_something(daemon, command):
    assert told(daemon.path, *command)
    assert daemon.asked == [COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_the_answer_as_it_came(daemon, command):
    assert told_json(daemon.path, *command) == ANSWERS[COMMANDS[command]][1]


def test_an_argument_is_percent_encoded(daemon):
    ctl(daemon.path, "job", "h-ü &?#/%\n")
    ctl(daemon.path, "jobs", "--client", "a&b", "--state", "queued", "--limit", "5")
    assert daemon.asked == ["GET /control/job?id=h-%C3%BC%20%26%3F%23%2F%25%0A",
                            "GET /control/jobs?limit=5&client=a%26b&state=queued"]


def test_an_id_that_is_too_long_is_not_asked_for(daemon):
    status, out, complaint = ctl(daemon.path, "job", "x" * 5000)
    assert (status, out, daemon.asked) == (1, "", []) and "too long" in complaint


def test_the_socket_of_the_environment_is_asked(daemon):
    done = subprocess.run([PROGRAM, "resume"], capture_output=True, timeout=patience(60),
                          check=False, env=environment(SOLVEGATE_SOCKET=str(daemon.path)))
    assert (done.returncode, done.stdout) == (0, b"jobs are taken\n")


def test_a_proxy_of_the_environment_has_no_part_in_it(daemon):
    status, _, _ = ctl(daemon.path, "resume", http_proxy="http://127.0.0.1:1",
                       ALL_PROXY="http://127.0.0.1:1")
    assert status == 0


# What is printed


def test_status_says_first_what_matters(daemon):
    lines = told(daemon.path, "status").splitlines()
    assert lines[0] == "solvegate 0.1.0 is not ready: every account is refused"
    attention = [line.lstrip("! ") for line in lines if line.startswith("!")]
    assert [next(word for word in ("audit", "pro", "line 3 is wrong", "workers", "has expired",
                              "2 more", "12 lines") if word in line) for line in attention] == [
        "audit", "pro", "line 3 is wrong", "workers", "has expired", "2 more", "12 lines"]
    assert "not written" in attention[-1], "it need not be that its reader is slow"
    assert lines[1].startswith("!")


def test_status_of_a_daemon_that_is_well_has_nothing_to_attend_to(daemon):
    daemon.answers["GET /control/status"] = (200, WELL)
    out = told(daemon.path, "status")
    assert out.startswith("solvegate 0.1.0 takes jobs\n") and "!" not in out


@pytest.mark.parametrize("state, words", [("drained", "solvegatectl resume"),
                                          ("stopping", "is stopping"), ("new state", "new state")])
def test_status_says_when_no_jobs_are_taken(daemon, state, words):
    daemon.answers["GET /control/status"] = (200, {**WELL, "state": state, "ready": False,
                                                   "message": "send it again later"})
    first = told(daemon.path, "status").splitlines()[0]
    assert words in first and "send it again" not in first, "it is for tools"


def test_status_has_its_quantities_in_their_units(daemon):
    out = told(daemon.path, "status")
    for words in ("3 jobs; 2 of 8000 to buy; bodies 1.5 MiB of 1.0 GiB", "12 of 9000",
                  "120 solved, 3 upstream_rejected\n", "100 upstream, 10 collapsed, 10 cache",
                  "1 d 2 h, since 2026-11-20T01:00:00Z, process 4711", "http://127.0.0.1:8118",
                  "https://[::1]:8443", "/etc/solvegate/solvegate.conf"):
        assert words in out, words


def test_one_of_a_kind_is_told_in_the_singular(daemon):
    daemon.answers["GET /control/status"] = (200, {
        **WELL, "queue": {**WELL["queue"], "jobs": 1}, "log": {"lost": 1}})
    out = told(daemon.path, "status")
    assert " 1 job; " in out and " 1 line of the log was lost: " in out


def test_jobs_are_a_table_and_say_when_there_are_more(daemon):
    out = told(daemon.path, "jobs")
    assert rows(out) == [
        ["ID", "CLIENT", "STATE", "UPSTREAM", "SOURCE", "AGE", "LEFT", "TRIES", "TROUBLE"],
        [JOB_ID, "ci", "queued", "-", "upstream", "12 s", "1 min 48 s", "2",
         "pro: the upstream answered 503"],
        ["the 1 oldest of 7 jobs"],
    ]


def test_a_job_that_waits_after_trouble_tells_where_that_was_and_that_it_is_tried_again(daemon):
    trouble = "trouble      pro: the upstream answered 503"
    assert f"{trouble}; it waits for its next try\n" in told(daemon.path, "job", JOB_ID)
    question = f"GET /control/job?id={JOB_ID}"
    daemon.answers[question] = (200, {**JOB, "state": "failed"})
    assert f"{trouble}\n" in told(daemon.path, "job", JOB_ID)


def test_the_columns_of_a_table_are_aligned_whatever_is_in_them(daemon):
    names = ["ci", "日本", "a-long-name", "e\u0301e\u0301"]
    jobs = [{**JOB, "client": name} for name in names]
    daemon.answers["GET /control/jobs"] = (200, {"jobs": jobs, "total": 4})
    lines = told(daemon.path, "jobs").splitlines()
    widths = {"ci": 2, "日本": 4, "a-long-name": 11, "e\u0301e\u0301": 2}
    starts = {line.index("queued") - len(name) + widths[name]
              for line, name in zip(lines[1:], names)}
    assert starts == {lines[0].index("STATE")}


def test_clients_and_usage_have_limits_and_what_is_left(daemon):
    assert rows(told(daemon.path, "clients"))[1] == [
        "ci", "3", "1 of 4", "5", "13 of 1000", "300", "1", "5.5/s", "9 of 10", "2", "2027-01-31"]
    daemon.answers["GET /control/clients"] = (200, {"clients": [{**CLIENT, "expired": True}]})
    assert rows(told(daemon.path, "clients"))[1][-1] == "2027-01-31 (over)"
    clients, ledger = told(daemon.path, "usage").split("\n\n")
    assert rows(clients)[1] == ["ci", "13 of 1000", "987", "300", "-", "6", "7"]
    assert rows(ledger)[1:] == [["ci", "pro", "299", "1"], ["ann", "free", "5", "0"],
                                ["(all)", "(all)", "304", "1"]]


def test_a_client_that_is_called_all_is_told_from_all_clients(daemon):
    daemon.answers["GET /control/usage"] = (200, {"clients": [], "ledger": [
        {"client": "all", "upstream": "all", "charged": 3, "unknown": 0},
        {"client": "ann", "upstream": "pro", "charged": 4, "unknown": 0}]})
    names = [row[0] for row in rows(told(daemon.path, "usage").split("\n\n")[1])[1:]]
    assert names == ["all", "ann", "(all)"]


def test_upstreams_and_balance_are_tables(daemon):
    assert rows(told(daemon.path, "upstreams"))[1] == [
        "pro", "refused", "2 of 10", "310203", "5", "20", "0", "1", "https://pro.example.com"]
    assert rows(told(daemon.path, "balance"))[1:] == [
        ["pro", "1 min 15 s", "planlimit 1000, used 3, Subscription.remaining 4"],
        ["free", "-", "not asked yet"]]


@pytest.mark.parametrize("refused, words", [
    (True, "upstream pro refuses its account: Invalid APIKEY (asked 3.2 s ago)"),
    (False, "upstream pro does not tell its balance: Invalid APIKEY (asked 3.2 s ago)")])
def test_a_balance_that_was_not_told_is_an_attention_with_its_age(daemon, refused, words):
    failure = {"age": 3.2, "refused": refused, "message": "Invalid APIKEY"}
    upstreams = [{**UPSTREAM, "state": "up", "balance_failure": failure}]
    daemon.answers["GET /control/status"] = (200, {**WELL, "upstreams": upstreams})
    daemon.answers["GET /control/upstreams"] = (200, {"upstreams": upstreams})
    for command in "status", "upstreams":
        attention = [line.lstrip("! ") for line in told(daemon.path, command).splitlines()
                     if line.startswith("!")]
        assert attention == [words]


def test_an_account_that_is_refused_is_an_attention_once_with_the_reason_if_it_is_known(daemon):
    def attention(failure):
        upstreams = [{**UPSTREAM, "state": "refused", "balance_failure": failure}]
        daemon.answers["GET /control/status"] = (200, {**WELL, "upstreams": upstreams})
        return [line.lstrip("! ") for line in told(daemon.path, "status").splitlines()
                if line.startswith("!")]

    assert attention({"age": 3.2, "refused": True, "message": "Invalid APIKEY"}) == [
        "upstream pro refuses its account: Invalid APIKEY (asked 3.2 s ago)"]
    assert attention(None) == [
        "upstream pro refuses its account: see to its credential and its balance"]


def test_a_failure_stands_beside_the_balance_before_it(daemon):
    failure = {"age": 3.2, "refused": True, "message": "Invalid APIKEY"}
    daemon.answers["GET /control/balance"] = (200, {"balances": [
        {"upstream": "pro", "age": 75.0, "balance": {"used": 3}, "message": "",
         "failure": failure},
        {"upstream": "free", "age": None, "balance": None, "message": "Invalid APIKEY",
         "failure": failure}]})
    assert rows(told(daemon.path, "balance"))[1:] == [
        ["pro", "1 min 15 s", "used 3; Invalid APIKEY (asked 3.2 s ago)"],
        ["free", "-", "Invalid APIKEY (asked 3.2 s ago)"]]


def test_a_long_balance_is_told_to_its_end(daemon):
    terms = {"Subscription": {f"term{i}": "x" * 100 for i in range(250)}, "used": 3}
    daemon.answers["GET /control/balance"] = (200, {"balances": [
        {"upstream": "pro", "age": 1.0, "balance": terms, "message": ""}]})
    assert rows(told(daemon.path, "balance"))[1][2].endswith(", used 3")


def test_changes_are_told_in_words(daemon):
    assert told(daemon.path, "cancel", JOB_ID) == f"{JOB_ID} is cancelled\n"
    assert "solvegatectl resume" in told(daemon.path, "drain")
    assert told(daemon.path, "reload") == (
        "reloaded: upstreams: +b\na restart is needed for workers\n"
        "warning      sites.allow is empty\n")


@pytest.mark.parametrize("command, words", [
    ("jobs", "no unfinished jobs\n"), ("clients", "no clients\n"), ("upstreams", "no upstreams\n"),
    ("usage", "no clients\n\nnothing was charged\n"), ("balance", "no upstreams\n")])
def test_an_empty_list_is_said_in_words(daemon, command, words):
    daemon.answers.update(EMPTY)
    assert told(daemon.path, command) == words


def without_values(value):
    """The same object with members of other types, as a daemon of another version may have them."""
    if isinstance(value, dict):
        return {name: without_values(member) for name, member in value.items()}
    if isinstance(value, list):
        return [without_values(member) for member in value] + [None, 5, "x", {}, [[]]]
    return {} if isinstance(value, (str, int, float)) else "other"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("change", [without_values, lambda _: {}, lambda value: {
    name: 10**400 if isinstance(member, (int, float)) else None
    for name, member in value.items()}], ids=["other types", "nothing", "huge"])
def test_an_answer_of_another_shape_is_shown_as_far_as_it_goes(daemon, command, change):
    question = COMMANDS[command]
    daemon.answers[question] = (200, change(ANSWERS[question][1]))
    ctl_status, _, complaint = ctl(daemon.path, *command)
    assert (ctl_status, complaint) == (0, "")


# Text of others


HOSTILE = ("a\x1b[2J\x07\n\t\x7f\u009b31m\u202eevil\u200b\u2028\U00013430\U0001bca0\U0001d173"
           "\U000e0041\u0000z")
SAFE_LINE = re.compile(r"[ -~\u00a1-\u00ac\u00ae-\u1fff\u2026\u3000-\ud7ff]*")


def assert_harmless(text):
    for line in text.removesuffix("\n").split("\n"):
        assert SAFE_LINE.fullmatch(line), line


def with_text(value, text):
    if isinstance(value, dict):
        return {name: with_text(member, text) for name, member in value.items()}
    if isinstance(value, list):
        return [with_text(member, text) for member in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_nothing_that_moves_a_cursor_reaches_the_terminal(daemon, command, options):
    question = COMMANDS[command]
    hostile = with_text(ANSWERS[question][1], HOSTILE)
    # Not escaped as JSON would, where JSON need not.
    daemon.answers[question] = (200, json.dumps(hostile, ensure_ascii=False).encode())
    status, out, _ = ctl(daemon.path, *options, *command)
    assert status == 0
    assert_harmless(out)
    if options:
        assert json.loads(out) == hostile


def test_a_hostile_refusal_is_escaped_too(daemon):
    daemon.answers["POST /control/reload"] = (422, {
        "status": "error", "code": HOSTILE, "message": HOSTILE})
    status, out, complaint = ctl(daemon.path, "reload")
    assert (status, out) == (1, "")
    assert_harmless(complaint)
    assert r"a\x1b[2J\x07\n\t\x7f\u{9b}31m\u{202e}evil" in complaint


def test_without_utf8_all_that_is_not_ascii_is_escaped(daemon):
    daemon.answers["POST /control/reload"] = (200, {"ok": True, "message": "naïve 日本"})
    _, out, _ = ctl(daemon.path, "reload", LC_ALL="C")
    assert out == "reloaded: na\\u{ef}ve \\u{65e5}\\u{672c}\n"
    assert told(daemon.path, "reload") == "reloaded: naïve 日本\n"


# Terminals


def on_a_terminal(width, *arguments):
    """What a command writes to a terminal that is so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    child = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=theirs,
                             stderr=theirs, env=environment())
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 4096):
            text += piece
    except OSError:  # its other side is closed
        pass
    os.close(ours)
    assert child.wait(patience(60)) == 0
    return text.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100])
@pytest.mark.parametrize("command", ["jobs", "clients", "usage", "upstreams", "balance"])
def test_a_table_is_no_wider_than_the_terminal(daemon, command, width):
    text = on_a_terminal(width, "--socket", daemon.path, command)
    table = [line for line in text.splitlines() if not line.startswith("the 1")]
    assert len(table) >= 2
    assert all(len(line) <= width for line in table), text


def test_a_narrow_terminal_loses_what_matters_least(daemon):
    wide, narrow = (on_a_terminal(width, "--socket", daemon.path, "jobs").splitlines()[0].split()
                    for width in (200, 60))
    assert len(wide) == 9
    assert narrow[:3] == wide[:3] and len(narrow) < len(wide)


def test_a_wide_character_is_not_cut_in_half(daemon):
    job = {**JOB, "trouble": "日" * 60}
    daemon.answers["GET /control/jobs"] = (200, {"jobs": [job], "total": 1})
    for width in (120, 121):
        line = on_a_terminal(width, "--socket", daemon.path, "jobs").splitlines()[1]
        assert line.endswith("日…")
        assert len(line) + line.count("日") <= width


# No good answer


def test_a_refusal_is_told_with_the_daemons_words(daemon):
    daemon.answers["POST /control/reload"] = (422, {
        "status": "error", "code": "not_reloaded", "message": "solvegate.conf:3: wrong"})
    assert ctl(daemon.path, "reload") == (
        1, "", "solvegatectl: solvegate.conf:3: wrong (not_reloaded)\n")
    status, out, complaint = ctl(daemon.path, "--json", "reload")
    assert (status, json.loads(out)["code"]) == (1, "not_reloaded") and complaint


def test_without_a_socket_it_says_what_to_do(path):
    status, out, complaint = ctl(path, "status")
    assert (status, out) == (NO_DAEMON, "")
    assert str(path) in complaint and "is solvegate running" in complaint
    assert "--socket" in complaint and complaint.count("\n") == 1


def test_a_socket_that_nobody_listens_on_is_told(path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    status, out, complaint = ctl(path, "--json", "status")
    assert (status, out) == (NO_DAEMON, "") and "start it" in complaint


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_path_that_is_no_socket_is_told(path, kind):
    path.write_text("") if kind == "file" else path.mkdir()
    status, out, complaint = ctl(path, "status")
    assert (status, out) == (NO_DAEMON, "")
    assert complaint == (f"solvegatectl: {path}: is no socket; name the daemon's admin.socket with "
                         "--socket\n")


def test_a_daemon_that_accepts_nobody_is_told(path):
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as waiting:
        full.bind(str(path))
        full.listen(0)
        waiting.connect(str(path))
        status, out, complaint = ctl(path, "status")
    assert (status, out) == (NO_DAEMON, "") and "too many wait there" in complaint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mode, advice", [
    (0o600, b'admin.socket_mode "0660" lets in the group admin.socket_group'),
    (0o660, b"become a member of its group (admin.socket_group)")])
def test_a_socket_that_may_not_be_used_is_told(daemon, mode, advice):
    daemon.path.parent.chmod(0o755)
    daemon.path.chmod(mode)
    program = daemon.path.with_name("solvegatectl")  # where anybody can run it
    program.write_bytes(PROGRAM.read_bytes())
    program.chmod(0o755)
    done = subprocess.run([program, "--socket", daemon.path, "status"], capture_output=True,
                          timeout=patience(60), check=False, user=65534, group=65534,
                          extra_groups=[], cwd="/", env=environment())
    assert done.returncode == NO_DAEMON
    assert b"may not use" in done.stderr and advice in done.stderr


@pytest.mark.parametrize("rubbish", [
    b"", b"\n", b"[]", b"5", b"{", b'{"a":1}x', b'{"a":01}', b"{'a':1}", b'{"a":"\xff"}', b"\0",
    b"<html></html>", b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"])
def test_a_body_that_is_no_object_is_no_answer(daemon, rubbish):
    daemon.answers["GET /control/status"] = (200, rubbish)
    for options in (), ("--json",):
        status, out, complaint = ctl(daemon.path, *options, "status")
        assert (status, out) == (1, "") and "does not speak as solvegate does" in complaint


@pytest.mark.parametrize("sent, words", [
    (b"", "ended before"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "ended before"),
    (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
     "does not speak"),
])
def test_what_is_no_whole_answer_is_told(daemon, sent, words):
    daemon.answers["GET /control/status"] = lambda connection: connection.sendall(sent)
    status, out, complaint = ctl(daemon.path, "status")
    assert (status, out) == (1, "") and words in complaint and str(daemon.path) in complaint


def test_an_answer_without_end_is_given_up(daemon):
    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    daemon.answers["GET /control/status"] = flood
    status, out, complaint = ctl(daemon.path, "status")
    assert (status, out) == (1, "") and "too long" in complaint


def test_a_daemon_that_hangs_is_given_up_after_five_seconds(daemon):
    daemon.answers["GET /control/status"] = lambda connection: connection.recv(1)
    status, out, complaint = ctl(daemon.path, "status")
    assert (status, out) == (1, "") and "no answer within 5 s" in complaint


@pytest.mark.parametrize("command", [("balance",), ("cancel", JOB_ID)])
def test_what_upstreams_or_a_disk_have_to_do_with_is_waited_for_longer(daemon, command):
    question = COMMANDS[command]
    gave_up = []

    def answer(connection):
        """After six seconds, or when the other side goes."""
        gave_up.extend(select.select([connection], [], [], 6)[0])
        body = json.dumps(ANSWERS[question][1]).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                           % (len(body), body))

    daemon.answers[question] = answer
    assert told(daemon.path, *command) and not gave_up


def test_output_that_cannot_be_written_is_told(daemon):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "--socket", daemon.path, "status"], stdout=full,
                              stderr=subprocess.PIPE, timeout=patience(60), check=False,
                              env=environment())
    assert done.returncode == 1
    assert done.stderr == b"solvegatectl: standard output: No space left on device\n"


