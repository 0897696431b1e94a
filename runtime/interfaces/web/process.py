"""The server process: the page, the API and MCP for one agent, beside perception and behind it in line for a core."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from runtime.agent import ANSWER_MARGIN_S
from runtime.interfaces.attach import client_at
from runtime.interfaces.web.access import ADDRESS_NAME
from runtime.interfaces.web.serve import serve_client
from runtime.plan import ServePage
from runtime.service import Service

# Perception and answers come first.
NICENESS = 5


async def main(service: Service) -> None:
    """Serve until the process is to stop. Its work is a `ServePage`.

    Raises:
        UserError: the address is taken, or the certificate is none.
    """
    with suppress(OSError):
        os.nice(NICENESS)
    # What libraries log goes where this process logs, whatever they would set up by themselves.
    for handler in service.log.handlers:
        logging.getLogger().addHandler(handler)
    work = service.work
    assert isinstance(work, ServePage)
    config = msgspec.structs.replace(service.config, serve=work.page)

    deadline_s = service.config.reasoning.deadline_s + ANSWER_MARGIN_S

    def ready(address: str) -> None:
        (service.run_dir / ADDRESS_NAME).write_text(address, encoding="ascii")
        service.ready()

    async with client_at(service.run_dir, service.members, deadline_s) as client:
        await serve_client(client, config, Path(work.path), service.stopping, ready)
