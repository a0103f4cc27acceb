"""docs/openapi.yaml: it is OpenAPI 3.1, and its examples are as it says. That the daemon gives no
other answer than those that stand in it is seen by the harness in every test."""

import re

import jsonschema
import pytest

from lib import openapi
from lib.build import REPOSITORY
from lib.http import Answer, Connection, request_bytes
from lib.openapi import TOOLS, document
from lib.openapi_shape import OPENAPI
from lib.operations import KNOWN, OPERATIONS, PAGE

# ---- the document ----


def every(node, path=()):
    """Each object and list below node, with where it stands."""
    yield path, node
    if isinstance(node, (dict, list)):
        for name, member in node.items() if isinstance(node, dict) else enumerate(node):
            yield from every(member, (*path, str(name)))


def references():
    return {node["$ref"] for _, node in every(document().tree)
            if isinstance(node, dict) and isinstance(node.get("$ref"), str)}


def test_the_document_has_the_shape_of_openapi_3_1():
    jsonschema.Draft202012Validator.check_schema(OPENAPI)
    errors = jsonschema.Draft202012Validator(OPENAPI).iter_errors(document().tree)
    assert not [f"{list(error.absolute_path)}: {error.message}" for error in errors]


def test_its_shape_is_looked_at():
    for path, wrong in ((("paths", "/solve", "post"), {"responce": {}}),
                        (("components", "schemas", "Id"), {"type": "text"}),
                        (("components", "headers", "Age"), {"schema": 5}), (("info",), {"x": 1})):
        tree = {**document().tree}
        node = tree
        for step in path:
            node[step] = {**node[step]}
            node = node[step]
        node.update(wrong)
        assert not jsonschema.Draft202012Validator(OPENAPI).is_valid(tree), (path, wrong)


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for item in document().tree["paths"].values()
             for method, operation in item.items() if method in openapi.METHODS]
    assert len(names) == len(set(names)) == len(KNOWN)


def test_every_reference_leads_somewhere_and_every_component_is_used():
    for reference in references():
        document().at(reference)
    components = document().tree["components"]
    unused = {f"#/components/{kind}/{name}" for kind, named in components.items()
              for name in named if kind != "securitySchemes"} - references()
    assert not unused
    used = {name for _, node in every(document().tree["paths"]) if isinstance(node, dict)
            for requirement in node.get("security", []) for name in requirement}
    assert used == set(components["securitySchemes"])


def examples():
    """Each example with its schema, and where it stands."""
    for path, node in every(document().tree):
        if isinstance(node, dict) and "schema" in node:
            if "example" in node:
                yield "/".join(path), node["schema"], node["example"]
            for name, example in node.get("examples", {}).items():
                value = document().resolved(example)["value"]
                yield "/".join((*path, name)), node["schema"], value


@pytest.mark.parametrize("where, schema, value", [pytest.param(*e, id=e[0]) for e in examples()])
def test_an_example_is_as_its_schema_says(where, schema, value):
    errors = [error.message for error in document().validator(schema).iter_errors(value)]
    assert not errors, where


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_every_error_has_an_example(operation):
    for status in {status for status, code in operation.documented() if code}:
        told = [example["code"] for example in operation.examples(status).values()]
        assert set(told) == set(operation.codes(status)), (operation, status)


def test_both_generations_are_answered_alike():
    for short, path in (("/solve", "/api/solve"), ("/status", "/api/status"),
                        ("/balance", "/api/account/balance"), ("/usage", "/api/usage")):
        mine, other = (document().tree["paths"][p] for p in (short, path))
        assert mine.keys() == other.keys()
        for method in mine.keys() & set(openapi.METHODS):
            for part in ("responses", "parameters", "requestBody", "security", "tags"):
                assert mine[method].get(part) == other[method].get(part), (short, method, part)


def test_every_code_of_the_text_is_in_the_document_and_no_other():
    text = (REPOSITORY / "docs" / "api.md").read_text()
    table = text.split("## Errors")[1].split("\n\n| HTTP |")[1].split("\n\n")[0]
    told = set(re.findall(r"`([a-z_]+)`", "\n".join(
        line.split("|")[2] for line in table.splitlines()[2:])))
    documented = {code for operation in OPERATIONS for _, code in operation.documented() if code}
    assert documented == told


# ---- the watch over the answers of all tests ----

SEEN = {
    "an undocumented status": (418, [], b'{"status":"error","code":"bad_job","message":"m"}'),
    "an undocumented code": (400, [], b'{"status":"error","code":"bad_luck","message":"m"}'),
    "a code of another status": (400, [], b'{"status":"error","code":"not_json","message":"m"}'),
    "another shape": (400, [], b'{"status":"error","code":"bad_job","message":"m","more":1}'),
    "no message": (400, [], b'{"status":"error","code":"bad_job","message":""}'),
    "another type": (400, [("Content-Type", "text/html")], b"no"),
    "an empty body": (400, [], b""),
    "an undocumented field": (400, [("X-Powered-By", "C")],
                              b'{"status":"error","code":"bad_job","message":"m"}'),
    "a field with another value": (503, [("Retry-After", "soon")],
                                   b'{"status":"error","code":"draining","message":"m"}'),
    "a missing field": (503, [], b'{"status":"error","code":"draining","message":"m"}'),
}


@pytest.mark.parametrize("what", SEEN)
def test_an_undocumented_answer_is_noticed(what):
    status, headers, body = SEEN[what]
    if not any(name == "Content-Type" for name, _ in headers):
        headers = [("Content-Type", "application/json"), *headers]
    openapi.watch("http://127.0.0.1:1", TOOLS)
    requests = [("POST", "/solve/"), ("POST", "/api/solve")]
    if body:  # else it could be the answer to a HEAD
        requests.append((None, None))
    for method, target in requests:
        openapi.note(1, method, target, Answer(status, headers, body))
        assert openapi.take_problems(), (method, target)


async def test_each_answer_is_known_to_be_about_its_request(start):
    """However the requests were written: in one go, byte by byte, with bodies in chunks."""
    house = start(origins=[PAGE])
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openapi, "note", lambda port, method, target, answer: seen.append(
            (port, method, target, answer.status)))
        async with await Connection.open(house.url) as connection:
            chunked = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
            whole = (request_bytes("GET", "/status?id=x", house.host)
                     + request_bytes("POST", "/solve", house.host, {}, b"{}")
                     + request_bytes("POST", "/api/solve", house.host, chunked, b"")
                     + b"2\r\n{}\r\n0\r\n\r\n" + request_bytes("PUT", "/usage", house.host))
            for data in (whole, *(whole[at:at + 1] for at in range(len(whole)))):
                await connection.send(data)
            for _ in range(8):
                await connection.answer()
    port = int(house.host.rpartition(":")[2])
    assert seen == 2 * [(port, "GET", "/status?id=x", 404), (port, "POST", "/solve", 400),
                        (port, "POST", "/api/solve", 400), (port, "PUT", "/usage", 405)]
