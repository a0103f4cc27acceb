"""What OpenAPI 3.1 demands of a document, as far as ours uses it: a JSON Schema by the tables of
the specification (section 4.8), where no object may have a member that is not listed there."""

REF = {"type": "object", "required": ["$ref"], "properties": {
    "$ref": {"type": "string", "pattern": "^#/"}, "summary": {}, "description": {}},
    "additionalProperties": False}


def _object(required, /, **properties):
    return {"type": "object", "required": required, "properties": properties,
            "patternProperties": {"^x-": True}, "additionalProperties": False}


def _or_reference(name):
    return {"if": {"type": "object", "required": ["$ref"]}, "then": REF,
            "else": {"$ref": f"#/$defs/{name}"}}


def _map(name, keys="."):
    return {"type": "object", "patternProperties": {keys: _or_reference(name), "^x-": True},
            "additionalProperties": False}


TEXT = {"type": "string", "minLength": 1}
NAMES = {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True}
SCHEMA = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
SECURITY = {"type": "array", "items": {"type": "object", "additionalProperties": {
    "type": "array", "items": TEXT}}}
CONTENT = {"type": "object", "minProperties": 1, "patternProperties": {
    "^[a-z]+/[a-z.+-]+$": {"$ref": "#/$defs/media"}}, "additionalProperties": False}
METHOD = {"$ref": "#/$defs/operation"}

OPENAPI = {
    **_object(
        ["openapi", "info", "paths"],
        openapi={"const": "3.1.0"},
        info=_object(["title", "version"], title=TEXT, version=TEXT, summary=TEXT,
                     description=TEXT, license=_object(["name"], name=TEXT, identifier=TEXT)),
        servers={"$ref": "#/$defs/servers"},
        tags={"type": "array", "items": _object(["name"], name=TEXT, description=TEXT)},
        security=SECURITY,
        paths={"type": "object", "patternProperties": {"^/": {"$ref": "#/$defs/path"}},
               "additionalProperties": False},
        components=_object(
            [],
            schemas={"type": "object", "additionalProperties": SCHEMA},
            responses=_map("response"), parameters=_map("parameter"), examples=_map("example"),
            requestBodies=_map("body"), headers=_map("header"),
            securitySchemes=_map("security"),
        ),
    ),
    "$defs": {
        "servers": {"type": "array", "minItems": 1, "items": _object(
            ["url"], url={"type": "string", "format": "uri"}, description=TEXT)},
        "path": _object([], servers={"$ref": "#/$defs/servers"}, get=METHOD, head=METHOD,
                        post=METHOD, delete=METHOD, options=METHOD),
        "operation": _object(
            ["operationId", "responses"], operationId={"type": "string", "pattern": "^[a-zA-Z0-9]+$"},
            tags=NAMES, summary=TEXT, description=TEXT, security=SECURITY,
            parameters={"type": "array", "items": _or_reference("parameter"),
                        "uniqueItems": True},
            requestBody=_or_reference("body"),
            responses={"allOf": [_map("response", "^([1-5][0-9][0-9]|default)$"),
                                 {"minProperties": 1}]}),
        "parameter": _object(["name", "in", "schema"], name=TEXT,
                             **{"in": {"enum": ["query", "header", "path", "cookie"]}},
                             required={"type": "boolean"}, description=TEXT, schema=SCHEMA,
                             example=True),
        "body": _object(["content"], content=CONTENT, required={"type": "boolean"},
                        description=TEXT),
        "response": _object(["description"], description=TEXT, headers=_map("header"),
                            content=CONTENT),
        "header": _object(["schema"], description=TEXT, required={"type": "boolean"},
                          schema=SCHEMA, example=True),
        "media": _object(["schema"], schema=SCHEMA, examples=_map("example")),
        "example": _object(["value"], value=True, summary=TEXT),
        "security": _object(["type"], type={"enum": ["apiKey", "http"]}, name=TEXT, scheme=TEXT,
                            description=TEXT, **{"in": {"enum": ["header"]}}),
    },
}
