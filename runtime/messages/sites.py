"""Between machines: who is there, which version it runs, and what its clock says."""

from __future__ import annotations

from runtime.messages.base import Message


class HelloRequest(Message, frozen=True, tag="hello_request"):
    """Who is there? -> `Hello`"""


class Hello(Message, frozen=True, tag="hello"):
    """``name``: of the site, "hub" of the hub. ``protocol``: the language it speaks (`runtime.sites.names`).
    ``wall_s``: its clock, in Unix seconds. ``notes``: what is wrong there, in lines. ``let_go``: another number once
    something was taken out of its stream."""

    name: str
    version: str
    protocol: int
    wall_s: float
    notes: tuple[str, ...] = ()
    let_go: str = ""
