"""A front end before a simulator: TLS with HTTP/2, by nghttpx."""

import os
import shutil
import socket
import subprocess

from .build import wait_until

NGHTTPX = shutil.which("nghttpx", path=os.environ.get("PATH", "") + ":/usr/sbin")


class Front:
    """nghttpx with TLS and HTTP/2 before a simulator. Ends with its block."""

    def __init__(self, directory, sim, certificate):
        self.directory = directory
        self.sim = sim
        self.certificate = certificate
        self.access_log = directory / "access.log"

    def __enter__(self):
        for _ in range(10):  # the port is free now, and another may take it before nghttpx does
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.port = listener.getsockname()[1]
            self.process = self._start()
            if wait_until(lambda: self._listens() or self._ended(), 20.0) == "listens":
                return self
        raise AssertionError((self.directory / "error.log").read_text())

    def _start(self):
        backend = self.sim.url.removeprefix("http://").replace(":", ",")
        return subprocess.Popen(
            [NGHTTPX, "--conf=/dev/null", "--workers=1", f"--frontend=127.0.0.1,{self.port}",
             f"--backend={backend}", f"--accesslog-file={self.access_log}",
             "--accesslog-format=$request", f"--errorlog-file={self.directory / 'error.log'}",
             self.certificate.key, self.certificate.certificate],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return None
        return "listens" if self.process.poll() is None else None

    def _ended(self):
        return "ended" if self.process.poll() is not None else None

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def requests(self):
        return self.access_log.read_text().splitlines()
