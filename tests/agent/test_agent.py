"""The whole agent on the shipped sample, through real processes: it answers, it replays exactly, it survives."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memory.store.log import committed_bytes
from runtime.agent import AgentCard, find_agent
from tests.fixtures.agent_runs import DEADLINE_S, PROJECT, SAMPLE, Run, child_pid, finish, is_running, run, start

QUESTIONS = PROJECT / "examples" / "sample.questions.jsonl"
ANSWER_KEYS = {"question", "answer", "abstained", "as_of_s", "citations", "latency_s", "backend",
               "confidence", "trace", "notice", "understood"}  # fmt: skip
CITATION_KEYS = {"source", "t0_s", "t1_s", "channel", "text", "id", "at"}


def rows(memory: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{memory / 'memory.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def contents(memory: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that is remembered, in an order of its own: not that of arrival."""
    return {
        "observations": rows(
            memory,
            "SELECT id, source, channel, t0_s, t1_s, text, data, trust FROM observations "
            "WHERE channel NOT IN ('question', 'answer') ORDER BY id",
        ),
        "spans": rows(memory, "SELECT id, source, level, t0_s, t1_s, text, parent, keyframe FROM spans ORDER BY id"),
    }


def wait_until_remembered(
    memory: Path, t_s: float, process: subprocess.Popen[str], tracks: tuple[str, ...] = ("video", "audio")
) -> None:
    """Until these tracks of the sample are in memory up to ``t_s``, while the agent runs."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, finish(process)
        try:
            watermarks = dict(rows(memory, "SELECT track, watermark_s FROM tracks"))
            if all(watermarks.get(track, -1.0) >= t_s for track in tracks):
                return
        except sqlite3.OperationalError:
            pass  # not made yet
        time.sleep(0.01)
    raise AssertionError(f"media time {t_s} was never reached")


def replay(memory: Path, *more: str | Path) -> Run:
    result = run("replay", SAMPLE, "--memory", memory, "--questions", QUESTIONS, "--json", *more)
    assert result.code == 0, result.err
    result.assert_nothing_left()
    return result


def essence(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs from run to run: how long it took."""
    return {key: value for key, value in answer.items() if key != "latency_s"}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """The sample replayed once with its questions, undisturbed."""
    memory = tmp_path_factory.mktemp("first") / "memory"
    return memory, replay(memory)


def test_every_question_gets_an_answer_of_the_documented_shape(first: tuple[Path, Run]) -> None:
    memory, result = first
    asked = [json.loads(line) for line in QUESTIONS.read_text().splitlines()]
    assert sorted(answer["question"] for answer in result.answers) == sorted(line["question"] for line in asked)
    at_s = {line["question"]: line.get("at_s") for line in asked}
    ids = {row[0] for row in rows(memory, "SELECT id FROM observations")}
    for answer in result.answers:
        assert set(answer) == ANSWER_KEYS
        assert set(answer["latency_s"]) == {"recall", "first_part", "total"}
        assert answer["abstained"] or answer["citations"]
        for citation in answer["citations"]:
            assert set(citation) == CITATION_KEYS
            assert citation["id"] in ids
            assert citation["t1_s"] <= answer["as_of_s"] + 0.001
        if at_s[answer["question"]] is not None:
            assert answer["as_of_s"] == pytest.approx(at_s[answer["question"]])


def test_standard_output_holds_answers_alone_without_control_codes(first: tuple[Path, Run]) -> None:
    _, result = first
    assert "\x1b" not in result.out + result.err
    assert all(line.startswith("{") for line in result.out.splitlines())


def test_a_second_replay_gives_the_same_memory_and_the_same_answers(first: tuple[Path, Run], tmp_path: Path) -> None:
    memory, result = first
    again = replay(tmp_path / "memory")
    assert contents(tmp_path / "memory") == contents(memory)
    assert [essence(answer) for answer in again.answers] == [essence(answer) for answer in result.answers]


def test_every_second_of_the_sample_is_in_a_span_or_a_gap(first: tuple[Path, Run]) -> None:
    memory, _ = first
    stretches = sorted(
        rows(memory, "SELECT t0_s, t1_s FROM spans WHERE level = 'event'")
        + rows(memory, "SELECT t0_s, t1_s FROM observations WHERE channel = 'gap'")
    )
    end_s = max(row[0] for row in rows(memory, "SELECT duration_s FROM sources"))
    covered_s = 0.0
    for t0_s, t1_s in stretches:
        assert t0_s <= covered_s + 0.05, f"nothing from {covered_s} to {t0_s}"
        covered_s = max(covered_s, t1_s)
    assert covered_s >= end_s - 0.2


@pytest.mark.parametrize("victim", ["video", "audio", "memory", "reasoning"])
def test_any_process_may_be_killed_and_what_came_before_is_answered_the_same(
    victim: str, first: tuple[Path, Run], tmp_path: Path
) -> None:
    memory = tmp_path / "memory"
    # Paced, so that the quicker of two perceiving processes has not ended before it is killed.
    process = start("replay", SAMPLE, "--memory", memory, "--questions", QUESTIONS, "--json", "--speed", "4")
    tracks = (victim,) if victim in ("video", "audio") else ("video", "audio")
    wait_until_remembered(memory, 20.0, process, tracks)
    pid = child_pid(memory, victim)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    result = finish(process)
    assert result.code == 0, result.err
    result.assert_nothing_left()
    assert f"{victim} died" in result.err
    assert f"{victim} is back" in result.err
    before = rows(first[0], "SELECT id, text FROM observations WHERE channel IN ('speech', 'text') AND t1_s < 19")
    assert before
    kept = dict(rows(memory, "SELECT id, text FROM observations"))
    assert [kept.get(id_) for id_, _ in before] == [text for _, text in before]
    expected = {a["question"]: a for a in first[1].answers}
    for answer in result.answers:
        if all(citation["t1_s"] < 19 for citation in expected[answer["question"]]["citations"]):
            assert essence(answer) == essence(expected[answer["question"]])
    ended = rows(memory, "SELECT count(*) FROM tracks WHERE ended IS NOT NULL AND ended != ''")
    assert ended == [(2,)]


def test_what_was_in_a_log_that_somebody_cut_is_perceived_again(first: tuple[Path, Run], tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    process = start("replay", SAMPLE, "--memory", memory, "--questions", QUESTIONS, "--json", "--speed", "4")
    wait_until_remembered(memory, 10.0, process)
    log = memory / "memory.db-wal"
    while not committed_bytes(log):
        time.sleep(0.001)
    os.truncate(log, 0)
    result = finish(process)
    assert result.code == 0, result.err
    result.assert_nothing_left()
    assert "cut or removed the log" in result.err
    assert "memory is back" in result.err
    select = "SELECT id, text FROM observations WHERE channel IN ('speech', 'text') AND t1_s < 9"
    assert set(rows(first[0], select)) <= set(rows(memory, select))
    covered_s = 0.0
    spans = "SELECT t0_s, t1_s FROM spans WHERE level='event' ORDER BY t0_s"
    for t0_s, t1_s in rows(memory, spans):
        assert t0_s <= covered_s
        covered_s = max(covered_s, t1_s)
    assert covered_s >= max(t1_s for _, t1_s in rows(first[0], spans)) - 0.5
    assert rows(memory, "SELECT count(*) FROM tracks WHERE ended='end'") == [(2,)]


def test_a_process_that_will_not_live_leaves_a_gap_and_the_rest_goes_on(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    (tmp_path / "once.yaml").write_text("supervisor: {restart_budget: 1}")
    options = ("--config", tmp_path / "once.yaml", "--ask", "what was said?", "--speed", "4")
    process = start("replay", SAMPLE, "--memory", memory, *options)
    wait_until_remembered(memory, 5.0, process, ("video",))
    killed: set[int] = set()
    while len(killed) < 2:
        pid = child_pid(memory, "video")
        if pid is not None and pid not in killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.01)
    result = finish(process)
    assert result.code == 0, result.err
    assert "I am blind from here on" in result.err
    result.assert_nothing_left()
    gaps = rows(memory, "SELECT t0_s, t1_s, text FROM observations WHERE channel = 'gap'")
    assert len(gaps) == 1
    t0_s, t1_s, text = gaps[0]
    assert t0_s >= 4.0
    assert t1_s > 60.0
    assert "blind" in text
    last_words = rows(memory, "SELECT max(t0_s) FROM observations WHERE channel = 'speech'")
    assert last_words[0][0] > 50.0
    resumed = replay(memory)
    assert "going on from there" in resumed.err
    assert rows(memory, "SELECT count(*) FROM observations WHERE channel = 'text' AND text LIKE '%THE END%'") == [(1,)]


def test_ctrl_c_stops_in_order_and_the_next_replay_goes_on_from_there(first: tuple[Path, Run], tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    # Slow enough not to be over before this test, on a busy machine, gets to interrupt it.
    process = start("replay", SAMPLE, "--memory", memory, "--ask", "what?", "--speed", "2")
    wait_until_remembered(memory, 15.0, process)
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130
    assert "goes on from there" in stopped.err and "Traceback" not in stopped.err
    stopped.assert_nothing_left()
    resumed = replay(memory)
    assert "going on from there" in resumed.err
    spoken = "SELECT text FROM observations WHERE channel = 'speech' ORDER BY t0_s"
    assert rows(memory, spoken) == rows(first[0], spoken)


def test_a_killed_command_leaves_no_process_and_its_memory_opens_again(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    process = start("replay", SAMPLE, "--memory", memory, "--ask", "what?")
    wait_until_remembered(memory, 10.0, process)
    pids = [child_pid(memory, name) for name in ("video", "audio", "memory", "reasoning")]
    process.kill()
    process.communicate()
    deadline_s = time.monotonic() + 30
    while any(pid is not None and is_running(pid) for pid in pids):
        assert time.monotonic() < deadline_s, "a process outlived its supervisor"
        time.sleep(0.05)
    # Its number is another process's now, as that of the first process of a container is at every start.
    left = msgspec.json.decode((memory / "agent.json").read_bytes(), type=AgentCard)
    Path(left.run_dir).mkdir(exist_ok=True)  # another agent may have cleared it away already
    (Path(left.run_dir) / "agent.lock").touch()
    (memory / "agent.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(left, pid=os.getpid())))
    assert find_agent(memory) is None
    assert run("status", "--memory", memory).code == 0
    assert not Path(left.run_dir).exists()
    assert rows(memory, "PRAGMA integrity_check") == [("ok",)]


def test_what_is_written_is_its_owners_alone_wherever_it_is_put(first: tuple[Path, Run], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert run("export", tmp_path / "all.zip", "--memory", first[0]).code == 0
    for path in (first[0] / "memory.db", first[0] / "standing.json", tmp_path / "all.zip"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_recording_already_remembered_is_not_perceived_again(first: tuple[Path, Run]) -> None:
    memory, result = first
    again = replay(memory)
    assert "in memory already" in again.err
    final = {a["question"]: essence(a) for a in result.answers}
    assert {a["question"]: essence(a) for a in again.answers} == final


def test_ask_search_and_status_work_on_what_is_remembered(first: tuple[Path, Run]) -> None:
    memory, _ = first
    asked = run("ask", "What was said?", "--memory", memory, "--json")
    assert asked.code == 0, asked.err
    assert set(asked.answers[0]) == ANSWER_KEYS
    words = rows(memory, "SELECT text FROM observations WHERE channel = 'speech' AND text != '' ORDER BY t0_s")
    found = run("search", words[0][0], "--memory", memory, "--json", "--limit", "3")
    assert found.code == 0, found.err
    hits = found.answers[0]
    assert set(hits) == {"query", "hits"}
    assert 1 <= len(hits["hits"]) <= 3
    assert set(hits["hits"][0]) == CITATION_KEYS - {"at"} | {"score"}
    assert hits["hits"][0]["text"] == words[0][0]
    explained = run("search", words[0][0], "--memory", memory, "--json", "--limit", "1", "--explain")
    assert explained.answers[0]["hits"][0]["why"]["exact"] == 1.0
    told = run("search", words[0][0], "--memory", memory, "--limit", "1", "--explain")
    assert "share of the question in its own words" in told.out
    status = run("status", "--memory", memory)
    assert status.code == 0
    assert "sample.mp4" in status.out
    assert "complete" in status.out


def test_the_chat_answers_over_a_pipe(first: tuple[Path, Run]) -> None:
    memory, _ = first
    lines = "/help\n/status\n/timeline\n/dance\nWhat was said?\n/quit\nnever asked\n"
    process = start("chat", "--memory", memory, stdin=subprocess.PIPE)
    out, err = process.communicate(lines, timeout=60)
    assert process.returncode == 0, err
    assert "/timeline" in out
    assert "sample.mp4" in out
    assert "unknown command /dance" in out
    assert "speech, sample.mp4" in out
    assert "never asked" not in out
