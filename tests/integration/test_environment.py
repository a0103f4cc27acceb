"""Nothing in the environment makes the daemon write secrets down."""

from lib import expect
from lib.gateway import LOOPBACK
from lib.job import job
from lib.tls import make_certificate


def test_no_key_of_a_connection_is_written_down(simulator, gateway, authority, tmp_path):
    """Neither of those to the upstream nor of those of tools, to a file or to the log."""
    key_log = tmp_path / "keys"
    server = make_certificate(tmp_path, authority, "server", "DNS:localhost,IP:127.0.0.1")
    server.key.chmod(0o600)
    listener = {**LOOPBACK, "tls": {"certificate": str(server.certificate), "key": str(server.key)}}
    house = gateway(simulator(mode="pro", latency=0, tls=server), listen=[listener],
                    upstream={"ca": str(authority.certificate)},
                    environment={"SSLKEYLOGFILE": str(key_log), "GNUTLS_DEBUG_LEVEL": "99"})
    task = job()
    expect.solved(house.run(task), task)
    assert not key_log.exists()
    assert "SSLKEYLOGFILE is set in the environment and was ignored" in house.log()
    assert "SECRET" not in house.log() and "gnutls[" not in house.log().split("ready ")[-1]
