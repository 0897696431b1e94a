"""What this machine can perceive with: its cameras, its microphones, its screens."""

from __future__ import annotations

from perception.capture.camera import cameras as cameras
from perception.capture.camera import why_no_screen as why_no_screen
from perception.capture.microphone import microphones as microphones
from perception.capture.reopening import CaptureOver


def why_no_microphone() -> str:
    """Why none can be used, in one line; "" if one can."""
    try:
        return "" if microphones() else "no microphone is connected"
    except CaptureOver as error:
        return str(error)
