"""The table of routes and what follows from it: the handlers' inputs, their errors, and the OpenAPI description."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from runtime.errors import CallCancelled, CallError, DeadlineExceeded, MindstreamError, RemoteError, UserError
from runtime.interfaces.web.guard import TooLarge
from runtime.interfaces.web.served import NotThere, Served

T = TypeVar("T")
# RFC 9110 has no status for a request given up by the other side; nginx's own is widely known.
GIVEN_UP = 499


class Query(Struct, frozen=True):
    """A parameter of the query string."""

    name: str
    about: str
    kind: str = "string"
    required: bool = False


class Endpoint(Struct, frozen=True, kw_only=True):
    """One row. ``body``: the type of a JSON body; ``reply``: the type of a JSON reply, or a media type."""

    method: str
    path: str
    about: str
    handle: Callable[[Served, Request], Awaitable[Response]]
    group: str
    query: tuple[Query, ...] = ()
    body: Any = None
    reply: Any = None


SOURCE = Query("source", "name of a source; empty is the one opened last")
FROM = Query("t0_s", "media seconds at which the stretch begins", "number")
TO = Query("t1_s", "media seconds at which it ends", "number")


def get(
    path: str,
    about: str,
    handle: Callable[[Served, Request], Awaitable[Response]],
    group: str,
    reply: Any,
    *query: Query,
) -> Endpoint:
    """A row that only reads."""
    return Endpoint(method="GET", path=path, about=about, handle=handle, group=group, query=query, reply=reply)


def as_json(value: Any, status: int = 200) -> Response:
    """A JSON response of anything msgspec can encode."""
    return Response(json_bytes(value), status, media_type="application/json")


def json_bytes(value: Any) -> bytes:
    """``value`` as JSON with every field there: messages leave out on the wire what equals its default."""
    return msgspec.json.encode(_whole(value))


def _whole(value: Any) -> Any:
    if isinstance(value, Struct):
        return {field.encode_name: _whole(getattr(value, field.name)) for field in msgspec.structs.fields(value)}
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(inner) for inner in value]
    return value


def error_json(status: int, why: str, kind: str = "error") -> Response:
    """The shape that clients of OpenAI's API know."""
    return as_json({"error": {"message": why, "type": kind}}, status)


async def body_of(request: Request, kind: type[T]) -> T:
    """The JSON body of a request.

    Raises:
        UserError: it is no such thing.
    """
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UserError(f"the body is not what is expected here: {error}") from None


def number(request: Request, name: str, default: float | None = None) -> float:
    """A number of the query string.

    Raises:
        UserError: it is none, or it is missing and has no default.
    """
    text = request.query_params.get(name, "")
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{name}={text!r} is no number" if text else f"the parameter {name} is missing")
    return value


def integer(request: Request, name: str, default: int, most: int) -> int:
    """A whole number from 1 to ``most`` of the query string."""
    value = number(request, name, default)
    if not 1 <= value <= most or value != int(value):
        raise UserError(f"{name} is a whole number from 1 to {most}")
    return int(value)


def flag(request: Request, name: str) -> bool:
    """Whether a parameter is "1" or "true"."""
    return request.query_params.get(name, "") in ("1", "true")


def routes(served: Served, endpoints: Sequence[Endpoint]) -> list[Route]:
    return [
        Route(endpoint.path, _guarded(served, endpoint.handle), methods=[endpoint.method], name=endpoint.path)
        for endpoint in endpoints
    ]


def _guarded(
    served: Served, handle: Callable[[Served, Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """``handle`` with errors told as one line; a bug is left to the server, which logs it."""

    async def guarded(request: Request) -> Response:
        try:
            return await handle(served, request)
        except (MindstreamError, TooLarge, ClientDisconnect) as error:
            return told(error, served)

    return guarded


def told(error: Exception, served: Served) -> Response:
    """An error as a response."""
    match error:
        case TooLarge():
            return error_json(413, f"a request may be {served.config.serve.body_mib:g} MiB large at most")
        case ClientDisconnect():
            return Response(status_code=GIVEN_UP)
        case NotThere():
            return error_json(404, str(error), "not_found")
        case UserError():
            return error_json(400, str(error), "invalid_request")
        case DeadlineExceeded():
            return error_json(504, str(error), "timeout")
        case CallCancelled():
            return error_json(409, str(error), "given_up")
        case RemoteError(kind="StoreError" | "UserError"):
            return error_json(400, str(error), "invalid_request")
        case CallError():
            return error_json(503, str(error), "unavailable")
    return error_json(500, str(error))


def openapi(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description of these routes."""
    types = [t for e in endpoints for t in (e.body, e.reply) if t is not None and not isinstance(t, str)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema_of = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", endpoint.path)
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"\{(\w+)\}", path)
        ]
        parameters += [
            {
                "name": query.name, "in": "query", "description": query.about, "required": query.required,
                "schema": {"type": query.kind},
            }
            for query in endpoint.query
        ]  # fmt: skip
        if endpoint.reply is None:
            responses: dict[str, Any] = {"204": {"description": "done"}}
        elif isinstance(endpoint.reply, str):
            responses = {"200": {"description": endpoint.about, "content": {endpoint.reply: {}}}}
        else:
            content = {"application/json": {"schema": schema_of[id(endpoint.reply)]}}
            responses = {"200": {"description": endpoint.about, "content": content}}
        operation: dict[str, Any] = {
            "summary": endpoint.about,
            "tags": [endpoint.group],
            "parameters": parameters,
            "responses": responses | {"default": {"$ref": "#/components/responses/Error"}},
        }
        if endpoint.body is not None:
            content = {"application/json": {"schema": schema_of[id(endpoint.body)]}}
            operation["requestBody"] = {"required": True, "content": content}
        paths.setdefault(path, {})[endpoint.method.lower()] = operation
    error = {
        "type": "object",
        "properties": {
            "error": {"type": "object", "properties": {"message": {"type": "string"}, "type": {"type": "string"}}}
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mindstream", "version": version, "description": "docs/doors.md tells more."},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                "Error": {
                    "description": "what is wrong, in one line",
                    "content": {"application/json": {"schema": error}},
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
