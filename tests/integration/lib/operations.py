"""The operations that docs/openapi.yaml lists, which of them are alike, and a page that may call."""

from .openapi import TOOLS, document

PAGE = "https://tools.example.com"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}

OPERATIONS = document().operations
KNOWN = [operation for operation in OPERATIONS if operation.path and operation.method]


def tools(operation):
    return operation.kind == TOOLS


def takes_token(operation):
    return tools(operation) and operation in KNOWN and operation.method != "options"


def asks_for_job(operation):
    return takes_token(operation) and operation.path.endswith("/status")
