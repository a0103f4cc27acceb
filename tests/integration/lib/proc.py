"""What the kernel tells of a process and its sockets (proc(5))."""

import socket
import struct
from pathlib import Path

_ESTABLISHED = "01"


def _status_field(pid, name):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise AssertionError(f"/proc/{pid}/status has no {name}")


def threads(pid):
    return _status_field(pid, "Threads")


def resident_bytes(pid):
    return _status_field(pid, "VmRSS") * 1024


def connections(port):
    """The bytes not yet read by the server, for each established connection to 127.0.0.1:port."""
    address = struct.unpack("=I", socket.inet_aton("127.0.0.1"))[0]
    local = f"{address:08X}:{port:04X}"
    waiting = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == local and fields[3] == _ESTABLISHED:
            waiting.append(int(fields[4].split(":")[1], 16))
    return waiting
