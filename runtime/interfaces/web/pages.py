"""The pages: templates for the shell of each, filled by plain modules from the API; and signing in."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from runtime import program
from runtime.interfaces.web.access import COOKIE, COOKIE_DAYS
from runtime.interfaces.web.guard import SIGN_IN
from runtime.interfaces.web.served import Served

# Path, name of the template and of its module, title, what it is for in one line.
PAGES = (
    ("/", "live", "Live", "What is seen and heard at this moment"),
    ("/timeline", "timeline", "Timeline", "A day, hour or minute of a source at a glance"),
    ("/ask", "ask", "Ask", "Questions, and the moments the answers rest on"),
    ("/search", "search", "Search", "What memory holds, and why it is found"),
    ("/watch", "watch", "Watch for", "What you will be told of"),
    ("/memory", "memory", "Memory", "What is kept, for how long, and how to erase it"),
)


def routes(served: Served, description: dict[str, Any]) -> list[Route]:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    templates.globals["program"] = program.name()
    retention = served.config.memory.retention
    limits = [f"{channel} is kept {days:g} days" for channel, days in retention.max_age_days.items()]
    limits += [f"{channel} may weigh {mib:g} MiB" for channel, mib in retention.max_mib.items()]
    common = {"pages": PAGES, "is_locked": bool(served.access.token), "limits": limits}

    def page(path: str, name: str, title: str, about: str) -> Route:
        template = templates.get_template(f"{name}.html")

        async def show(request: Request) -> Response:
            return HTMLResponse(template.render(**common, path=path, name=name, title=title, about=about))

        return Route(path, show)

    async def sign_in(request: Request) -> Response:
        template = templates.get_template("sign_in.html")
        if request.method == "GET":
            return HTMLResponse(template.render(why=""))
        shown = parse_qs((await request.body()).decode("utf-8", "replace")).get("token", [""])[0].strip()
        if not served.access.token or not served.access.is_bearer(shown):
            return HTMLResponse(template.render(why="That is not the token."), 403)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, served.access.cookie, max_age=COOKIE_DAYS * 86400, httponly=True, samesite="strict",
            secure=served.access.is_tls,
        )  # fmt: skip
        return response

    async def sign_out(request: Request) -> Response:
        response = RedirectResponse(SIGN_IN, 303)
        response.delete_cookie(COOKIE)
        return response

    async def api(request: Request) -> Response:
        template = templates.get_template("api.html")
        return HTMLResponse(template.render(**common, path="/api", name="api", title="API", description=description))

    return [
        *(page(*row) for row in PAGES),
        Route("/api", api),
        Route(SIGN_IN, sign_in, methods=["GET", "POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
    ]
