"""Certificates for tests, made by the openssl command."""

import subprocess


class Certificate:
    def __init__(self, certificate, key):
        self.certificate = certificate
        self.key = key


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


_P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def _request(directory, name, *arguments, days=2, algorithm=_P256):
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    _openssl("req", "-x509", "-newkey", *algorithm, "-nodes", "-days", days, "-subj", f"/CN={name}", "-keyout", key, "-out", certificate, *arguments)
    return Certificate(certificate, key)


def make_authority(directory, name="authority"):
    return _request(directory, name, "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def make_certificate(directory, authority, name, alternative_names, days=2, algorithm=_P256):
    """A server's certificate, signed by the authority."""
    return _request(directory, name, "-CA", authority.certificate, "-CAkey", authority.key,
                    "-addext", f"subjectAltName={alternative_names}",
                    "-addext", "basicConstraints=critical,CA:FALSE", days=days,
                    algorithm=algorithm)
