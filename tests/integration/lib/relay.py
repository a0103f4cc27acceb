"""A TCP port that leads to a server, and to another one when the test says so: what NAT, DNS or a
proxy does to the address of an upstream.

    with Relay() as relay:
        house = gateway(upstream={"url": relay.url})
        relay.leads_to(house.url)
"""

import contextlib
import re
import selectors
import socket
import threading
import urllib.parse


class Relay:
    def __init__(self):
        self._changed = threading.Condition()
        self._target = None  # guarded by _changed, like the next
        self._open = []  # the sockets of connections that lead there
        self._sent = b""  # what clients have sent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._turn(("127.0.0.1", 0))  # where nobody is

    def leads_to(self, url):
        """New connections lead there; those that are open end."""
        parts = urllib.parse.urlsplit(url)
        self._turn((parts.hostname, parts.port))

    def fields(self, name):
        """Each value of a header field that went through, in order."""
        with self._changed:
            sent = self._sent.decode("latin-1")
        return re.findall(rf"^{name}: *(.*?)\r$", sent, re.MULTILINE | re.IGNORECASE)

    def _turn(self, target):
        with self._changed:
            self._target = target
            ending, self._open = self._open, []
            self._changed.notify_all()
        for sock in ending:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener's end
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near):
        """A connection waits for the first target."""
        with near, contextlib.suppress(OSError):
            with self._changed:
                self._changed.wait_for(lambda: self._target)
                target = self._target
                self._open.append(near)
            with socket.create_connection(target) as far:
                self._both_ways(near, far)

    def _both_ways(self, near, far):
        """Until one side ends."""
        with selectors.DefaultSelector() as either:
            either.register(near, selectors.EVENT_READ, far)
            either.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in either.select():
                    piece = key.fileobj.recv(65536)
                    if not piece:
                        return
                    if key.fileobj is near:
                        with self._changed:
                            self._sent += piece
                    key.data.sendall(piece)
