"""The harness itself: what it must notice, it notices."""

import shlex

import pytest

from lib import canary, expect
from lib.gateway import Gateway
from lib.http import Answer, parse_json
from lib.process import Process, stop_all

JSON = [("Content-Type", "application/json")]


def program(tmp_path, *lines, then="exec sleep 60"):
    """A running program that has written lines to its log and then goes on."""
    told = "".join(f"printf '%s\\n' {shlex.quote(line)} >&2; " for line in lines)
    process = Process(["sh", "-c", f"{told}echo ready http://127.0.0.1:1 >&2; {then}"],
                      tmp_path / "log")
    process.wait_ready()
    return process


def problems(process, exit_statuses=(0, -15)):
    process.exit_statuses = exit_statuses
    return stop_all([process], 1.0)


def test_a_program_that_stops_well_has_no_problem(tmp_path):
    assert not problems(program(tmp_path))


def test_another_exit_status_is_noticed(tmp_path):
    assert problems(program(tmp_path), exit_statuses=(0,))


def test_a_program_that_does_not_stop_is_killed_and_noticed(tmp_path):
    stubborn = program(tmp_path, then="trap '' TERM; while :; do sleep 0.1; done")
    assert problems(stubborn)
    assert not stubborn.running()


@pytest.mark.parametrize(
    "line",
    ["==1==ERROR: AddressSanitizer: heap-use-after-free", "WARNING: ThreadSanitizer: data race",
     "a.c:1:2: runtime error: signed integer overflow", "==1==ERROR: LeakSanitizer: leaks"],
)
def test_a_sanitizers_report_is_noticed(tmp_path, line):
    assert problems(program(tmp_path, line))


@pytest.mark.parametrize("value", canary.STORED)
def test_a_stored_credential_in_the_log_is_noticed(tmp_path, value):
    process = program(tmp_path, f"debug sending apikey: {value}")
    process.secrets = Gateway.secrets
    assert problems(process)


def test_a_stored_credential_in_an_answer_is_noticed():
    with pytest.raises(AssertionError):
        Answer(200, JSON, f'{{"message":"{canary.STORED_APIKEY}"}}'.encode())
    with pytest.raises(AssertionError):
        Answer(200, [("X-Echo", canary.STORED_UID)], b"{}")


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":"\xff"}', b"", b"{} x"])
def test_json_that_is_not_strict_is_noticed(body):
    with pytest.raises((AssertionError, ValueError)):
        parse_json(body)


@pytest.mark.parametrize(
    "headers, body",
    [(JSON, b"[]"), (JSON, b'{"status":1}'), (JSON, b"{}"), ([], b'{"status":"new"}'),
     ([("Content-Type", "text/html")], b'{"status":"new"}')],
)
def test_an_answer_that_a_tool_crashes_on_is_noticed(headers, body):
    with pytest.raises(AssertionError):
        Answer(200, headers, body).object()


@pytest.mark.parametrize(
    "body",
    ['{"status":"error","code":"x"}', '{"status":"error","code":"x","message":""}',
     '{"status":"error","code":"y","message":"m"}', '{"status":"new","code":"x","message":"m"}'],
)
def test_an_error_that_is_not_the_contracts_is_noticed(body):
    with pytest.raises((AssertionError, KeyError)):
        expect.error(Answer(400, JSON, body.encode()), 400, "x")
