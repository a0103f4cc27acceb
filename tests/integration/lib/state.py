"""What a daemon left in its state directory, read past the daemon."""

import contextlib
import sqlite3

OUTCOMES = ("open", "charged", "not_charged", "unknown")


def database(directory):
    return directory / "jobs.db"


def bodies(directory):
    """The other database, which nobody else can open while the daemon runs."""
    return directory / "bodies.db"


def rows(directory, query, *arguments):
    """The rows of a query. Needs that nobody writes, but changes nothing itself."""
    return rows_of(database(directory), query, *arguments)


def rows_of(file, query, *arguments):
    """The same of one of the databases."""
    address = f"file:{file}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10.0)) as connection:
        return connection.execute(query, arguments).fetchall()


def ledger(directory):
    """How many charges there are of each outcome, over all clients and upstreams."""
    counts = dict.fromkeys(OUTCOMES, 0)
    for client, upstream, outcome, count in rows(
            directory, "SELECT client, upstream, outcome, count FROM ledger"):
        assert outcome in counts, (client, upstream, outcome)
        counts[outcome] += count
    return counts


def bytes_on_disk(directory):
    """All files of the databases together."""
    return sum(path.stat().st_size for path in directory.glob("*.db*"))


def assert_ledger_agrees(directory, charged):
    """charged is what the simulators say. The daemon must have stopped; then no charge is open."""
    counts = ledger(directory)
    assert counts["open"] == 0, counts
    assert counts["charged"] <= charged <= counts["charged"] + counts["unknown"], (counts, charged)
    return counts
