"""Copies of a job's rows in a store, for tests that need more jobs than they can post."""

import os
import sqlite3

from .state import bodies, database


def row_of(connection, table, column, value):
    found = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,)).fetchone()
    assert found is not None, f"no {column} {value!r} in {table}"
    return dict(found)


def insert_all(connection, table, rows):
    """Adds rows, all of which have the same columns."""
    rows = iter(rows)
    first = next(rows)
    marks = ", ".join("?" * len(first))
    statement = f"INSERT INTO {table} ({', '.join(first)}) VALUES ({marks})"
    connection.execute(statement, tuple(first.values()))
    connection.executemany(statement, (tuple(row.values()) for row in rows))


class Copier:
    """Writes copies of a job's rows, each with a purchase and an identity of its own."""

    def __init__(self, directory):
        self.connection = sqlite3.connect(database(directory))
        self.connection.execute("ATTACH ? AS bodies", (str(bodies(directory)),))
        self.connection.row_factory = sqlite3.Row
        (self.number,) = self.connection.execute("SELECT max(number) FROM purchase").fetchone()
        (self.seq,) = self.connection.execute("SELECT max(seq) FROM job").fetchone()

    def copy(self, job_id, count):
        """Returns the ids of the copies."""
        original = row_of(self.connection, "job", "id", job_id)
        purchase = row_of(self.connection, "purchase", "number", original["purchase"])
        numbers = range(self.number + 1, self.number + 1 + count)
        ids = [f"h-{number:024d}" for number in numbers]
        insert_all(self.connection, "purchase", (
            {**purchase, "number": number, "identity": os.urandom(32)} for number in numbers))
        insert_all(self.connection, "job", (
            {**original, "id": copy_id, "purchase": number, "seq": self.seq + 1 + n}
            for n, (copy_id, number) in enumerate(zip(ids, numbers))))
        self._copy_body(original["purchase"], numbers)
        self.number += count
        self.seq += count
        self.connection.commit()
        return ids

    def _copy_body(self, purchase, numbers):
        body = self.connection.execute("SELECT * FROM body WHERE purchase = ?",
                                       (purchase,)).fetchone()
        if body is not None:
            insert_all(self.connection, "body",
                       ({**dict(body), "purchase": number} for number in numbers))
