"""What site and hub find wrong with one another: versions, clocks, and why a link is not there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from runtime.messages import Hello
from runtime.sites.names import PROTOCOL
from runtime.version import VERSION

# Clocks that differ by more than this are told of.
CLOCK_OFF_S = 5.0
_LINES_READ = 60


def clock_offset(hello: Hello, asked_s: float, answered_s: float) -> tuple[float, float]:
    """(how far the other's clock is ahead of this one, how sure that is), in seconds: it was read between the two
    moments (Cristian, "Probabilistic clock synchronization", 1989)."""
    return hello.wall_s - (asked_s + answered_s) / 2, max(0.0, answered_s - asked_s) / 2


def differs(hello: Hello, asked_s: float, answered_s: float) -> str:
    """In which way the other is not as it should be; "" where it is. The moments are those of this clock."""
    name = "the hub" if hello.name == "hub" else hello.name
    if hello.protocol != PROTOCOL:
        return (
            f"{name} runs version {hello.version} (protocol {hello.protocol}), this machine {VERSION} (protocol"
            f" {PROTOCOL}); have both run the same version"
        )
    off_s, sure_s = clock_offset(hello, asked_s, answered_s)
    if abs(off_s) > CLOCK_OFF_S + sure_s:
        direction = "ahead of" if off_s > 0 else "behind"
        return f"the clock of {name} is {abs(off_s):.0f} s {direction} this machine's; set one of them (NTP)"
    return ""


def last_link_error(log: Path) -> str:
    """What a leaf node said last of its link; "" where that is up."""
    with suppress(OSError):
        for line in reversed(log.read_text("utf-8", "replace").splitlines()[-_LINES_READ:]):
            if "Leafnode connection created" in line:
                return ""
            if "[ERR]" in line:
                return line.partition("[ERR]")[2].strip()
    return ""
