"""A sound file to words by the agent's own hearing."""

from __future__ import annotations

from pathlib import Path

import pytest

from perception.capture.clip import ClipOrder, Piece, cut
from perception.speech.transcribe_file import transcribe_file
from runtime.config import HearingConfig
from runtime.errors import MediaError
from tests.fixtures.agent_runs import SAMPLE
from tests.fixtures.drawn_recording import draw_recording

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


async def test_what_is_said_has_its_words_with_their_times(tmp_path: Path) -> None:
    spoken = tmp_path / "train.mp4"
    cut(ClipOrder(stretches=((24.5, 30.0),), out=str(spoken), pieces=(Piece(str(SAMPLE)),)))
    found = await transcribe_file(spoken, HearingConfig())
    (utterance,) = found.utterances
    assert "train" in utterance.text and "evening" in utterance.text
    assert found.duration_s == pytest.approx(5.5, abs=0.1)
    times = [t_s for word in utterance.words for t_s in (word.t0_s, word.t1_s)]
    assert times == sorted(times) and 0.0 <= times[0] < times[-1] <= 5.6


async def test_a_tone_has_no_words_and_a_text_file_no_sound(tmp_path: Path) -> None:
    tone = draw_recording(tmp_path / "tone.mp4", length_s=4, tone_s=(1.0, 2.0))
    assert [u.text for u in (await transcribe_file(tone, HearingConfig())).utterances if u.text] == []
    (tmp_path / "words.txt").write_text("hello")
    with pytest.raises(MediaError, match="not a media file"):
        await transcribe_file(tmp_path / "words.txt", HearingConfig())
