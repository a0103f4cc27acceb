"""Credentials that must never be seen again: the upstream's stored ones, and the client's own.

Every answer that the HTTP helpers read and every log is searched for the stored ones.
"""

STORED_UID = "canary-uid-2f7d1c90b4"
STORED_APIKEY = "canary-apikey-9e03a7c65f1b48d2"

CLIENT_UID = "client-uid-51b8e7aa02"
CLIENT_APIKEY = "client-apikey-c44f0b16d9"
CLIENT_BEARER = "client-bearer-77d20ef381"

STORED = (STORED_UID, STORED_APIKEY)
CLIENTS = (CLIENT_UID, CLIENT_APIKEY, CLIENT_BEARER)


def found_in(text):
    """The stored canaries that stand in text (bytes or str)."""
    if isinstance(text, bytes):
        return [canary for canary in STORED if canary.encode() in text]
    return [canary for canary in STORED if canary in text]


def assert_absent(text, where):
    assert not found_in(text), f"a stored credential stands in {where}"
