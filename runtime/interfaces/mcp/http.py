"""The Model Context Protocol as one more route of the page's server ("streamable HTTP")."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import BaseRoute

from runtime.interfaces.mcp.server import build_mcp
from runtime.interfaces.web.served import Served

PATH = "/mcp"
SESSIONS_MAX = 32


class McpDoor:
    """The routes, and what must run beside the server for them."""

    def __init__(self, served: Served) -> None:
        self._server = build_mcp(served.client, served.config, served.memory_dir)
        app = self._server.streamable_http_app(
            streamable_http_path=PATH,
            max_sessions=SESSIONS_MAX,
            # The guard in front checks Host, Origin, token and size for every route alike.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self.routes: list[BaseRoute] = list(app.routes)

    def running(self) -> AbstractAsyncContextManager[None]:
        return self._server.session_manager.run()
