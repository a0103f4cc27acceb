"""A program under test: started, waited for, stopped, started again, its logs looked through."""

import contextlib
import re
import signal
import subprocess
from pathlib import Path

from .build import SANITIZE, patience, wait_until

_READY = re.compile(r"^ready (https?://\S+)$", re.MULTILINE)

_SANITIZER_REPORTS = (
    "ERROR: AddressSanitizer",
    "AddressSanitizer:DEADLYSIGNAL",
    "LeakSanitizer",
    "WARNING: ThreadSanitizer",
    "runtime error:",
)


class Process:
    """Runs argv with standard error in a file."""

    name = "program"
    exit_statuses = (0,)  # those that are no problem at the end
    secrets = ()  # what its log must not hold
    ready_timeout = 20.0  # seconds

    def __init__(self, argv, log_path, listeners=1, **popen):
        self.listeners = listeners
        self._first_log_path = log_path
        self._logs = []  # of each start, the last one last
        self._argv = [str(arg) for arg in argv]
        self._popen_arguments = popen
        self._start()

    def _start(self, launcher=()):
        number = len(self._logs) + 1
        path = self._first_log_path
        self.log_path = path if number == 1 else path.with_name(f"{path.name}.{number}")
        self._logs.append(self.log_path)
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(
                [*launcher, *self._argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._popen_arguments,
            )
        self.pid = self.popen.pid
        self.urls = []

    def start_again(self, launcher=()):
        """Starts it as before, after it has ended, with a log of its own. A launcher starts it."""
        assert not self.running(), "it still runs"
        self._start(launcher)
        self.wait_ready()

    def start_for(self, seconds):
        """Starts it as before and kills it so much later, ready or not."""
        assert not self.running(), "it still runs"
        self._start()
        self._kill_after(seconds)

    def stop_for(self, seconds):
        """SIGTERM, and SIGKILL so much later unless it has ended by then."""
        self.signal(signal.SIGTERM)
        self._kill_after(seconds)

    def _kill_after(self, seconds):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        self.kill()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_ready(self):
        """Waits for the ready lines and keeps their addresses in urls."""
        try:
            self.urls = wait_until(self._ready_urls, self.ready_timeout,
                                   f"{self.popen.args[0]} is ready", 0.005)
            # ThreadSanitizer may lose a signal that comes just before a wait in the kernel: a
            # program of nothing but a handler, a line and epoll_wait() shows it.
            if SANITIZE == "tsan":
                wait_until(lambda: self._is_in("S", Path(f"/proc/{self.pid}")), 20.0, "it waits")
        except AssertionError:
            self.kill()
            raise

    def _tasks(self):
        return sorted(Path(f"/proc/{self.pid}/task").iterdir())

    @staticmethod
    def _is_in(state, task):
        """Whether a process or thread is in a state as proc(5) has it."""
        with contextlib.suppress(OSError):  # a thread that has just ended
            return re.search(rf"^State:\s*{state}", (task / "status").read_text(), re.MULTILINE)
        return None

    def _ready_urls(self):
        urls = _READY.findall(self.log())
        if len(urls) >= self.listeners:
            return urls
        code = self.popen.poll()
        assert code is None, f"{self.popen.args[0]} ended with {code}:\n{self.log()}"
        return None

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout):
        """Waits for the end and returns the exit status."""
        return self.popen.wait(patience(timeout))

    def freeze(self):
        """It stands still until thaw(); what is sent to it waits in the kernel."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: all(self._is_in("T", task) for task in self._tasks()), 20.0, "it stands")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        if self.running():
            self.popen.kill()
        self.popen.wait()

    def stop(self, timeout):
        """SIGTERM, unless it has ended. Returns the exit status, or what happened instead."""
        if self.running():
            self.thaw()  # should a test have left it frozen
            self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            state = self.state()
            self.kill()
            return f"killed, since it did not stop within {timeout} s\n{state}"

    def state(self):
        """What the kernel knows of each thread: what it waits for, and which signals it has."""
        lines = []
        for task in self._tasks():
            with contextlib.suppress(OSError):
                status = (task / "status").read_text().splitlines()
                shown = [line for line in status if line.startswith(("State", "Sig", "Shd"))]
                lines.append(f"{task.name} {(task / 'wchan').read_text()} {' '.join(shown)}")
        return "\n".join(lines)

    def problems_in_log(self):
        return [problem for path in self._logs for problem in self._problems_in(path)]

    def _problems_in(self, path):
        log = path.read_text(errors="replace")
        problems = [f"its log holds {secret}" for secret in self.secrets if secret in log]
        reports = [report for report in _SANITIZER_REPORTS if report in log]
        if reports:
            problems.append(f"sanitizer report {reports}\n{log}")
        return problems


def stop_all(processes, timeout):
    """Stops each and returns what was wrong with any of them, one text for each problem."""
    problems = []
    for process in reversed(processes):
        status = process.stop(timeout)
        if status not in process.exit_statuses:
            problems.append(f"{process.name}: exit status {status}\n{process.log()[-4000:]}")
        problems += [f"{process.name}: {problem}" for problem in process.problems_in_log()]
    return problems
