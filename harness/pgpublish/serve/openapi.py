"""The document of GET /openapi.json."""

from __future__ import annotations

from typing import Any

from pgpublish import __version__


def _query(name: str, about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": about, "schema": schema}


TEXT: dict[str, Any] = {"type": "string"}
CURSOR = _query("cursor", "Of the page before; leave it out to begin.", TEXT)
KINDS = _query(
    "kinds", "Kinds with commas between; all that the reader may see, if left out.", TEXT
)
PROBLEM = {
    "description": "An error",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def _json(about: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": about, "content": content}


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "pgpublish", "version": __version__, "description": "A feed of changes."},
    "security": [{"bearer": []}, {}],
    "paths": {
        "/changes": {
            "get": {
                "summary": "The next changes after a cursor",
                "parameters": [
                    CURSOR,
                    KINDS,
                    _query("limit", "Changes, at most.", {"type": "integer", "maximum": 1000}),
                    _query(
                        "wait",
                        "Seconds to wait for a change, if there is none.",
                        {"type": "integer", "maximum": 60},
                    ),
                ],
                "responses": {
                    "200": _json("A page", "Page"),
                    "304": {"description": "The page that If-None-Match names"},
                    "default": PROBLEM,
                },
            }
        },
        "/stream": {
            "get": {
                "summary": "Changes as server-sent events",
                "description": "Each event without a name is a change. id is the cursor; send the "
                "last one as Last-Event-ID to go on. Event reset: drop what was read; everything "
                "follows. Event live: all that there was has been sent.",
                "parameters": [CURSOR, KINDS, _query("access_token", "For EventSource.", TEXT)],
                "responses": {
                    "200": {
                        "description": "Events until somebody closes it",
                        "content": {"text/event-stream": {}},
                    },
                    "default": PROBLEM,
                },
            }
        },
        "/kinds/{kind}/{pub_id}": {
            "get": {
                "summary": "What is published under a pub_id",
                "parameters": [
                    {"name": "kind", "in": "path", "required": True, "schema": TEXT},
                    {
                        "name": "pub_id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "format": "uuid"},
                    },
                ],
                "responses": {"200": _json("A change", "Change"), "default": PROBLEM},
            }
        },
    },
    "components": {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Page": {
                "type": "object",
                "properties": {
                    "epoch": {"type": ["string", "null"]},
                    "cursor": {
                        "type": ["string", "null"],
                        "description": "Where the next page begins; null after a reset.",
                    },
                    "head": {"type": "integer"},
                    "changes": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/Change"},
                    },
                    "more": {"type": "boolean", "description": "There is another page now."},
                    "reset": {
                        "type": "boolean",
                        "description": "The cursor cannot go on: drop what was read, and begin.",
                    },
                    "reason": TEXT,
                },
                "required": ["epoch", "cursor", "head", "changes", "more", "reset"],
            },
            "Change": {
                "type": "object",
                "properties": {
                    "rev": {"type": "integer"},
                    "kind": TEXT,
                    "pub_id": {"type": "string", "format": "uuid"},
                    "key": {"type": "string", "description": "If the kind shows it."},
                    "schema_version": {"type": "integer"},
                    "deleted": {"type": "boolean"},
                    "payload": {"description": "Null if it is deleted."},
                    "headers": {"type": ["object", "null"]},
                    "created_at": {"type": "string", "format": "date-time"},
                    "updated_at": {"type": "string", "format": "date-time"},
                },
                "required": ["rev", "kind", "pub_id", "deleted", "payload"],
            },
            "Problem": {
                "type": "object",
                "properties": {
                    "type": TEXT,
                    "title": TEXT,
                    "status": {"type": "integer"},
                    "detail": TEXT,
                    "hint": TEXT,
                    "code": {"type": "string", "description": "SQLSTATE, such as PT404."},
                },
                "required": ["title", "status"],
            },
        },
    },
}
