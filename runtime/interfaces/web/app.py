"""The application: the guard in front, the table of routes, the page, MCP where it is installed."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from runtime.interfaces.web import asking, events, live, metrics, openai_api, pages, remembered, rule, shown
from runtime.interfaces.web.api import as_json, error_json, openapi, routes
from runtime.interfaces.web.events import News
from runtime.interfaces.web.guard import Guard
from runtime.interfaces.web.live import Views
from runtime.interfaces.web.openai_api import Conversations
from runtime.interfaces.web.served import Served

ASSETS = Path(__file__).parent / "assets"
VERSION = "1"
ENDPOINTS = (
    *asking.ENDPOINTS,
    *remembered.ENDPOINTS,
    *shown.ENDPOINTS,
    *live.ENDPOINTS,
    *rule.ENDPOINTS,
    *events.ENDPOINTS,
    *metrics.ENDPOINTS,
    *openai_api.ENDPOINTS,
)
_log = logging.getLogger("mindstream.server")


def build_app(served: Served) -> Starlette:
    """The application that serves one agent. Its lifespan runs what follows the agent's topics."""
    description = openapi(ENDPOINTS, VERSION)

    async def describe(request: Request) -> Response:
        return as_json(description)

    mounted: list[BaseRoute] = [Mount("/assets", StaticFiles(directory=ASSETS), name="assets")]
    mcp = None
    if importlib.util.find_spec("mcp") is not None:
        from runtime.interfaces.mcp.http import McpDoor

        mcp = McpDoor(served)
        mounted += mcp.routes

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if mcp is not None:
                await stack.enter_async_context(mcp.running())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app.state.news.run)
                yield
                tasks.cancel_scope.cancel()

    serve = served.config.serve
    app = Starlette(
        routes=[
            *routes(served, ENDPOINTS),
            Route("/openapi.json", describe),
            *pages.routes(served, description),
            *mounted,
        ],
        middleware=[
            Middleware(
                Guard,
                access=served.access,
                body_bytes=int(serve.body_mib * 2**20),
                requests_per_s=serve.requests_per_s,
            )
        ],
        exception_handlers={HTTPException: _http_error, Exception: _bug},
        lifespan=lifespan,
    )
    app.state.news = News(served)
    app.state.views = Views(served)
    app.state.conversations = Conversations()
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_json(error.status_code, error.detail or "no such page", "not_found")


async def _bug(request: Request, error: Exception) -> Response:
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    return error_json(500, "an error of this program; its log says more", "internal")
