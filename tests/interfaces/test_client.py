"""The client waits as long for an answer as the profile of the agent it asks lets a turn take."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
import zmq
import zmq.asyncio

from runtime.agent import ANSWER_MARGIN_S, find_agent, open_agent
from runtime.bus import endpoint
from runtime.config import Config, ReasoningConfig
from runtime.interfaces.client import Client
from runtime.messages import AskRequest

pytestmark = pytest.mark.anyio


async def test_a_question_waits_as_long_as_it_was_told_to(run_dir: Path) -> None:
    context = zmq.asyncio.Context()
    reasoning = context.socket(zmq.ROUTER)
    reasoning.bind(endpoint(run_dir, "call", "reasoning"))
    try:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                client = Client(run_dir, (), context, answer_deadline_s=150.0)
                await tasks.start(client.run)
                tasks.start_soon(client.answer, AskRequest(question="what?"))
                _, _, deadline_ms, _ = await reasoning.recv_multipart()
                assert deadline_ms == b"150000"
                tasks.cancel_scope.cancel()
    finally:
        context.destroy(linger=0)


@pytest.mark.processes
async def test_the_agents_card_tells_how_long_its_profile_lets_a_turn_take(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        async with open_agent(tmp_path, Config(reasoning=ReasoningConfig(deadline_s=600.0)), perceivers=()) as agent:
            await agent.until_ready()
            card = find_agent(tmp_path)
    assert card is not None
    assert card.answer_deadline_s == agent.answer_deadline_s == 600.0 + ANSWER_MARGIN_S
