"""Fills the databases of a stopped daemon with many rows, by SQL, so that a million take seconds.

The daemon makes the files (start it once, and stop it): the schema stays in one place. Each function
adds rows of one kind as the daemon writes them, in one transaction without a sync, and returns what
a test needs in order to find them. IDs and identities are random, as real ones are; all of them
belong to one client and one site, unless said otherwise.
"""

import contextlib
import sqlite3
import time

from .job import SITE
from .state import bodies, database

CLIENT = "local"
UPSTREAM = "main"
RESULT = '"status":"solved","solution":[1,4,7]'
TARGET = '"traffic lights"'
DAY_MS = 86_400_000

_CACHE_KIB = 512 * 1024  # so that a random index is filled in memory
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
_ID = "'h-' || hex(randomblob(12))"


def now_ms():
    return int(time.time() * 1000)


@contextlib.contextmanager
def _filling(directory):
    with contextlib.closing(sqlite3.connect(database(directory))) as connection:
        connection.executescript(
            f"PRAGMA synchronous = OFF; PRAGMA cache_size = -{_CACHE_KIB};"
            "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY")
        connection.execute("ATTACH ? AS bodies", (str(bodies(directory)),))
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _last(connection, column, table):
    return connection.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchone()[0]


def _add_purchases(connection, state, values):
    connection.execute(
        f"{_NUMBERS} INSERT INTO purchase(number, identity, host, created, state, upstream, error,"
        " text, finished) SELECT :first + i, randomblob(32), :site, :created, :state,"
        " iif(:finished IS NULL, NULL, :upstream), 0, :text,"
        " iif(:finished IS NULL, NULL, :finished + i * :step_us / 1000) FROM n",
        {**values, "state": state})


def _add_jobs(connection, values):
    connection.execute(
        f"{_NUMBERS} INSERT INTO job(id, purchase, client, target, created, deadline, address)"
        f" SELECT {_ID}, :first + i, :client, :target, :created, :deadline + i * :later_ms,"
        " '127.0.0.1' FROM n",
        values)


def _values(connection, count, client, text=None, finished=None, step_us=0):
    now = now_ms()
    return {"count": count, "first": _last(connection, "number", "purchase"), "client": client,
            "site": SITE, "upstream": UPSTREAM, "text": text, "target": TARGET, "created": now,
            "deadline": now + DAY_MS, "later_ms": 0, "finished": finished, "step_us": step_us}


def _job_ids(connection, first):
    """In the order in which they came."""
    found = connection.execute("SELECT id FROM job WHERE purchase > ? ORDER BY seq", (first,))
    return [job_id for (job_id,) in found]


def add_results(directory, count, client=CLIENT, text=RESULT, age_ms=0, span_ms=0, charged=True):
    """count solved jobs, each with a purchase and, if charged, a charge of its own. They finished
    within span_ms, evenly and in their order, the last one age_ms ago. Returns their IDs."""
    with _filling(directory) as connection:
        values = _values(connection, count, client, text, now_ms() - age_ms - span_ms,
                         span_ms * 1000 // count)
        _add_purchases(connection, 3, values)
        _add_jobs(connection, values)
        if charged:
            connection.execute(
                "INSERT INTO charge(purchase, attempt, day, time, client, upstream, job, outcome)"
                " SELECT purchase, 1, :created / 86400000, :created, client, :upstream, id, 2"
                " FROM job WHERE purchase > :first ORDER BY purchase", values)
        return _job_ids(connection, values["first"])


def add_ended(directory, count, client=CLIENT, age_ms=0):
    """count jobs that were cancelled by their owner, without a purchase. Returns their IDs."""
    with _filling(directory) as connection:
        values = {**_values(connection, count, client, finished=now_ms() - age_ms),
                  "seq": _last(connection, "seq", "job")}
        connection.execute(
            f"{_NUMBERS} INSERT INTO job(id, client, target, created, deadline, address, state,"
            f" error, text, finished) SELECT {_ID}, :client, :target, :created, :deadline,"
            " '127.0.0.1', 5, 4, 'cancelled', :finished FROM n", values)
        return [job_id for (job_id,) in connection.execute(
            "SELECT id FROM job WHERE seq > :seq ORDER BY seq", values)]


def add_queued(directory, count, body, client=CLIENT, deadline_ms=DAY_MS, later_ms=1):
    """count jobs that wait, each with a purchase and the same body (bytes). The first deadline is
    deadline_ms from now, each other one later_ms after that before it; negative ones have passed.
    Returns their IDs."""
    with _filling(directory) as connection:
        values = _values(connection, count, client)
        values["deadline"] = now_ms() + deadline_ms
        values["later_ms"] = later_ms
        _add_purchases(connection, 0, values)
        _add_jobs(connection, values)
        connection.execute(f"{_NUMBERS} INSERT INTO bodies.body(purchase, bytes)"
                           " SELECT :first + i, :body FROM n", {**values, "body": body})
        return _job_ids(connection, values["first"])


def add_ledger(directory, count, clients=1000, upstreams=8, days=400):
    """count sums of charges by day, client, upstream and outcome (charge_day), as those of jobs that
    are gone. Each sum is 1. Clients are client-0 and so on, upstreams upstream-0."""
    room = clients * upstreams * days * 2
    assert count <= room, f"{count} rows need more clients, upstreams or days than {room} / 2"
    with _filling(directory) as connection:
        connection.execute(
            f"{_NUMBERS} INSERT INTO charge_day(day, client, upstream, outcome, count)"
            " SELECT :today - i % :days, 'client-' || (i / :days % :clients),"
            " 'upstream-' || (i / :days / :clients % :upstreams),"
            " iif(i / :days / :clients / :upstreams, 4, 2), 1 FROM n ORDER BY 1, 2, 3, 4",
            {"count": count, "today": now_ms() // DAY_MS, "days": days, "clients": clients,
             "upstreams": upstreams})
