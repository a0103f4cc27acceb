"""What an operator asks for on the admin socket."""

import datetime
import re

from .http import parse_json


def ask(house, target, method="GET"):
    """The object that is answered with 200."""
    answer = house.operate(method, target)
    assert answer.status == 200, answer
    assert answer.header("Content-Type") == "application/json", answer
    value = parse_json(answer.body)
    assert isinstance(value, dict), answer
    return value


def order(house, name):
    return ask(house, f"/control/{name}", "POST")


def jobs(house, query=""):
    return ask(house, f"/control/jobs{query}")


def moment(text):
    """A time of the API, which must be RFC 3339 by UTC."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text), text
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
