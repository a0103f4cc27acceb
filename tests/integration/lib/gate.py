"""An upstream that answers when the test says so, the first that came first, and that remembers
whose jobs came in which order: for tests of who is sent when, which then need no clock.

    with Gate() as gate:
        house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=team)
        ...
        gate.let(1)
        assert gate.wait_for(2) == ["a 0", "b 0"]
"""

import json
import threading

from .build import wait_until
from .job import job
from .upstream import SOLVED, Upstream


def task(owner, number):
    """A small job that the gate knows again: its target is "OWNER NUMBER"."""
    name = f"{owner} {number}"
    return job(images=1, size=20, seed=name, target=name)


class Gate:
    def __init__(self):
        self._upstream = Upstream(self._answer)
        self._changed = threading.Condition()
        self._targets = []  # guarded by _changed, like the next
        self._allowed = 0  # so many may be answered in all
        self.entry = self._upstream.entry

    def __enter__(self):
        self._upstream.__enter__()
        return self

    def __exit__(self, *what):
        self.let(10**9)
        self._upstream.__exit__(*what)

    def _answer(self, _, body):
        with self._changed:
            self._targets.append(json.loads(body)["target"])
            number = len(self._targets)
            self._changed.wait_for(lambda: number <= self._allowed)
        return 200, {}, SOLVED

    def let(self, count):
        """So many more are answered."""
        with self._changed:
            self._allowed += count
            self._changed.notify_all()

    def arrived(self):
        """The targets of the jobs, in order of arrival."""
        with self._changed:
            return list(self._targets)

    def wait_for(self, count):
        """Waits until so many have arrived in all. Returns their targets."""
        wait_until(lambda: len(self.arrived()) >= count, 20.0,
                   f"{count} jobs at the upstream", 0.005)
        return self.arrived()


def owner_of(target):
    return target.split()[0]
