"""A service manager as a daemon sees one: what it is told (sd_notify(3)), and the sockets that it
passes (sd_listen_fds(3))."""

import contextlib
import socket
import sys
import threading

from .build import wait_until

# Places the descriptors of its first argument from 3 on, and becomes the rest of its arguments.
_LAUNCH = """
import fcntl, os, sys
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",")]
for at, fd in enumerate(high):
    os.dup2(fd, 3 + at)
os.environ["LISTEN_FDS"] = str(len(high))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """Hears what is told to $NOTIFY_SOCKET."""

    def __init__(self, watchdog=None):
        """watchdog: within how many seconds it wants to hear of life."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # the kernel chooses an abstract name
        self.environment = {"NOTIFY_SOCKET": "@" + self._socket.getsockname()[1:].decode()}
        if watchdog:
            self.environment["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        self.told = []  # each message, as a list of its assignments
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self):
        while message := self._socket.recv(65536):
            self.told.append(message.decode().splitlines())

    def close(self):
        """Sends itself the empty message, which nobody else does."""
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
            sender.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def count(self, assignment):
        return sum(assignment in message for message in list(self.told))

    def wait_for(self, assignment, times=1):
        wait_until(lambda: self.count(assignment) >= times, 10.0, f"{times} times {assignment}",
                   0.005)

    def statuses(self):
        return [line.removeprefix("STATUS=") for message in list(self.told) for line in message
                if line.startswith("STATUS=")]

    def wait_for_status(self, text):
        wait_until(lambda: self.statuses()[-1:] == [text], 10.0,
                   f"status {text}, not {self.statuses()[-1:]}")


def listening(address="127.0.0.1", port=0, shared=False):
    """A socket as a socket unit makes it: the daemon has to make it non-blocking."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=4096, reuse_port=shared)


def entry(sock):
    """The entry of listen for a socket."""
    return {"address": sock.getsockname()[0], "port": sock.getsockname()[1]}


def passing(*sockets):
    """The settings of a gateway, or arguments of a program, to which sockets are passed."""
    fds = [sock.fileno() for sock in sockets]
    return {
        "launcher": (sys.executable, "-c", _LAUNCH, ",".join(map(str, fds))),
        "popen": {"pass_fds": fds},
    }
