"""What this machine can perceive with: its cameras, its microphones, its screens."""

from __future__ import annotations

from perception.capture import CaptureOver
from perception.live_sound import microphones as microphones
from perception.live_video import cameras as cameras
from perception.live_video import why_no_screen as why_no_screen


def why_no_microphone() -> str:
    """Why none can be used, in one line; "" if one can."""
    try:
        return "" if microphones() else "no microphone is connected"
    except CaptureOver as error:
        return str(error)
