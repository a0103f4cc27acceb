"""What docs/openapi.yaml says of jobs: which are taken, how they end, where a result is from."""

import json

import pytest

from lib.build import wait_until
from lib.gate import Gate
from lib.job import job
from lib.openapi import document
from lib.operations import KNOWN, PAGE, PREFLIGHT, asks_for_job

ASYNC = {"Prefer": "respond-async"}
HELD = {"Prefer": "wait=30"}

# ---- how a job ends ----

ENDINGS = {
    "new": (ASYNC, ["solve:slow=60"], {}),
    "solved": (HELD, [], {}),
    "skip": (HELD, ["solve:skip"], {}),
    "upstream_rejected": (HELD, ["solve:error=no such luck"], {}),
    "upstream_unavailable": (HELD, ["solve:status=503"], {"retry": {"attempts": 1}}),
    "deadline": (HELD, ["status:slow=60"], {"limits": {"job_deadline": 1.0}}),
    "cancelled": (ASYNC, ["solve:slow=60"], {"upstream": {"max_in_flight": 1}}),
    "outcome_unknown": (HELD, ["solve:reset"], {}),
}


def documented_endings():
    schemas = document().tree["components"]["schemas"]
    return {*schemas["FailedJob"]["properties"]["code"]["enum"],
            *schemas["SolvedJob"]["properties"]["status"]["enum"],
            schemas["QueuedJob"]["properties"]["status"]["const"]}


def test_every_documented_ending_has_its_test():
    assert documented_endings() == set(ENDINGS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_job_can_end_so(simulator, gateway, ending):
    headers, faults, settings = ENDINGS[ending]
    mode = "free" if ending == "deadline" else "pro"
    house = gateway(simulator(mode=mode, latency=0, faults=faults), **settings)
    if ending == "cancelled":
        house.submit(job(seed="first"))
        wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    answer = house.solve(job(), headers)
    if ending == "cancelled":
        answer = house.request("DELETE", f"/status?id={answer.object()['id']}")
    for told in (answer, house.status(answer.object()["id"])):
        body = told.object()
        assert ending in (body["status"], body.get("code")), told
        for operation in KNOWN:
            if asks_for_job(operation) and ending in operation.examples(200):
                example = operation.examples(200)[ending]
                assert body.get("message") == example.get("message"), operation
        assert (told.header("Retry-After") is not None) == (ending == "new")


def test_each_documented_source_of_a_result_is_told(gateway):
    with Gate() as gate:
        house = gateway(upstream=gate.entry)
        first = house.submit(job())
        collapsed = house.solve(job(), ASYNC).header("Cache-Status")
        gate.let(1)
        house.finish(first)
    cached = house.solve(job(), ASYNC).header("Cache-Status")
    schema = document().tree["components"]["headers"]["Cache-Status"]["schema"]
    assert [cached, collapsed] == schema["enum"]


def test_the_fields_of_a_page_are_documented(start):
    """A preflight request, and an answer that it may read."""

    def documented(name):
        return document().at(f"#/components/headers/{name}")["example"]

    house = start(origins=[PAGE])
    answer = house.request("OPTIONS", "/solve", None, PREFLIGHT)
    name = "Access-Control-Allow-Headers"
    assert answer.header(name) == documented(name)
    answer = house.get("/usage", {"Origin": PAGE})
    name = "Access-Control-Expose-Headers"
    assert answer.header(name) == documented(name)
    assert set(documented(name).split(", ")) <= set(document().at("#/components/headers"))
    assert answer.header("Access-Control-Allow-Origin") == PAGE
    assert answer.header("Vary") == "Origin"


# ---- what a job is ----

IMAGE = "iVBORw0KGgo="
JOB = {"images": {"0": IMAGE}, "target": "airplane", "method": "hcaptcha_base64",
       "site": "staging.example.com"}

GOOD = {
    "an object": {},
    "an array": {"images": [IMAGE, IMAGE]},
    "a data prefix": {"images": [f"data:image/png;base64,{IMAGE}"]},
    "a short data prefix": {"images": [f"data:;base64,{IMAGE}"]},
    "the oldest form": {"method": None, "data_type": "base64"},
    "the other old form": {"method": None, "data_type": "hcaptcha_base64"},
    "both": {"data_type": "base64"},
    "a sitekey": {"sitekey": "key"},
    "a site_key": {"site_key": "key"},
    "unknown fields": {"choices": ["a"], "softid": 5, "deep": {"a": [None]}},
    "a URL": {"site": "https://staging.example.com/signup"},
}

BAD = {
    "no images": {"images": None},
    "empty images": {"images": {}},
    "an empty array": {"images": []},
    "a text as images": {"images": IMAGE},
    "an empty image": {"images": [""]},
    "an image that is no text": {"images": [5]},
    "no base64": {"images": ["not base64!!"]},
    "base64 without padding": {"images": ["iVBORw0KGgo"]},
    "padding in the middle": {"images": ["iV==BORw"]},
    "an address": {"images": ["https://example.com/image.png"]},
    "a data prefix alone": {"images": ["data:image/png;base64,"]},
    "no target": {"target": None},
    "an empty target": {"target": ""},
    "a target that is no text": {"target": 5},
    "a long target": {"target": "x" * 4095},
    "no method": {"method": None},
    "another method": {"method": "hcaptcha_url"},
    "another data_type": {"method": None, "data_type": "url"},
    "a sitekey that is no text": {"sitekey": 5},
    "no site": {"site": None},
    "an empty site": {"site": ""},
    "a long site": {"site": "staging.example.com/" + "x" * 2040},
    "a uid": {"uid": "me"},
    "an apikey": {"apikey": "mine"},
    "an authorization": {"authorization": "Bearer mine"},
    "too many fields": {f"field {n}": n for n in range(64)},
}


@pytest.fixture(scope="module")
def taker(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(mode="pro", latency=0))


@pytest.mark.parametrize("what", [*GOOD, *BAD])
def test_the_schema_of_a_job_and_the_daemon_agree(taker, what):
    fields = {**JOB, **{**GOOD, **BAD}[what]}
    task = job().with_fields(**{"sitekey": None, **fields})
    validator = document().validator({"$ref": "#/components/schemas/JobRequest"})
    assert validator.is_valid(task.fields) == (what in GOOD)
    assert (taker.solve(task, ASYNC).status == 200) == (what in GOOD)


def test_the_examples_of_a_job_are_taken(taker):
    body = document().at("#/components/requestBodies/Job/content/application~1json")
    for example in body["examples"].values():
        task = job().with_body(json.dumps(example["value"]).encode())
        assert taker.solve(task, HELD).object()["status"] == "solved"
