"""Clients of a team: their tokens, what the configuration says of them, and what they see.

    ci = Client("ci", daily_limit=100)
    house = gateway(sim, clients=[ci])
    house.solve(task, ci.headers)
    tool = house.caller(ci)         # or so: the same calls, each with the token
    tool.solve(task)
"""

import asyncio
import base64
import datetime
import hashlib
import re

from . import state
from .build import wait_until
from .http import Connection

TOKEN_PREFIX = "sgt_"
_RANDOM_CHARS = 40

DAY = 86400


class Client:
    """settings are those of the configuration; sites is the list of the allowed ones. Without a
    token it has one that depends on the name alone."""

    def __init__(self, name, token=None, **settings):
        self.name = name
        self.token = token if token is not None else _token_of(name)
        self.sha256 = hashlib.sha256(self.token.encode()).hexdigest()
        self.settings = settings

    @property
    def headers(self):
        return {"apikey": self.token}

    @property
    def bearer(self):
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def entry(self):
        """Its group in the configuration."""
        settings = dict(self.settings)
        if "sites" in settings:
            settings["sites"] = {"allow": list(settings["sites"])}
        return {"name": self.name, "token_sha256": self.sha256, **settings}

    def changed(self, **settings):
        """The same client with other settings; None takes one away."""
        merged = {**self.settings, **settings}
        return Client(self.name, self.token, **{n: v for n, v in merged.items() if v is not None})

    def __repr__(self):
        return f"<{self.name}>"


def limited(window, limit, name="ci"):
    """A client with a "daily" or "monthly" limit."""
    return Client(name, **{f"{window}_limit": limit})


def _token_of(name):
    digest = hashlib.sha256(f"the token of {name}".encode()).digest()
    return TOKEN_PREFIX + base64.urlsafe_b64encode(digest).decode()[:_RANDOM_CHARS]


def ledger_of(directory, client):
    """How many charges of each outcome a client has."""
    counts = dict.fromkeys(state.OUTCOMES, 0)
    for outcome, count in state.rows(
            directory, "SELECT outcome, sum(count) FROM ledger WHERE client = ? GROUP BY outcome",
            client.name):
        counts[outcome] = count
    return counts


def committed(house, client):
    """What was used and what is reserved."""
    daily = house.caller(client).usage()["daily"]
    return daily["used"] + daily["reserved"]


def wait_until_settled(house, client):
    """Waits until nothing of a client is under way. Returns how much it has used."""

    def settled():
        usage = house.caller(client).usage()
        busy = usage["queued"] + usage["in_flight"] + usage["daily"]["reserved"]
        return usage if busy == 0 else None

    return wait_until(settled, 30.0, "all is settled")["daily"]["used"]


_ITEM = re.compile(r'"(?P<name>[a-z]+)"(?P<parameters>(;[a-z]+=-?[0-9]+)*)')


def limits_in(answer, field):
    """RateLimit or RateLimit-Policy as {name: {parameter: number}}, in their order; {} without the
    field. They are lists of strings with integers as parameters (RFC 9651)."""
    value = answer.header(field)
    found = {}
    for item in value.split(", ") if value is not None else []:
        match = _ITEM.fullmatch(item)
        assert match, (field, value)
        pairs = [text.split("=") for text in match["parameters"].split(";")[1:]]
        assert match["name"] not in found, (field, value)
        found[match["name"]] = {name: int(number) for name, number in pairs}
        assert len(found[match["name"]]) == len(pairs), (field, value)
    return found


def day_with_time_left(seconds=120):
    """The moment (UTC), after waiting for the next day if this one is nearly over: a test that
    counts by days would see two."""
    now = utc_now()
    if (day_after(now) - now).total_seconds() < seconds:
        wait_until(lambda: midnight(utc_now()) > midnight(now), seconds + 1, "a new day")
    return utc_now()


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc)


def day_after(moment):
    """The first moment of the next UTC day."""
    return midnight(moment) + datetime.timedelta(days=1)


def month_after(moment):
    """The first moment of the next UTC month."""
    return (midnight(moment).replace(day=1) + datetime.timedelta(days=32)).replace(day=1)


def midnight(moment):
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def in_rfc3339(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def post_over(house, client, tasks, connections=20, prefer="respond-async"):
    """Posts jobs as fast as so many connections can, each job on the one that is free first.
    Returns the answers, in the order of tasks."""
    answers = [None] * len(tasks)
    numbers = iter(range(len(tasks)))
    headers = {**client.headers, "Prefer": prefer}

    async def tool():
        async with await Connection.open(house.url) as connection:
            for number in numbers:
                answers[number] = await connection.request(
                    "POST", "/api/solve", headers, tasks[number].body)

    await asyncio.gather(*(tool() for _ in range(min(connections, len(tasks)))))
    return answers
