"""How live sources are written, and what they are called."""

from __future__ import annotations

import pytest

from runtime.errors import UserError
from runtime.sources import LABEL_MAX, begin_session, distinct, parse_source


@pytest.mark.parametrize(
    ("text", "label", "kind", "address"),
    [
        ("0", "camera-0", "camera", "/dev/video0"),
        ("/dev/video2", "video2", "camera", "/dev/video2"),
        ("rtsp://u:p@192.168.1.20:554/a", "192.168.1.20", "stream", "rtsp://u:p@192.168.1.20:554/a"),
        ("Front_Door=http://cam.local/mjpeg?x=1", "front-door", "stream", "http://cam.local/mjpeg?x=1"),
        ("screen", "screen", "screen", "1"),
        ("screen:2", "screen-2", "screen", "2"),
        ("mic", "mic", "microphone", ""),
        ("mic:USB Audio", "usb-audio", "microphone", "USB Audio"),
    ],
)
def test_a_source_is_told_from_how_it_is_written(text: str, label: str, kind: str, address: str) -> None:
    source = parse_source(text)
    assert (source.label, source.kind, source.address) == (label, kind, address)


@pytest.mark.parametrize(
    "text",
    [
        "talk.mp4",
        "ftp://host/x",
        "http://host:99999/x",
        "http://host:port/x",
        "http://[::1/x",
        "rtsp:///no-host",
        "screen:left",
        "",
    ],
)
def test_what_is_no_source_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_source(text)
    assert "\n" not in str(refused.value)


def test_passwords_are_not_shown() -> None:
    assert parse_source("rtsp://user:secret@host:554/a?token=t").shown == "rtsp://host:554/a"


def test_labels_differ_and_stay_short() -> None:
    long = "a" * 60
    found = distinct([parse_source(f"{long}=0"), parse_source(f"{long}=1"), parse_source("door=rtsp://x/")])
    labels = [source.label for source in found]
    assert len(set(labels)) == 3
    assert max(map(len, labels)) <= LABEL_MAX
    with pytest.raises(UserError, match="twice"):
        distinct([parse_source("0"), parse_source("cam=/dev/video0")])


def test_each_session_has_a_name_of_its_own() -> None:
    first = begin_session(parse_source("door=rtsp://x/"), 1_750_000_000.0, ())
    again = begin_session(parse_source("door=rtsp://x/"), 1_750_000_000.4, (first.source,))
    assert first.source.startswith("door@20")
    assert again.source != first.source
    assert again.started_wall_s == 1_750_000_000.4
