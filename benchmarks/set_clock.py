"""A wall clock that a campaign sets ahead and back, for this process and all it starts; the monotonic one goes on.

Nobody may set a machine's clock, so `time.time` and `time.time_ns` are what follows, by an offset in a shared file.
Of processes that are started Python imports this file as `sitecustomize`, so it is complete by itself.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OFFSET_NS = struct.Struct("<q")
_PATH = "MINDSTREAM_SET_CLOCK"


def follow(path: str) -> None:
    """Have the clock of this process follow the offset in a file from now on."""
    with open(path, "rb") as file:
        shared = mmap.mmap(file.fileno(), _OFFSET_NS.size, access=mmap.ACCESS_READ)
    real_ns = time.time_ns

    def time_ns() -> int:
        return real_ns() + int(_OFFSET_NS.unpack_from(shared)[0])

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


@contextmanager
def settable_clock(folder: Path) -> Iterator[Path]:
    """A file through which `set_ahead` sets the clock while the block lasts; ``folder`` is for its use alone."""
    path = folder / "offset"
    path.write_bytes(_OFFSET_NS.pack(0))
    (folder / "sitecustomize.py").write_text(Path(__file__).read_text("utf-8"), encoding="utf-8")
    before, clocks = dict(os.environ), (time.time, time.time_ns)
    os.environ[_PATH] = str(path)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [before.get("PYTHONPATH")])])
    follow(str(path))
    try:
        yield path
    finally:
        time.time, time.time_ns = clocks
        os.environ.clear()
        os.environ.update(before)


def set_ahead(path: Path, offset_s: float) -> None:
    """Set the clock so many seconds ahead of the machine's; negative: back."""
    with path.open("r+b") as file:
        file.write(_OFFSET_NS.pack(int(offset_s * 1e9)))


if __name__ == "sitecustomize" and _PATH in os.environ:
    follow(os.environ[_PATH])
