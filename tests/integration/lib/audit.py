"""The audit file, read and verified without the product's own code, and made for tests of that.

A line is a JSON object whose last member, `hash`, is the SHA-256 of the line up to the comma before
it; `prev` is the hash of the line before. The first line of a file is of the event "opened". What a
crash left of a line is followed by one of the event "torn", whose outcome is the SHA-256 of that.
"""

import hashlib
import json

from .build import wait_until

NAME = "audit.jsonl"
ZEROS = "0" * 64

KEYS = ["seq", "time", "event", "client", "address", "site", "job", "upstream", "outcome", "charge"]
EVENTS = ("opened", "torn", "refused", "charged")


def path_in(directory):
    """Where the audit of a state directory is, unless the configuration says otherwise."""
    return directory / NAME


def raw_lines(*paths):
    """The whole lines of the files as bytes, without their newlines."""
    return [line for path in paths for line in path.read_bytes().split(b"\n")[:-1]]


def records(*paths):
    """The lines as objects. One that was cut off in a crash is left out."""
    return [record for record in map(parse, raw_lines(*paths)) if record]


def parse(line):
    """The object of a line, or None if it is none of an audit file."""
    try:
        pairs = json.loads(line.decode("utf-8"), object_pairs_hook=list)
        keys = [key for key, _ in pairs]
    except (ValueError, TypeError):
        return None
    further = [key for key in keys[len(KEYS):-2] if key not in ("count", "day", "entry")]
    if keys[: len(KEYS)] != KEYS or keys[-2:] != ["prev", "hash"] or further:
        return None
    return dict(pairs)


def digest_of(line):
    """What a line's hash must be."""
    return hashlib.sha256(line[: line.rindex(b',"hash":"')]).hexdigest()


def faults(*paths):
    """What is wrong with the files as one chain, oldest first: a list of (path, line, text)."""
    return list(_walk(paths))


def _walk(paths):
    seq, prev, torn = None, ZEROS, None
    for path in paths:
        content = path.read_bytes()
        lines = content.split(b"\n")
        if lines.pop():
            yield path, len(lines) + 1, "has no end"
        for number, line in enumerate(lines, 1):
            record = parse(line)
            tells_of = record["outcome"] if record and record["event"] == "torn" else None
            if torn and tells_of != torn[2]:
                yield *torn[:2], "is no record, and the next line does not tell of it"
            elif tells_of and not torn:
                yield path, number, "tells of a piece that is missing"
            torn = None
            if not record:
                torn = path, number, hashlib.sha256(line).hexdigest()
                continue
            for wrong in _judge(record, line, seq, prev, number):
                yield path, number, wrong
            seq, prev = record["seq"], record["hash"]
    if torn:
        yield *torn[:2], "is no record"


def _judge(record, line, seq, prev, number):
    if record["hash"] != digest_of(line):
        yield "was changed"
    if record["event"] not in EVENTS:
        yield f"is of an unknown event, {record['event']}"
    if (record["event"] == "opened") != (number == 1):
        yield "is the first of a file, or says so"
    if seq is None:
        if record["seq"] == 1 and record["prev"] != ZEROS:
            yield "is the first of all, but hangs on something"
    elif record["seq"] != seq + 1:
        yield f"is number {record['seq']} after {seq}"
    elif record["prev"] != prev:
        yield "hangs on another line than the one before"


def assert_whole(*paths):
    """The files are one chain without a fault, and no entry stands in them twice."""
    found = faults(*paths)
    assert not found, found[:10]
    entries = [record["entry"] for record in records(*paths)
               if record["event"] == "charged" and "entry" in record]
    assert entries == sorted(set(entries)), "an entry stands twice, or not in order"


def of_event(event, *paths):
    return [record for record in records(*paths) if record["event"] == event]


def charged(*paths):
    return of_event("charged", *paths)


def refused(*paths):
    return of_event("refused", *paths)


def wait_for(path, predicate, what=None, timeout=10.0):
    """Waits until predicate(records) gives something true, and returns that."""
    return wait_until(lambda: path.exists() and predicate(records(path)), timeout, what)


class Chain:
    """Makes lines as the daemon makes them."""

    def __init__(self, seq=0, prev=ZEROS):
        self.seq = seq
        self.prev = prev

    def line(self, event="refused", entry=None, **members):
        self.seq += 1
        values = dict.fromkeys(KEYS) | {
            "seq": self.seq,
            "time": "2026-11-22T16:05:45.123Z",
            "event": event,
            "charge": 0,
        } | members
        if entry is not None:
            values["entry"] = entry
        values["prev"] = self.prev
        open_end = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
        self.prev = hashlib.sha256(open_end).hexdigest()
        return open_end + b',"hash":"' + self.prev.encode() + b'"}'

    def torn(self, fragment):
        """The line that tells of what a crash has left of one."""
        return self.line("torn", outcome=hashlib.sha256(fragment).hexdigest())

    def file(self, path, count, entry=0):
        """A file of count lines: "opened", and then a charge and a refusal by turns."""
        lines = [self.line("opened", entry=entry or None)]
        for number in range(1, count):
            if number % 2:
                entry += 1
                lines.append(self.line("charged", entry=entry, client="ci", address="192.0.2.7",
                                       site="staging.example.com", job=f"h-{number}",
                                       upstream="pro", outcome="solved", charge=1))
            else:
                lines.append(self.line(client="ci", address="192.0.2.7", site="example.net",
                                       outcome="site_not_allowed"))
        write(path, lines)
        return lines


def write(path, lines):
    path.write_bytes(b"".join(line + b"\n" for line in lines))
