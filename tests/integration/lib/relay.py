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
        self._lock = threading.Lock()
        self._target = None
        self._open = []  # the sockets of connections, guarded by _lock
        self._sent = b""  # what clients have sent; likewise
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
        self._cut()

    def leads_to(self, url):
        """New connections lead there; those that are open end."""
        parts = urllib.parse.urlsplit(url)
        with self._lock:
            self._target = (parts.hostname, parts.port)
        self._cut()

    def fields(self, name):
        """Each value of a header field that went through, in order."""
        with self._lock:
            sent = self._sent.decode("latin-1")
        return re.findall(rf"^{name}: *(.*?)\r$", sent, re.MULTILINE | re.IGNORECASE)

    def _cut(self):
        with self._lock:
            ending, self._open = self._open, []
        for sock in ending:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener's end
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near):
        """Before there is a target a connection is closed at once."""
        with near, contextlib.suppress(OSError):
            with self._lock:
                target = self._target
                self._open.append(near)
            if target:
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
                        with self._lock:
                            self._sent += piece
                    key.data.sendall(piece)
