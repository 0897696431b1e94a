"""The terminal chat: questions in, streamed answers out, while perception goes on."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import anyio

from runtime.errors import CallError, UserError
from runtime.interfaces.client import Client
from runtime.interfaces.commands.erasure import ForgetTalk
from runtime.interfaces.terminal.notices import print_standing, standing_request, typed_request
from runtime.interfaces.terminal.render import (
    OUT,
    AnswerPrinter,
    answer_json,
    note,
    observation_line,
    print_status,
    print_trace,
    told_of_pause,
)
from runtime.interfaces.terminal.standard_streams import readable, typed_lines
from runtime.messages import Answer, AskRequest
from runtime.printable import say

# Commands that people type as plain words.
WORDS = {
    "exit": "/quit", "quit": "/quit", "bye": "/quit", "help": "/help", "pause": "/pause", "resume": "/resume",
}  # fmt: skip
HELP = """Ask anything about what was seen, heard or read; answers cite their moments as [m:ss].
  /status    processes, sources, encoders and the size of memory
  /timeline  the newest things noticed
  /standing  what I will tell you about ("tell me when ...", "whenever ..., let me know" or /standing add makes one)
  /forget    --last 10m, --from T --to T or --text WORDS: erase it, for good; what goes is shown first
  /show T, /play T-T, /clip T-T FILE   the picture of a moment, a stretch; /transcript, /recordings
  /pause, /resume   see and hear nothing for a while
  /pause ID, /resume ID, /remove ID   a standing query (ID is q1, or words of it, or all)
  /trace     how the last answer was found: what was looked up, and what the model did
  /talk      what is said next is meant for the agent (live, with --voice)
  /help      this
  /quit      leave (also Ctrl-D; Ctrl-C stops an answer, takes back what was typed, leaves an empty prompt)"""


class Chat:
    """One conversation on a terminal, or over a pipe."""

    def __init__(
        self,
        client: Client,
        sources: tuple[str, ...],
        status_line: Callable[[], str],
        talk: Callable[[], str] | None = None,
        as_json: bool = False,
        evidence: Callable[[Client, str, str], Awaitable[None]] | None = None,
    ) -> None:
        self.client = client
        self.sources = sources
        self._status_line = status_line
        self._last: Answer | None = None
        self._talk = talk
        self._as_json = as_json
        self._evidence = evidence
        self._forgetting = ForgetTalk(client)

    async def run(self) -> bool:
        """Answer until the user leaves or the input ends. Returns whether the user left."""
        interactive = sys.stdin.isatty() and sys.stdout.isatty()
        if interactive:
            OUT.print("Ask away; /help shows what else you can do.")
        async for line in self._prompted() if interactive else typed_lines():
            text = readable(line).strip()
            text = WORDS.get(text.lower().rstrip(".!"), text)
            if text in ("/quit", "/exit"):
                return True
            try:
                if text.startswith("/"):
                    await self._command(text)
                elif text:
                    await self._answer(text)
            except (CallError, UserError) as error:
                note(str(error) if text.startswith("/") else f"no answer: {error}")
        return interactive

    async def _command(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        match name:
            case "/help":
                OUT.print(HELP)
            case "/status":
                print_status(await self.client.status(), self.client.heartbeats, self.client.being_said)
            case "/talk" if self._talk is not None:
                OUT.print(self._talk())
            case "/timeline":
                for observation in await self.client.timeline(self.sources):
                    OUT.print(observation_line(observation))
            case "/trace":
                print_trace(self._last)
            case "/standing":
                action, _, words = rest.strip().partition(" ")
                print_standing(await self.client.standing(typed_request(action or "list", words)))
            case "/forget":
                self._last = None  # it may quote what goes
                await self._forgetting.hear(rest)
            case "/show" | "/play" | "/clip" | "/transcript" | "/recordings" if self._evidence is not None:
                await self._evidence(self.client, name[1:], rest)
            case "/pause" | "/resume" if not rest:
                note(told_of_pause(await self.client.pause(name == "/pause"), name == "/pause"))
            case "/pause" | "/resume" | "/remove":
                print_standing(await self.client.standing(standing_request(name[1:], rest)))
            case unknown:
                OUT.print(f"unknown command {unknown}; /help lists them")

    async def _answer(self, question: str) -> None:
        printer = None if self._as_json else AnswerPrinter()
        request = AskRequest(question=question, sources=self.sources)
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async with anyio.create_task_group() as tasks:

                async def stop_on_ctrl_c() -> None:
                    async for _ in signals:
                        tasks.cancel_scope.cancel()
                        if printer is not None:
                            printer.stopped()
                        note("stopped")
                        return

                tasks.start_soon(stop_on_ctrl_c)
                try:
                    async with aclosing(self.client.ask(request)) as parts:
                        async for part in parts:
                            if printer is not None:
                                printer.part(part)
                            elif isinstance(part, Answer):
                                say(answer_json(part))
                            if isinstance(part, Answer):
                                self._last = part
                except CallError as error:  # here, where it is not yet in a group
                    if printer is not None:
                        printer.stopped()
                    note(f"no answer: {error}")
                tasks.cancel_scope.cancel()

    async def _prompted(self) -> AsyncIterator[str]:
        from prompt_toolkit import PromptSession  # 60 ms to import, and only a terminal needs it
        from prompt_toolkit.history import InMemoryHistory
        from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
        from prompt_toolkit.patch_stdout import patch_stdout

        keys = KeyBindings()

        @keys.add("c-c")
        def _(event: KeyPressEvent) -> None:
            """What was typed goes; where nothing was, the chat is left."""
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

        session: PromptSession[str] = PromptSession(
            "> ", bottom_toolbar=self._status_line, refresh_interval=0.5, history=InMemoryHistory(), key_bindings=keys
        )
        while True:
            try:
                with patch_stdout(raw=True):
                    line = await session.prompt_async()
            except (EOFError, KeyboardInterrupt):
                return
            yield line
