"""No password and no token of an address is shown, logged, or told to other users of the machine."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.addresses import origin, shown, with_encoded_credentials, without_credentials
from runtime.errors import UserError
from runtime.logs import open_log
from runtime.sources import parse_source

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://me:hunter2@door.local:554/live",
        "rtsp://me:hunter2@door.local:port/live",
        "rtsp://me:hun@hunter2@door.local/live",
        "front=rtsp://hunter2@door.local/live?user=me&password=hunter2#hunter2",
        "http://:hunter2@/",
        "rtsp://me:/hunter2@door.local/live",
        "rtsp://me:#hunter2@door.local:554/live",
        "rtsp://me:1/hunter2@door/live",
        "rtsp://me:hunter2@hunter2/x@door.local/live",
        "//hunter2@door.local",
        "https://me:hunter2@[::1/v1",
    ],
)
def test_what_is_shown_of_an_address_tells_no_password(address: str) -> None:
    for told in (shown(address), without_credentials(address.split("?")[0]), origin(address)):
        assert "hunter2" not in told
    with pytest.raises(UserError) as error:
        parse_source(address.replace("rtsp:", "gopher:"))
    assert "hunter2" not in str(error.value)


def test_an_address_without_one_stays_as_it_is() -> None:
    text = "the camera at rtsp://door.local:554/live (me@example.com) is away"
    assert without_credentials(text) == text
    for address in ("https://host/@me/live", "http://cam.local:8080/@me", "http://[::1]:8080/@me", "rtsp://door/a?b@c"):
        assert without_credentials(address) == with_encoded_credentials(address) == address
    assert origin("https://hooks.example/services/T0/s3cret") == "https://hooks.example"


@pytest.mark.parametrize(
    ("password", "encoded"),
    [
        ("a#b/c?d@e", None),
        ("a#b/c?d", "a%23b%2Fc%3Fd"),
        ("a@b", "a%40b"),
        ("a%2Fb", "a%2Fb"),
        ("50%", "50%25"),
        ("", ""),
    ],
)
def test_a_password_is_encoded_or_it_is_said_how_to(password: str, encoded: str | None) -> None:
    address = f"rtsp://me:{password}@door.local/live"
    if encoded is not None:
        assert with_encoded_credentials(address) == f"rtsp://me:{encoded}@door.local/live"
        assert parse_source(address).label == "door.local"
        return
    with pytest.raises(UserError, match=r"where its password ends; write an @ in it as %40") as refused:
        parse_source(address)
    assert password not in str(refused.value)


def test_logs_tell_none(tmp_path: Path) -> None:
    log = open_log("video", tmp_path)
    try:
        raise OSError("cannot open rtsp://me:hunter2@door.local/live")
    except OSError:
        log.exception("rtsp://me:hunter2@door.local/live is away")
    logging.shutdown()
    (line,) = (tmp_path / "video.log").read_text().splitlines()
    assert "hunter2" not in line and json.loads(line)["message"] == "rtsp://door.local/live is away"


@pytest.mark.processes
def test_the_process_list_tells_none(tmp_path: Path) -> None:
    command = tmp_path / "command.py"
    command.write_text(
        "import json, os\n"
        "from runtime.interfaces.hidden_arguments import true_arguments\n"
        "given = true_arguments()\n"
        "listed = open('/proc/self/cmdline').read().split(chr(0))\n"
        "print(json.dumps([given, listed, dict(os.environ)]))\n"
    )
    arguments = ["live", "door=rtsp://me:hunter2@door.local/live", "rtsp://me:#hunter2/@attic/live", "--mic", "off"]
    told = subprocess.check_output([sys.executable, command, *arguments], cwd=PROJECT, env={"PYTHONPATH": str(PROJECT)})
    given, listed, environment = json.loads(told)
    assert given == arguments
    assert "hunter2" not in str(listed) and "door=rtsp://me:***@door.local/live" in listed
    assert "rtsp://me:***@attic/live" in listed
    assert "hunter2" not in str(environment)
