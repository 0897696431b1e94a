"""What the agent says unasked, shown once each: a line with its moment, a bell, or a JSON object."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
from rich.text import Text

from runtime.clock import media_time
from runtime.errors import UserError
from runtime.interfaces.client import Client
from runtime.interfaces.terminal.render import OUT, shorten
from runtime.messages import Notice, StandingQuery, StandingReply, StandingRequest, notice_json
from runtime.printable import say

ACTIONS = ("list", "add", "pause", "resume", "remove", "wrong", "why")


class Notices:
    """Shows the notices of a client as they come. ``bell`` rings the terminal's bell with each."""

    def __init__(self, client: Client, bell: bool, as_json: bool = False) -> None:
        self._client = client
        self._bell = bell and sys.stdout.isatty()
        self._as_json = as_json
        self._shown: set[str] = set()
        client.on_notice = self.show

    async def pass_over(self) -> None:
        """Count what was told before now as shown."""
        self._shown |= {notice.id for notice in (await self._client.standing(StandingRequest())).notices}

    async def catch_up(self) -> None:
        """Show what was told and has not arrived: all that memory holds by now has been looked at then."""
        for notice in (await self._client.standing(StandingRequest())).notices:
            self.show(notice)

    def show(self, notice: Notice) -> None:
        if notice.id in self._shown:
            return
        self._shown.add(notice.id)
        if self._as_json:
            say(json.dumps(notice_json(notice), ensure_ascii=False))
            return
        if self._bell:
            OUT.bell()
        OUT.print(Text("! ", style="bold yellow") + Text(notice.text))
        cited = notice.citation
        where = f"  [{media_time(cited.t0_s)}] {cited.channel}, {cited.source}"
        if not cited.id:
            where += ", going on"
        elif cited.text and not notice.text.casefold().startswith(cited.text.casefold()):
            where += f": {shorten(cited.text, 100)}"
        OUT.print(Text(where, style="dim"))


def standing_request(action: str, which: str = "", text: str = "") -> StandingRequest:
    """A change of the queries that ``which`` names: an id, words of one, or "all"."""
    which = which.strip()
    everything = which == "all"
    return StandingRequest(
        action=action,  # type: ignore[arg-type]
        text=text,
        which="" if everything else which,
        all=everything,
        conversation="main",
    )


def typed_request(action: str, words: str) -> StandingRequest:
    """A request as it is typed: "add when the door opens", "pause q2", "list".

    Raises:
        UserError: there is no such action.
    """
    if action not in ACTIONS:
        raise UserError(f"standing: there is no {action!r}; it takes {', '.join(ACTIONS)}")
    return standing_request(action, "" if action == "add" else words, words if action == "add" else "")


def print_standing(reply: StandingReply) -> None:
    """What was done, and the queries there are."""
    OUT.print(Text(reply.said))


def standing_json(reply: StandingReply) -> str:
    """The documented JSON object of the standing queries, on one line (docs/cli.md)."""
    built = {
        "said": reply.said,
        "queries": [_query_json(query) for query in reply.queries],
        "notices": [notice_json(notice) for notice in reply.notices],
    } | ({"decisions": [msgspec.structs.asdict(d) for d in reply.decisions]} if reply.decisions else {})
    return json.dumps(built, ensure_ascii=False)


def _query_json(query: StandingQuery) -> dict[str, Any]:
    return {
        "id": query.id,
        "text": query.text,
        "every": query.every,
        "state": query.state,
        "account": query.account,
        "told": query.told,
        "last": {"source": query.last_source, "t0_s": query.last_t_s, "text": query.last_text} if query.told else None,
    }
