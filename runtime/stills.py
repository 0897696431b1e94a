"""Pictures of a recording decoded again, in a process of their own: whoever asks neither loads a decoder nor waits for
it, and a damaged file harms nobody else."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from typing import Any

import anyio
import msgspec
from msgspec import Struct

from runtime import program
from runtime.errors import MediaError

DECODER = "perception.capture.clip"
# Starting takes half a second, each picture 20 to 200 ms; a film without keyframes more.
DEADLINE_S = 8.0


class StillsOrder(Struct, frozen=True):
    """Of which file (with which mark, "" for any) the pictures at which media seconds, with what of them black."""

    path: str
    fingerprint: str
    moments_s: tuple[float, ...]
    mask: tuple[tuple[float, float, float, float], ...] = ()


async def decode_stills(order: StillsOrder) -> dict[float, bytes]:
    """JPEGs by moment; those that could not be decoded in time are left out. Cancelling ends the process."""
    with anyio.move_on_after(DEADLINE_S):
        done = await anyio.run_process(
            program.command(__name__),
            input=msgspec.msgpack.encode(order),
            check=False,
            stderr=None,
            cwd=program.ROOT,
            env=program.environment(),
        )
        if done.returncode == 0:
            return msgspec.msgpack.decode(done.stdout, type=dict[float, bytes])
    return {}


def main() -> int:
    """Read an order from standard input, write its pictures to standard output."""
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=StillsOrder)
    clips: Any = importlib.import_module(DECODER)
    found: dict[float, bytes] = {}
    for t_s in order.moments_s:
        still = clips.ClipOrder(
            stretches=((t_s, t_s + 1e-3),),
            out="",
            pieces=(clips.Piece(order.path),),
            fingerprint=order.fingerprint,
            mask=order.mask,
        )
        with suppress(MediaError):
            found[t_s] = clips.still(still)
    sys.stdout.buffer.write(msgspec.msgpack.encode(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
