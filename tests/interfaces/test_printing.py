"""Nothing that was named, heard, read or typed moves the cursor, rings, turns text around or forges a line."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.text import Text

from runtime.interfaces.commands.parser import build_parser
from runtime.interfaces.terminal.chat import HELP
from runtime.interfaces.terminal.render import ERR, OUT, AnswerPrinter, answer_json, note, print_hits, print_status
from runtime.logs import open_log
from runtime.messages import Answer, AnswerPart, Citation, Hit, MemoryStatus, Observation, RecallReply, SourceRecord
from runtime.printable import printable, say
from runtime.replay import Recording, plan_sources
from tests.fixtures.agent_runs import run

SEQUENCES = {
    "colour": "\x1b[31m",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;mine\x07",
    "link": "\x1b]8;;http://elsewhere/\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "alternate screen": "\x1b[?1049h",
    "eight-bit CSI": "\x9b31m",
    "eight-bit OSC": "\x9d0;mine\x9c",
    "device control": "\x1bPq#0\x1b\\",
    "carriage return": "\rdone",
    "back": "\b\b\b",
    "bell": "\x07",
    "form feed": "\f\v",
    "delete": "\x7f",
    "next line": "\x85",
    "line separator": "\u2028",
    "turned around": "\u202egpj.exe",
    "isolated": "\u2066\u2069",
    "Arabic mark": "\u061c",
    "tag": "\U000e0041",
    "lone surrogate": "\udc9b",
    "shift": "\x0e\x0f",
}
EVIL = "".join(SEQUENCES.values())


def moves(text: str) -> list[str]:
    """The characters of ``text`` that a terminal does not simply show, by what Unicode says of them."""
    turning = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return [
        c
        for c in text
        if (unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t")
        or unicodedata.bidirectional(c) in turning
        or c in "\u200e\u200f\u061c"
        or 0xE0000 <= ord(c) <= 0xE007F
    ]


@pytest.fixture(params=SEQUENCES)
def evil(request: pytest.FixtureRequest) -> str:
    return f"a{SEQUENCES[request.param]}b"


def observed(text: str) -> Observation:
    return Observation(id="x", source=text, channel="text", t0_s=1.0, t1_s=2.0, text=text)


def answer(text: str) -> Answer:
    citation = Citation(source=text, t0_s=1.0, t1_s=2.0, channel="text", text=text, id=text)
    return Answer(
        question=text, answer=text, abstained=False, as_of_s=3.0, citations=(citation,), latency_s={}, backend=text,
        notice=text,
    )  # fmt: skip


def status(text: str) -> MemoryStatus:
    record = SourceRecord(
        source=text, kind="file", uri=text, fingerprint=text, started_wall_s=0.0, watermarks={"video": 1.0},
        ended={"video": text}, missing={"audio": text}, encoders={"frame": text},
    )  # fmt: skip
    return MemoryStatus(generation=1, sources=(record,), observations={}, spans={}, bytes=0, path=text)


def log(text: str) -> None:
    open_log("test", None, terminal=True).warning("%s", text)


PRINTERS: dict[str, Callable[[str], object]] = {
    "a line": lambda text: OUT.print(text),
    "styled text": lambda text: OUT.print(Text("! ", style="bold") + Text(text, style="dim")),
    "text that streams": lambda text: OUT.out(text, end=""),
    "a note": note,
    "an error": lambda text: ERR.print(text),
    "a line of JSON": lambda text: say(answer_json(answer(text))),
    "an answer as it comes": lambda text: [
        AnswerPrinter(text).part(part) for part in (AnswerPart(text=text), answer(text))
    ],
    "hits": lambda text: print_hits(RecallReply(hits=(Hit(observation=observed(text), score=1.0),))),
    "the state of memory": lambda text: print_status(status(text), {}),
    "a warning": log,
    "usage": lambda text: build_parser().exit(2, f"no such option: {text}\n"),
}


@pytest.mark.parametrize("printer", PRINTERS)
def test_whatever_is_printed_moves_nothing(evil: str, printer: str, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("test").handlers.clear()
    try:
        PRINTERS[printer](evil)
    except SystemExit:
        pass
    out, err = capsys.readouterr()
    assert "b" in out + err
    assert moves(out + err) == []


def test_words_of_any_script_come_out_as_they_are() -> None:
    for text in ("naïve café", "日本語", "עברית", "می‌خواهم", "👩‍👩‍👧", "a\tb\nc"):
        assert printable(text) == text


def test_json_still_says_the_same() -> None:
    value = {"name": EVIL.replace("\udc9b", "")}
    assert json.loads(printable(json.dumps(value, ensure_ascii=False))) == value
    assert msgspec.json.decode(printable(msgspec.json.encode(value).decode())) == value


def test_a_name_with_a_line_feed_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    note("a\nmemory is empty")
    assert capsys.readouterr().err == "a\\nmemory is empty\n"
    (plan,) = plan_sources([Recording("/x/a\n\x1b[2Jb.mp4", "f", 0.0, 1.0)], ())
    assert plan.source == "a\\n\\u001b[2Jb.mp4"


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    OUT.print(HELP)
    OUT.print("[red]name[/red].mp4")
    out = capsys.readouterr().out
    assert "answers cite their moments as [m:ss]." in out
    assert out.endswith("[red]name[/red].mp4\n")


@pytest.mark.processes
def test_a_file_of_such_a_name_is_refused_in_one_clear_line(tmp_path: Path) -> None:
    name = f"a\n{EVIL.replace(chr(0xDC9B), '')}.mp4"
    line = run("replay", tmp_path / name, "--memory", tmp_path / "memory").assert_one_clear_line()
    assert "no such file" in line and moves(line) == []
