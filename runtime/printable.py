"""The edge of printing: whatever was heard, read, typed or named, it is shown and moves nothing on a terminal.

Everything that this program prints passes here: `say` for lines, the consoles of `runtime.interfaces.terminal.render`,
the parser of the command line and the logs. Bare `print` is refused elsewhere (ruff, T20).
"""

from __future__ import annotations

import re
from typing import TextIO

# Controls of ASCII and Latin-1 but tab and line feed (so ESC, CSI, BEL, CR, DEL), separators that programs may take
# for line ends, marks that turn the direction of text around (Unicode Technical Report 36), tags, lone surrogates.
_MOVES = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str, in_line: bool = False) -> str:
    """``text`` with each such character as its escape, ``\\u001b``, which inside a JSON string still stands for it;
    ``in_line``: line feeds too, of what is told on one line."""
    shown = _MOVES.sub(lambda found: _escape(ord(found[0])), text)
    return shown.replace("\n", "\\n") if in_line else shown


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, on standard output unless another stream is given, and at once."""
    print(printable(text), file=stream, flush=True)


def _escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code - 0x10000 & 0x3FF):04x}"
