"""Inputs that mean harm, by the million: nothing may end in anything but an error of ours, and none may take long.

    python -m benchmarks.fuzz [--inputs N] [--seed N] [--only SURFACE,...] [--json] [--no-history]

Well-formed inputs of each kind are cut, spliced, repeated, nested and flipped, with a seed, so that a run can be had
again. Each surface runs in a process of its own, so that a decoder that dies is counted. Surfaces and their share:
    messages    bytes on a socket of the run directory
    rows        facts in a row of the memory file
    archives    lines of an archive's lists
    streams     what a model server sends, as the chunks of a reply
    questions   what is typed
    profiles    YAML of a profile
    media       headers and bodies of pictures and recordings
Figures:
    inputs      how many were tried
    crashes     how many ended in an error that is none of ours, in a dead process, or not at all within ten seconds
    slowest_ms  the longest that one took, of the processor
    slowest     which surface that was
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import multiprocessing.connection
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import harness

# A couple of minutes; the whole campaign is of ten million.
INPUTS, INPUTS_IN_FULL = 100_000, 10_000_000
SHARES = {
    "messages": 0.55, "rows": 0.25, "archives": 0.15, "streams": 0.0395, "questions": 0.005, "profiles": 0.005,
    "media": 0.0005,
}  # fmt: skip
GIVEN_UP_AFTER_S = 10.0
TOLD_EVERY = 200
_NUMBERS = (b"0", b"-1", b"1e300", b"9223372036854775808", b"-9223372036854775809", b"NaN", b"1e-400", b"0" * 400)
_WORDS = (
    "what who when where how many first last before after the red car between 0:10 and 9999 keys umbrella you said is"
    " are there now did not anna's monday 00-00hour yesterday for ever ? , . ' ( ) 🙂 第一 \u202e \x1b[31m \0 ag\u0301"
).split(" ")


def mutate(data: bytes, pool: Sequence[bytes], at_random: random.Random) -> bytes:
    """A harmful relative of some bytes."""
    out = bytearray(data)
    for _ in range(at_random.choice((1, 1, 2, 4))):
        at = at_random.randrange(len(out) + 1)
        match at_random.randrange(9):
            case 0 if out:
                out[at % len(out)] ^= 1 << at_random.randrange(8)
            case 1:
                del out[at : at + at_random.randrange(1, 9)]
            case 2:
                out[at:at] = at_random.randbytes(at_random.randrange(1, 9))
            case 3:
                other = at_random.choice(pool)
                cut = at_random.randrange(len(other) + 1)
                out[at:] = other[cut:]
            case 4:
                out[at:at] = at_random.choice(_NUMBERS)
            case 5:
                piece = bytes(out[at : at + at_random.randrange(1, 17)])
                out[at:at] = piece * at_random.choice((2, 16, 256))
            case 6:
                opening = at_random.choice((b"[", b'{"a":', b"\x91", b"\x81\xa1a", b"("))
                out[at:at] = opening * at_random.choice((3, 40, 2000))
            case 7:
                del out[at:]
            case _:
                out[at : at + 1] = at_random.choice((b"\xff", b"\0", b"\x80", b'"', b"\\u0000", b"\xed\xa0\x80"))
    return bytes(out)


# --- surfaces: what makes the pool of well-formed inputs, and what is done with one ---------------------------------

Surface = tuple[list[bytes], Callable[[bytes], object]]


def _observations() -> list[Any]:
    from runtime.messages import FACTS, Observation, observation_id

    found = []
    for channel, kind in FACTS.items():
        found.append(
            Observation(
                id=observation_id("clip", channel, 1.0), source="clip", channel=channel, t0_s=1.0, t1_s=2.0,
                text="the keys are on the table", data=kind(), evidence=("clip/frame/0",), vector=b"\0<" * 4,
                vector_space="test", payload=b"\xff\xd8\xff\xe0" if channel == "frame" else None,
            )
        )  # fmt: skip
    return found


def messages() -> Surface:
    from memory.store.admission import find_fault, find_fault_of_source
    from runtime.errors import DecodeError
    from runtime.messages import Observation, Progress, SourceOpened, ViewRequest, decode, encode

    pool = [encode(o) for o in _observations()]
    pool += [
        encode(message)
        for message in (
            SourceOpened(source="clip", track="video"), Progress(source="clip", track="video", t_s=1.0), ViewRequest(),
        )
    ]  # fmt: skip

    def take(data: bytes) -> None:
        try:
            message = decode(data)
        except DecodeError:
            return
        if isinstance(message, Observation) and not find_fault(message):
            encode(message)
        elif isinstance(message, SourceOpened):
            find_fault_of_source(message)

    return pool, take


def rows() -> Surface:
    from runtime.messages import FACTS, read_facts

    pool = [msgspec.json.encode(o.data) for o in _observations()]
    pool += [b'{"track":5,"box":[0,0,1,1],"colours":{"top":"red"}}', b'{"words":[["a",0,1,1]],"speaker":"Anna"}']
    channels = list(FACTS)

    def take(data: bytes) -> None:
        try:
            facts = read_facts(channels[len(data) % len(channels)], data.decode())
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return  # a row like that is put aside
        msgspec.msgpack.encode(facts)

    return pool, take


def archives() -> Surface:
    from memory.archive.format import ArchivedErasure, ArchivedObservation, Manifest
    from memory.archive.reading import decoded
    from memory.store.admission import find_fault, find_fault_of_span
    from runtime.messages import Observation, SourceRecord, Span, fitting_facts

    span = Span(id="clip/event/0", source="clip", level="event", t0_s=0.0, t1_s=9.0, text="seen: a hall")
    record = SourceRecord(source="clip", kind="file", uri="/x", fingerprint="f", started_wall_s=1.0)
    pool = [
        msgspec.json.encode(
            ArchivedObservation(
                id=o.id,
                source=o.source,
                channel=o.channel,
                t0_s=1.0,
                t1_s=2.0,
                text=o.text,
                data=msgspec.to_builtins(o.data),
                evidence=o.evidence,
                vector_space="test",
                vector="AAA8AAAA",
            )
        )
        for o in _observations()
    ]
    pool += [msgspec.json.encode(record), msgspec.json.encode(span)]
    pool += [b'{"source":"clip","channel":"","t0_s":0,"t1_s":1,"erased_wall_s":1}']
    kinds: tuple[Any, ...] = (ArchivedObservation, ArchivedObservation, SourceRecord, Span, ArchivedErasure, Manifest)

    def take(data: bytes) -> None:
        try:
            found = decoded(data, kinds[len(data) % len(kinds)])
            if isinstance(found, ArchivedObservation):
                o = Observation(
                    id=found.id, source=found.source, channel=found.channel, t0_s=found.t0_s, t1_s=found.t1_s,
                    text=found.text, data=fitting_facts(found.channel, found.data), evidence=found.evidence,
                    trust=found.trust,
                )  # fmt: skip
                if not find_fault(o):
                    msgspec.msgpack.encode(o)
            elif isinstance(found, Span):
                find_fault_of_span(found)
        except (msgspec.MsgspecError, ValueError):
            return

    return pool, take


def streams() -> Surface:
    import anyio
    import httpx2
    import openai

    from reasoning.backends.chat_model import Abilities, ChatMessage, Tool
    from reasoning.backends.openai_server import OpenAIServer
    from runtime.errors import ModelError

    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}

    def event(finish: str | None = None, **delta: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + json.dumps(chunk | {"choices": [choice]}).encode() + b"\n\n"

    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"text": "x"}'}}
    end = event("stop") + b"data: [DONE]\n\n"
    pool = [event(content="Hello ") + event(content="there.") + end, event(tool_calls=[call]) + end]
    pool += [b'data: {"error": {"message": "no"}}\n\n', event(content="[0:12] keys") + b": comment\n\n" + end]
    asked = (ChatMessage("user", ("What was said?",)),)
    tool = Tool("search", "Find.", {"type": "object", "properties": {"text": {"type": "string"}}})

    async def reply(data: bytes) -> None:
        def answer(request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=data)

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
            client = openai.AsyncOpenAI(base_url="http://127.0.0.1/v1", api_key="k", http_client=http, max_retries=0)
            model = OpenAIServer(client, "http://127.0.0.1/v1", "m", Abilities(4096, images=True, tools=True))
            try:
                async for piece in model.stream(asked, (tool,), 100):
                    msgspec.json.encode(piece)
            except ModelError as error:
                if "\n" in str(error) or len(str(error)) > 400:
                    raise AssertionError(f"told in more than a line: {str(error)[:80]!r}") from error

    return pool, lambda data: anyio.run(reply, data)


def questions() -> Surface:
    from datetime import UTC, datetime

    from reasoning.understand.understand import understand
    from runtime.messages import SourceRecord, View

    view = View(generation=1, limits={"yard.mp4": 60.0})
    record = SourceRecord(
        source="yard.mp4", kind="file", uri="", fingerprint="f", started_wall_s=1.0, watermarks={"video": 60.0}
    )
    now = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    pool = [b"What did she say about the train before 0:42?", b"how many red cars between yesterday 14:00 and now"]
    pool += [word.encode() for word in _WORDS] + [" ".join(_WORDS).encode(), b"first " * 1600, b"for?" * 2500]

    def take(data: bytes) -> None:
        understand(data.decode(errors="ignore")[:10_000], view, (record,), (), now)

    return pool, take


def profiles() -> Surface:
    from runtime.config import PROFILE_DIR, load_config
    from runtime.errors import UserError

    scratch = Path(tempfile.mkdtemp(prefix="mindstream-fuzz-"), "profile.yaml")
    pool = [path.read_bytes()[:3000] for path in PROFILE_DIR.glob("*.yaml")]
    pool += [b"memory:\n  budget:\n    hot_mib: 3\n", b"log: {level: info}\n", b"a: &a [1]\nb: *a\n"]

    def take(data: bytes) -> None:
        scratch.write_bytes(data)
        try:
            load_config(str(scratch))
        except UserError as error:
            if "\n" in str(error):
                raise AssertionError(f"told in more than a line: {str(error)[:80]!r}") from error

    return pool, take


def media() -> Surface:
    import cv2
    import numpy as np

    from memory.store.admission import find_fault
    from perception.capture.file import probe
    from runtime.errors import UserError

    scratch = Path(tempfile.mkdtemp(prefix="mindstream-fuzz-"), "clip")
    sample = (harness.PROJECT / "examples" / "sample.mp4").read_bytes()
    jpeg = cv2.imencode(".jpg", np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3))[1].tobytes()
    pool = [sample[:20_000] + sample[-20_000:], sample[-30_000:], jpeg]
    frame = next(o for o in _observations() if o.channel == "frame")

    def take(data: bytes) -> None:
        find_fault(msgspec.structs.replace(frame, payload=data))
        scratch.write_bytes(data)
        try:
            probe(scratch)
        except UserError:
            pass

    return pool, take


SURFACES: dict[str, Callable[[], Surface]] = {
    "messages": messages, "rows": rows, "archives": archives, "streams": streams, "questions": questions,
    "profiles": profiles, "media": media,
}  # fmt: skip


# --- a process for each surface --------------------------------------------------------------------------------------


def run_surface(name: str, seed: int, first: int, last: int, told: multiprocessing.connection.Connection) -> None:
    """Inputs ``first`` to ``last`` of a surface; tells how far it came, the slowest, and what went wrong."""
    faulthandler.disable()
    pool, take = SURFACES[name]()
    take(pool[0])  # what is imported and compiled the first time is not its time
    slowest_ms = 0.0
    for number in range(first, last):
        at_random = random.Random(f"{seed} {name} {number}")
        data = mutate(at_random.choice(pool), pool, at_random)
        began_s, wrong = time.process_time(), ""
        try:
            take(data)
        except Exception as error:
            wrong = f"{type(error).__name__}: {str(error)[:120]!r}"
        slowest_ms = max(slowest_ms, 1000 * (time.process_time() - began_s))
        if wrong or number % TOLD_EVERY == 0 or number == last - 1:
            told.send((number + 1, slowest_ms, wrong))


def campaign(name: str, seed: int, n: int) -> tuple[int, float]:
    """(crashes, slowest milliseconds) of ``n`` inputs of a surface."""
    crashes, slowest_ms, done = 0, 0.0, 0
    while done < n:
        here, there = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(target=run_surface, args=(name, seed, done, n, there))
        process.start()
        there.close()
        try:
            while done < n:
                # The first takes as long as its imports.
                if not here.poll(GIVEN_UP_AFTER_S * (6 if not slowest_ms else 1)):
                    raise EOFError("it does not end")
                done, slowest, wrong = here.recv()
                slowest_ms = max(slowest_ms, slowest)
                if wrong:
                    crashes += 1
                    harness.progress(f"{name} {done - 1}: {wrong}")
        except EOFError as error:
            crashes += 1
            process.kill()
            process.join()
            harness.progress(f"{name} {done} to {done + TOLD_EVERY}: {error or f'died with {process.exitcode}'}")
            done += TOLD_EVERY
        finally:
            process.join()
            here.close()
    return crashes, slowest_ms


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--inputs", type=int, default=INPUTS, metavar="N", help=f"how many (default: {INPUTS})")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default: 1)")
    parser.add_argument("--only", default=",".join(SURFACES), metavar="SURFACE,...", help="only these surfaces")
    args = parser.parse_args(argv)
    names = args.only.split(",")
    if not set(names) <= set(SURFACES):
        parser.error(f"--only: there are {', '.join(SURFACES)}")
    crashes = inputs = 0
    slowest: tuple[float, str] = (0.0, "")
    for name in names:
        n = max(1, round(args.inputs * SHARES[name] / sum(SHARES[other] for other in names)))
        found, slowest_ms = campaign(name, args.seed, n)
        harness.progress(f"{name}: {n} inputs, {found} crashes, slowest {slowest_ms:.0f} ms")
        crashes, inputs, slowest = crashes + found, inputs + n, max(slowest, (slowest_ms, name))
    figures = {"inputs": inputs, "crashes": crashes, "slowest_ms": round(slowest[0], 1), "slowest": slowest[1]}
    harness.report("fuzz", figures, args, args.inputs >= INPUTS_IN_FULL and len(names) == len(SURFACES))
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
