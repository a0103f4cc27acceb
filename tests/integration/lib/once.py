"""The daemon run for a moment: on a configuration that it refuses, or to check one."""

import subprocess

from . import libconfig
from .build import BUILD, patience
from .gateway import STORED_CREDENTIAL, configuration, write_credential

CHECK = ("-t",)


def run_once(directory, *options, upstream=None, **settings):
    """Returns how it ended, with what it said. Its files are in directory."""
    write_credential(directory, "account", STORED_CREDENTIAL)
    upstream = {"name": "main", "url": "http://127.0.0.1:1", "credential": "account",
                **(upstream or {})}
    config = directory / "solvegate.conf"
    config.write_text(libconfig.dumps(configuration(upstreams=[upstream], **settings)))
    return subprocess.run([BUILD / "solvegate", *options, "-c", config], capture_output=True,
                          text=True, timeout=patience(10), check=False)
