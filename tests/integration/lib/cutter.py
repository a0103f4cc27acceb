"""A TCP proxy between gateway and simulator that cuts connections at chosen bytes.

It knows as much HTTP as it needs to tell a solve (POST) from a poll (GET), and where a message
ends. It has several lanes, each with an address of its own, which share one list of cuts. Of the
requests of the chosen method that come over one lane, each second takes the next cut: so an
upstream behind a lane never seems to fail twice in a row.
"""

import asyncio
import collections
import contextlib
import socket
import struct
import threading
import urllib.parse

from .build import patience

REQUEST, ANSWER = "request", "answer"
RESET, CLOSE = "reset", "close"

# A cut after so many bytes of the request, or of the answer, went through. Where the message is
# shorter it went through whole.
Cut = collections.namedtuple("Cut", "where offset how")


class Cutter:
    """Use it as a context manager. It runs on a thread of its own.

    At least withheld bytes of an answer that is cut never arrive.
    """

    def __init__(self, url, lanes=1, method="POST", withheld=0):
        parts = urllib.parse.urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._method = method
        self._lanes = lanes
        self._withheld = withheld
        self._cuts = collections.deque()
        self.urls = []
        self.done = 0  # cuts so far
        self.lengths = {REQUEST: 0, ANSWER: 0}  # the longest that went through whole
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(patience(10.0)), "the proxy does not start"
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(patience(10.0))
        assert not self._thread.is_alive(), "the proxy does not stop"

    def plan(self, cuts):
        """Adds to what is still to be cut."""
        self._cuts.extend(cuts)

    def left(self):
        return len(self._cuts)

    async def _run(self):
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        servers = []
        for _ in range(self._lanes):
            server = await asyncio.start_server(_Lane(self).serve, "127.0.0.1", 0)
            servers.append(server)
            host, port = server.sockets[0].getsockname()
            self.urls.append(f"http://{host}:{port}")
        self._ready.set()
        await self._stopped.wait()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


class _Lane:
    def __init__(self, cutter):
        self._cutter = cutter
        self._cut_next = False

    def _next_cut(self, first):
        """The cut for a request that begins with the byte first, or None."""
        if first != self._cutter._method[:1].encode() or not self._cutter._cuts:
            return None
        self._cut_next = not self._cut_next
        return self._cutter._cuts.popleft() if self._cut_next else None

    async def serve(self, reader, writer):
        """One connection of the gateway."""
        upstream = None
        try:
            upstream = await asyncio.open_connection(*self._cutter._target)
            while first := await reader.read(1):
                cut = self._next_cut(first)
                if not await self._exchange(first, cut, (reader, writer), upstream):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # one side has left, and so does the other
        finally:
            _end(writer, CLOSE)
            if upstream:
                _end(upstream[1], CLOSE)

    async def _exchange(self, first, cut, gateway, upstream):
        """Passes a request and its answer on. Returns whether it was not cut."""
        if cut and cut.where == REQUEST:
            await _pass_part(first, cut.offset, gateway[0], upstream[1])
            self._cutter.done += 1
            await _cut(cut.how, gateway, upstream)
            return False
        request = await _read_message(gateway[0], first)
        upstream[1].write(request)
        answer = await _read_message(upstream[0])
        if cut:
            self._cutter.done += 1
            whole = len(answer) - self._cutter._withheld
            gateway[1].write(answer[: min(cut.offset, whole)])
            await _cut(cut.how, gateway, upstream)
            return False
        gateway[1].write(answer)
        if first == self._cutter._method[:1].encode():
            self._note(REQUEST, request)
            self._note(ANSWER, answer)
        return True

    def _note(self, where, message):
        self._cutter.lengths[where] = max(self._cutter.lengths[where], len(message))


async def _read_message(reader, start=b""):
    """A message with a Content-Length, or without a body."""
    head = start + await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
        assert name.lower() != "transfer-encoding", "the proxy does not know chunks"
    return head + await reader.readexactly(length)


async def _pass_part(first, wanted, reader, writer):
    """Passes so many bytes on, and reads no more than that from the stream."""
    data = first
    while len(data) < wanted:
        more = await reader.read(wanted - len(data))
        if not more:
            break
        data += more
    writer.write(data[:wanted])
    await writer.drain()


async def _cut(how, gateway, upstream):
    """Ends both connections, after what was written has left."""
    for _, writer in (gateway, upstream):
        await writer.drain()
    # The simulator first: it must have seen its part before the gateway can come again.
    _end(upstream[1], how)
    if how == CLOSE:
        # An unread byte would turn the end into a reset.
        gateway[1].write_eof()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(gateway[0].read(), patience(2.0))
    _end(gateway[1], how)


def _end(writer, how):
    """With a FIN, or with a RST. What was written before a RST may be lost on the way."""
    transport = writer.transport
    if how == RESET and not transport.is_closing():
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        writer.close()
