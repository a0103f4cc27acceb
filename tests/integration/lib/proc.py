"""What the kernel tells of a process and its sockets (proc(5))."""

import os
import socket
import struct
import time
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


def cpu_seconds(pid):
    """The processor's time that a process has had so far, over all threads: what it has done,
    however long it had to wait for others on the machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


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


_LAST_DATA_RECEIVED = 52  # tcpi_last_data_recv of struct tcp_info (linux/tcp.h)
_SURE_MS = 2


def received_at_ms(sock):
    """When the last data of a TCP socket came, by the kernel and the monotonic clock: it does not
    matter when it is asked."""
    while True:
        began = time.monotonic()
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED + 4)
        now = time.monotonic()
        if (now - began) * 1000 < _SURE_MS:
            return now * 1000 - struct.unpack_from("=I", info, _LAST_DATA_RECEIVED)[0]
