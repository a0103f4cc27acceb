"""The completion of solvegatectl in bash, as bash calls it; the daemon is that of lib/control.py."""

import re
import subprocess

import pytest

from lib.build import REPOSITORY, patience
from lib.control import Control
from lib.ctl import PROGRAM, environment
from lib.samples import ANSWERS, CLIENT, JOB, JOB_ID

COMPLETE = r"""
. /usr/share/bash-completion/bash_completion
. "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE="${COMP_WORDS[*]}" COMP_LINE=${COMP_LINE// = /=} COMP_LINE=${COMP_LINE/% =/=}
COMP_POINT=${#COMP_LINE}
_solvegatectl
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
"""


def complete(*words, cwd=None):
    """What bash offers in place of the last word. For bash "=" is a word, with blanks or without."""
    script = REPOSITORY / "completion" / "solvegatectl"
    done = subprocess.run(["bash", "--norc", "-c", COMPLETE, "bash", script, PROGRAM, *words],
                          capture_output=True, text=True, timeout=patience(60), check=False,
                          cwd=cwd, env=environment())
    assert not done.stderr, done.stderr
    return done.stdout.split()


@pytest.fixture
def daemon():
    jobs = [JOB, {**JOB, "id": "h-other"}, {**JOB, "id": "h-$(touch x)"}]
    clients = [CLIENT, {**CLIENT, "name": "ann"}]
    with Control({**ANSWERS, "GET /control/jobs?limit=1000": (200, {"jobs": jobs, "total": 3}),
                  "GET /control/clients": (200, {"clients": clients})}) as control:
        yield control


def commands_in_help():
    out = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True,
                         timeout=patience(60)).stdout
    return set(re.findall(r"^  ([a-z]+) ", out, re.MULTILINE))


def test_every_command_is_offered_and_no_other():
    assert set(complete("")) == commands_in_help()
    assert complete("stat") == ["status"]
    assert complete("--json", "re") == ["resume", "reload"]


def test_the_second_words_of_commands_are_offered():
    assert complete("token", "") == ["new", "hash"]
    assert complete("audit", "") == ["verify"]
    assert complete("token", "new", "") == []


def test_options_are_offered_where_they_may_stand():
    assert complete("--j") == ["--json"]
    assert "--client" not in complete("status", "-")
    assert {"--client", "--state", "--limit"} < set(complete("jobs", "-"))
    assert complete("jobs", "--state", "") == ["queued", "sending", "accepted"]


@pytest.mark.parametrize("command", ["job", "cancel"])
def test_the_ids_of_jobs_are_asked_of_the_daemon_that_is_named(daemon, command):
    assert complete("--socket", daemon.path, command, "") == [JOB_ID, "h-other"]
    assert complete("--socket", daemon.path, command, "h-o") == ["h-other"]
    assert complete("--socket", daemon.path, command, JOB_ID, "") == []


def test_a_value_may_stand_behind_its_option_and_a_sign(daemon):
    assert complete("jobs", "--state", "=", "s") == ["sending"]
    assert complete("jobs", "--state", "=") == ["queued", "sending", "accepted"]
    assert complete("--socket", "=", daemon.path, "job", "h-o") == ["h-other"]
    assert complete("--socket", "=", daemon.path, "jobs", "--client", "=", "a") == ["ann"]


def test_the_names_of_clients_are_asked_of_the_daemon(daemon):
    assert complete("--socket", daemon.path, "jobs", "--client", "") == ["ci", "ann"]


def test_what_the_daemon_says_is_never_run(daemon, tmp_path):
    complete("--socket", daemon.path, "job", "", cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_daemon_nothing_is_offered_and_nothing_said(tmp_path):
    assert complete("--socket", tmp_path / "none", "job", "") == []


def test_files_are_offered_for_the_audit_and_the_socket(tmp_path):
    (tmp_path / "audit.jsonl").touch()
    for words in ("audit", "verify", "au"), ("audit", "verify", "x", "au"), ("--socket", "au"):
        assert complete(*words, cwd=tmp_path) == ["audit.jsonl"]
