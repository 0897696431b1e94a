"""What this machine can perceive with: its cameras, its microphones, its screen."""

from __future__ import annotations

import os

from perception.capture import CaptureOver
from perception.live_sound import microphones as microphones
from perception.live_video import cameras as cameras


def why_no_microphone() -> str:
    """Why none can be used, in one line; "" if one can."""
    try:
        return "" if microphones() else "no microphone is connected"
    except CaptureOver as error:
        return str(error)


def has_screen() -> bool:
    """Whether there is a screen that can be captured."""
    return bool(os.environ.get("DISPLAY")) and os.environ.get("XDG_SESSION_TYPE") != "wayland"
