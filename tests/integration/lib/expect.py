"""What the contract promises of an answer, as assertions."""

import re

_ID = re.compile(r"h-[A-Za-z0-9_-]{21,64}")


def error(answer, status, code):
    """A refusal. code is one slug, or several of which one must be there."""
    codes = (code,) if isinstance(code, str) else code
    assert answer.status == status, answer
    body = answer.object()
    assert body["status"] == ("Unauthorized" if status == 401 else "error"), answer
    assert body["code"] in codes, answer
    assert isinstance(body["message"], str) and body["message"], answer
    return body


def pending(answer):
    """A queued answer, which suits every tool. Returns its object."""
    assert answer.status == 200, answer
    body = answer.object()
    assert body["status"] == "new", answer
    assert "queue" in body["message"], answer
    assert isinstance(body["createdat"], int), answer
    assert isinstance(body["target"], str), answer
    assert _ID.fullmatch(body["id"]), answer
    assert body["url"].endswith(f"status?id={body['id']}"), answer
    assert int(answer.header("Retry-After")) >= 0, answer
    return body


def solved(answer, job):
    """The right solution of this very job, with an id and an address of our own."""
    assert answer.status == 200, answer
    body = answer.object()
    assert body["status"] == "solved", answer
    assert body["solution"] == job.solution, answer
    assert body["sim_digest"] == job.digest, answer
    assert _ID.fullmatch(body["id"]), answer
    assert body["url"].endswith(f"status?id={body['id']}"), answer
    return body


def failed(answer, code):
    """A job that failed, which is no HTTP error. code as in error()."""
    codes = (code,) if isinstance(code, str) else code
    assert answer.status == 200, answer
    body = answer.object()
    assert body["status"] == "error", answer
    assert body["code"] in codes, answer
    assert isinstance(body["message"], str) and body["message"], answer
    assert _ID.fullmatch(body["id"]), answer
    return body
