"""docs/openapi.yaml: what it says of an answer, and the watch over the answers of all tests.

The HTTP helpers note every answer of a gateway's listeners here, and the harness fails a test in
which one came that is not documented: another status or code, a field of the header that is not
named, a body of another shape.

    operation = document().find("tools", "GET", "/status?id=x")
    problems = operation.problems(answer)
"""

import functools
import json
import urllib.parse
import warnings

import jsonschema
import yaml

from .build import REPOSITORY

PATH = REPOSITORY / "docs" / "openapi.yaml"

TOOLS, OPERATORS = "tools", "operators"

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

# The field of the header that the media type is, and those that HTTP itself needs.
PLUMBING = {"connection", "content-length", "content-type", "date", "transfer-encoding"}

_KINDS = {"string": str, "integer": int}


class Operation:
    """What a method of a path may be answered. The method is None for any other, the path None for
    any other path."""

    def __init__(self, document, kind, method, path, responses, name):
        self.kind = kind
        self.method = method
        self.path = path
        self.name = name
        self._document = document
        self._responses = {int(status): document.resolved(response)
                           for status, response in document.resolved(responses).items()}
        self._validators = {}
        self._seen = set()

    def __repr__(self):
        return self.name

    @property
    def takes_body(self):
        return self.method == "post"

    def documented(self):
        """Each status with each code; None where the answer is no error."""
        return {(status, code) for status, response in self._responses.items()
                for code in self.codes(status)}

    def codes(self, status):
        """The codes of a status, in order; [None] where it is no error."""
        if status < 400:
            return [None]
        schema = self._document.resolved(self._json(status)["schema"])
        parts = [self._document.resolved(part) for part in schema.get("allOf", [schema])]
        found = [part["properties"]["code"] for part in parts if "properties" in part]
        return [code for value in found for code in value.get("enum", [value.get("const")]) if code]

    def examples(self, status):
        return {name: self._document.resolved(example)["value"]
                for name, example in self._json(status).get("examples", {}).items()}

    def _json(self, status):
        return self._responses[status]["content"]["application/json"]

    def problems(self, answer, method=None, briefly=False):
        """What of an answer is not documented, one text for each. method is that of the request,
        which says whether there is a body. Briefly, a body of a shape that was seen is not looked
        at again, so that thousands of answers cost little."""
        if answer.status not in self._responses:
            return [f"{answer.status} is not documented"]
        without_body = (method or self.method or "").upper() == "HEAD"
        return [*self._problems_in_header(answer),
                *self._problems_in_body(answer, without_body, briefly)]

    # ---- the header ----

    def _problems_in_header(self, answer):
        documented = {name.lower(): (name, self._document.resolved(header)) for name, header
                      in self._responses[answer.status].get("headers", {}).items()}
        received = {}
        problems = []
        for name, value in answer.headers:
            if name.lower() in received:
                problems.append(f"{name} stands twice")
            received[name.lower()] = value
        for name, (shown, header) in documented.items():
            if name in received:
                problems += _problems_of_field(shown, header["schema"], received[name])
            elif header.get("required"):
                problems.append(f"{shown} is missing")
        problems += [f"{name} is not documented" for name in received
                     if name not in documented and name not in PLUMBING]
        return problems

    # ---- the body ----

    def _problems_in_body(self, answer, without_body, briefly):
        content = self._responses[answer.status].get("content", {})
        media_type = (answer.header("Content-Type") or "").split(";")[0].strip().lower()
        if not content:
            return ["a body is not documented"] if answer.body else []
        if media_type not in content:
            return [f"the type {media_type!r} is not documented"]
        if without_body:
            return ["an answer to HEAD has a body"] if answer.body else []
        if media_type != "application/json":
            return []
        try:
            value = json.loads(answer.body)
        except ValueError as error:
            return [f"the body is no JSON: {error}"]
        return self._problems_of_value(answer.status, value, briefly)

    def _problems_of_value(self, status, value, briefly):
        shape = (status, _shape(value))
        if briefly and shape in self._seen:
            return []
        validator = self._validators.get(status)
        if validator is None:
            validator = self._document.validator(self._json(status)["schema"])
            self._validators[status] = validator
        problems = [f"{'/'.join(map(str, error.absolute_path)) or 'the body'}: {error.message}"
                    for error in validator.iter_errors(value)]
        if not problems and len(self._seen) < 1000:
            self._seen.add(shape)
        return problems


def _shape(value):
    """What a schema may look at, as far as it is cheap: names, types, codes, and what is empty."""
    if not isinstance(value, dict):
        return type(value).__name__
    words = tuple(value.get(name) for name in ("status", "code")
                  if isinstance(value.get(name), str))
    return words, tuple((name, type(member).__name__, bool(member))
                        for name, member in value.items())


def _problems_of_field(name, schema, text):
    kind = _KINDS.get(schema.get("type", "string"))
    if kind is int or isinstance(schema.get("const"), int):
        if not text.isdigit():
            return [f"{name}: {text!r} is no whole number"]
        value = int(text)
    else:
        value = text
    return [f"{name}: {error.message}"
            for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


class Document:
    def __init__(self, tree):
        self.tree = tree
        with warnings.catch_warnings():  # what replaces it is not in Debian 12
            warnings.simplefilter("ignore", DeprecationWarning)
            self._resolver = jsonschema.RefResolver("", tree)
        self.operations = []
        self._by_request = {}
        for path, item in tree["paths"].items():
            kind = OPERATORS if "servers" in item else TOOLS
            for method in METHODS:
                if method in item:
                    self._add(kind, method, path, item[method]["responses"],
                              f"{method.upper()} {path}")
            self._add(kind, None, path, item["x-any-other-method"], f"other methods of {path}")
        for kind, responses in tree["x-any-other-path"].items():
            self._add(kind, None, None, responses, f"other paths for {kind}")

    def _add(self, kind, method, path, responses, name):
        operation = Operation(self, kind, method, path, responses, name)
        self.operations.append(operation)
        self._by_request[kind, method, path] = operation

    def resolved(self, node):
        """What a reference stands for; anything else is itself."""
        while isinstance(node, dict) and "$ref" in node:
            node = self.at(node["$ref"])
        return node

    def at(self, reference):
        """The part of the document that a reference names (RFC 6901)."""
        assert reference.startswith("#/"), reference
        node = self.tree
        for step in reference[2:].split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        return node

    def validator(self, schema):
        return jsonschema.Draft202012Validator(schema, resolver=self._resolver)

    def find(self, kind, method, target):
        """The operation of a request, as the daemon's own table finds it."""
        path = urllib.parse.unquote(target.partition("?")[0])
        path = "/" + path.lstrip("/")
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        if (kind, None, path) not in self._by_request:
            path = None
        known = self._by_request.get((kind, method.lower(), path))
        return known or self._by_request[kind, None, path]

    def is_libmicrohttpds(self, answer):
        """Whether no handler of solvegate has seen the request."""
        known = self.tree["x-libmicrohttpd"]["statuses"]
        return answer.status in known and answer.body[:6].lower() == b"<html>"


@functools.cache
def document():
    with open(PATH, encoding="utf-8") as file:
        return Document(yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


# ---- the watch ----

_watched = {}  # port -> whom its listener is for
_noted = []


def watch(url, kind):
    """From now on the answers of this listener are looked at."""
    _watched[urllib.parse.urlsplit(url).port] = kind


def note(port, method, target, answer):
    """To be called for each whole answer. method and target are None where they are not known."""
    kind = _watched.get(port)
    if kind is None or document().is_libmicrohttpds(answer):
        return
    if method is None or target is None:
        problems = _problems_of_any(kind, answer)
        request = "a request"
    else:
        operation = document().find(kind, method, target)
        problems = operation.problems(answer, method, briefly=True)
        request = f"{method} {target[:200]} ({operation})"
    _noted.extend(f"{request}: {problem}: {answer}" for problem in problems)


def _problems_of_any(kind, answer):
    """Undocumented for whatever was asked."""
    for operation in document().operations:
        if operation.kind == kind and not operation.problems(answer, briefly=True):
            return []
    return ["no operation documents this answer"]


def take_problems():
    """What was noted since the last call."""
    problems, _noted[:] = _noted[:], []
    return problems
