"""Jobs as tools post them, and what the simulator answers to them."""

import base64
import hashlib
import json
import random

SITE = "staging.example.com"
TARGET = "Please click each image containing an airplane."
SITEKEY = "0eeb15dc-a802-43b1-9a2a-1f2c03e0102d"


def expected_solution(images):
    """The indices of the images whose SHA-256 begins with an odd byte (docs/simulator.md)."""
    return [i for i, image in enumerate(images) if hashlib.sha256(image).digest()[0] & 1]


def expected_digest(images):
    digests = b"".join(hashlib.sha256(image).digest() for image in images)
    return hashlib.sha256(digests).hexdigest()


class Job:
    """The fields of a body, the body itself, and the right answer."""

    def __init__(self, images, fields, body=None):
        self.images = images
        self.fields = fields
        self.body = body if body is not None else json.dumps(fields).encode()
        self.solution = expected_solution(images)
        self.digest = expected_digest(images)

    @property
    def body_sha256(self):
        """As the simulator lists it among its requests."""
        return hashlib.sha256(self.body).hexdigest()

    def with_fields(self, **fields):
        """The same images with fields replaced; None takes one away."""
        merged = {**self.fields, **fields}
        return Job(self.images, {n: v for n, v in merged.items() if v is not None})

    def with_body(self, body):
        """The same images, written otherwise."""
        return Job(self.images, self.fields, body)

    def renamed(self, names):
        """The same job with fields called otherwise."""
        return Job(self.images, {names.get(n, n): v for n, v in self.fields.items()})


def job(images=9, size=200, seed=0, site=SITE, **fields):
    """A job with so many images of size random bytes each; the same for the same arguments."""
    source = random.Random(f"{seed}/{images}/{size}")
    data = [source.randbytes(size) for _ in range(images)]
    encoded = {str(i): base64.b64encode(image).decode() for i, image in enumerate(data)}
    base = {
        "images": encoded,
        "target": TARGET,
        "method": "hcaptcha_base64",
        "sitekey": SITEKEY,
        "site": site,
    }
    merged = {**base, **fields}
    return Job(data, {name: value for name, value in merged.items() if value is not None})
