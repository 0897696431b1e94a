"""What a file holds is told; what cannot be perceived is refused in one line; every frame has its exact time."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from perception.capture.file import open_container, probe, video_stream
from perception.capture.file_video import FrameReader, Picture
from runtime.errors import MediaError
from tests.fixtures.agent_runs import SHARED_MEDIA
from tests.fixtures.drawn_clips import at_rate, plain, write_clip

INDEX = SHARED_MEDIA / "INDEX.json"
ODD = {e["file"]: e for e in json.loads(INDEX.read_text())["files"] if e["kind"] == "odd"} if INDEX.is_file() else {}
absent = pytest.mark.skipif(not ODD, reason="the annotated media are not on this machine (../shared/media)")

# file -> (displayed width, height, frames, time of the last frame, rotation counter-clockwise)
PICTURES: dict[str, tuple[int, int, int, float, int]] = {
    "odd/made/base_8s.mp4": (320, 180, 192, 7.958, 0),
    "odd/made/five_one_audio.mp4": (320, 180, 192, 7.958, 0),
    "odd/made/silent_audio.mp4": (320, 180, 192, 7.958, 0),
    "odd/made/video_only.mp4": (320, 180, 192, 7.958, 0),
    "odd/made/vfr.mp4": (320, 180, 96, 7.917, 0),
    "odd/made/fps1.mp4": (320, 180, 10, 9.0, 0),
    "odd/made/fps120.mp4": (320, 180, 240, 1.992, 0),
    "odd/made/one_frame.mp4": (320, 180, 1, 0.0, 0),
    "odd/made/odd_size_321x181.mp4": (321, 181, 48, 1.958, 0),
    "odd/made/tiny_16x16.mp4": (28, 16, 48, 1.958, 0),  # its pixels are 16:9
    "odd/made/hdr10_flagged_hevc10.mp4": (320, 180, 48, 1.958, 0),
    "odd/made/rotated_90_metadata.mp4": (180, 320, 192, 7.958, 90),
    "odd/made/negative_start.mkv": (320, 180, 192, 7.958, 0),
    "odd/made/animated.gif": (160, 90, 16, 1.88, 0),
    "odd/made/mjpeg_pcm.avi": (320, 180, 48, 1.958, 0),
    "odd/made/vp9_alpha_none_opus.webm": (320, 180, 72, 2.965, 0),
    "odd/made/freeze_10s.mp4": (320, 170, 102, 10.1, 0),
    "odd/made/ünïcode name 影片.mp4": (320, 180, 192, 7.958, 0),
    "odd/real/-moviepy-dash-name-.mp4": (1, 1, 5, 4.0, 0),
    "odd/real/minicpm_2x2_pixels.mp4": (2, 2, 150, 5.96, 0),
    "odd/real/decord_rot90.mov": (320, 568, 3, 0.067, 270),
    "odd/real/decord_rot180.mov": (568, 320, 3, 0.067, 180),
    "odd/real/decord_unordered.mov": (50, 50, 4, 0.094, 0),
    "odd/real/torchcodec_h264_10bits.mp4": (200, 200, 30, 0.967, 0),
    "odd/real/torchcodec_h265_10bits.mp4": (200, 200, 30, 0.967, 0),
    "odd/real/torchcodec_bt709_full_range.mp4": (1280, 720, 30, 0.967, 0),
    "odd/real/moviepy_no_duration.webm": (1280, 720, 74, 4.872, 0),
    "odd/real/moviepy_transparent.webm": (200, 200, 150, 4.967, 0),
    "odd/real/moviepy_failing_audio.mp4": (640, 360, 280, 11.16, 0),
    "odd/real/gradio_theora_in_mkv.mkv": (480, 270, 150, 4.967, 0),
    "odd/real/gradio_bad_video_sample.mp4": (50, 50, 15, 0.933, 0),
    "odd/real/gradio_mpeg4_mp3.avi": (480, 270, 150, 5.0, 0),
    "odd/real/ffmpegwasm_indeo4.avi": (256, 240, 35, 0.971, 0),
    "odd/real/sitkevij_minimal.mp4": (320, 240, 1, 0.0, 0),
}
REFUSED = {
    "odd/made/zero_length.mp4": "empty",
    "odd/made/text_named.mp4": "not a media file",
    "odd/made/truncated_no_moov.mp4": "moov",
    "odd/real/sitkevij_chunk_out_of_range.mp4": "damaged",
    "odd/real/sphinx_bad.wav": "not a media file",
    "odd/real/aeneas_invalid.wav": "not a media file",
    "odd/real/azure_missing_wav_header.wav": "not a media file",
}


def frames_of(path: Path | str, **kwargs: object) -> tuple[list[Picture], FrameReader]:
    with open_container(path) as container:
        stream = video_stream(container)
        assert stream is not None
        reader = FrameReader(container, stream, **kwargs)  # type: ignore[arg-type]
        return list(reader), reader


@absent
@pytest.mark.parametrize("name", sorted(ODD))
def test_every_odd_file_is_either_told_or_refused_in_one_line(name: str) -> None:
    path = SHARED_MEDIA / name
    if name in REFUSED:
        with pytest.raises(MediaError) as refused:
            probe(path)
        message = str(refused.value)
        assert REFUSED[name] in message
        assert str(path) in message
        assert "\n" not in message
        return
    info = probe(path)
    streams = [str(words).split()[0] for words in ODD[name]["ffprobe"]["streams"]]
    assert (info.has_video, info.has_audio) == ("video" in streams, "audio" in streams)
    assert info.has_video == (name in PICTURES)
    assert ("no picture" in info.missing) == (not info.has_video)
    assert ("no audio track" in info.missing) == (not info.has_audio)
    duration = ODD[name]["ffprobe"]["duration"]
    if duration is None:
        assert info.duration_s is None
    else:
        assert info.duration_s == pytest.approx(float(duration), abs=0.15)


@absent
@pytest.mark.parametrize("name", sorted(PICTURES))
def test_every_frame_is_decoded_with_its_time_and_upright(name: str) -> None:
    width, height, count, last_s, rotation = PICTURES[name]
    path = SHARED_MEDIA / name
    info = probe(path)
    assert (info.width, info.height, info.rotation) == (width, height, rotation)
    pictures, reader = frames_of(path)
    times = [picture.t_s for picture in pictures]
    assert len(times) == count
    assert times[-1] == pytest.approx(last_s, abs=0.001)
    assert times == sorted(set(times))
    assert pictures[0].bgr().shape == (height, width, 3)
    assert max(pictures[0].luma.shape) == min(320, max(width, height))
    assert pictures[0].luma.shape[0] / pictures[0].luma.shape[1] == pytest.approx(height / width, rel=0.02)
    assert reader.reason == "end"
    assert not any(picture.lost_s for picture in pictures)


@absent
def test_ten_bit_luma_agrees_with_the_converted_picture() -> None:
    pictures, _ = frames_of(SHARED_MEDIA / "odd/real/torchcodec_h264_10bits.mp4")
    grey = pictures[3].bgr().astype(float).mean()
    assert pictures[3].luma.astype(float).mean() == pytest.approx(grey, abs=20)


def test_a_missing_file_a_directory_and_a_device_are_refused(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.mp4", "no such file"),
        (tmp_path, "directory"),
        ("/dev/null", "regular file"),
    ):
        with pytest.raises(MediaError, match=words):
            probe(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "secret.mp4", at_rate(10, 1, lambda t: plain((0, 0, 200))))
    path.chmod(0)
    with pytest.raises(MediaError, match="permission"):
        probe(path)


def test_a_playlist_is_no_recording(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", at_rate(10, 1, lambda t: plain((0, 0, 200))))
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        probe(playlist)


def test_names_with_dashes_colons_and_spaces_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "clip.mp4", at_rate(10, 1, lambda t: plain((0, 0, 200))))
    monkeypatch.chdir(tmp_path)
    for name in ("-dash.mp4", "http:it is.mp4", "-i  spaces.mp4", "电影.mp4"):
        shutil.copy(clip, name)
        assert probe(name).has_video, name
        assert len(frames_of(name)[0]) == 10


def test_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.5, 0.52, 2.0, 5.25]
    path = write_clip(tmp_path / "vfr.mp4", [(t, plain((20, int(40 * t), 100))) for t in times])
    assert [picture.t_s for picture in frames_of(path)[0]] == times


def test_media_time_begins_where_the_container_begins(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "late.ts", [(3 + k / 10, plain((0, 9 * k, 100))) for k in range(10)])
    times = [picture.t_s for picture in frames_of(path)[0]]
    assert times[0] == 0.0
    assert np.diff(times) == pytest.approx([0.1] * 9, abs=0.002)


def test_a_cut_off_file_is_decoded_up_to_the_break(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    noise = [random.integers(0, 255, (240, 320, 3), dtype=np.uint8) for _ in range(80)]
    path = write_clip(
        tmp_path / "whole.mp4", [(k / 10, noise[k]) for k in range(80)], container_options={"movflags": "faststart"}
    )
    whole = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    pictures, reader = frames_of(cut)
    assert 20 <= len(pictures) < 60
    assert "breaks off" in reader.reason or "damaged" in reader.reason
    assert reader.end_s == pytest.approx(pictures[-1].t_s + 0.1, abs=0.15)


def test_damage_in_the_middle_is_decoded_through_and_the_hole_is_told(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    noise = [random.integers(0, 255, (240, 320, 3), dtype=np.uint8) for _ in range(80)]
    path = write_clip(tmp_path / "whole.avi", [(k / 10, noise[k]) for k in range(80)], codec="png", pixels="rgb24")
    whole = bytearray(path.read_bytes())
    start, end = len(whole) // 3, len(whole) * 2 // 3
    # Picture data only: the chunk headers between the pictures stay.
    at = whole.find(b"00dc", start)
    while 0 <= at < end:
        length = int.from_bytes(whole[at + 4 : at + 8], "little")
        whole[at + 8 : at + 8 + length] = bytes(length)
        at = whole.find(b"00dc", at + 8 + length)
    path.write_bytes(whole)
    pictures, reader = frames_of(path)
    lost = [picture for picture in pictures if picture.lost_s]
    assert len(lost) == 1
    assert lost[0].lost_s > 2.0
    assert pictures[-1].t_s == pytest.approx(7.9, abs=0.01)
    assert reader.reason == "end"


def test_private_regions_are_blank_in_everything_that_comes_out(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "private.mp4", at_rate(10, 0.5, lambda t: plain((200, 200, 200))))
    pictures, _ = frames_of(path, mask=[(0.5, 0.0, 0.25, 0.5)])
    for image in (pictures[0].luma, pictures[0].bgr()):
        rows, columns = image.shape[:2]
        assert not image[: rows // 2, columns // 2 : columns * 3 // 4].any()
        assert (image[:, : columns // 2] > 150).all()


def test_a_recording_knows_itself_by_its_content(tmp_path: Path) -> None:
    one = write_clip(tmp_path / "one.mp4", at_rate(10, 1, lambda t: plain((0, 0, 200))))
    other = write_clip(tmp_path / "other.mp4", at_rate(10, 1, lambda t: plain((0, 200, 0))))
    copy = shutil.copy(one, tmp_path / "copy.mp4")
    assert probe(one).fingerprint == probe(copy).fingerprint != probe(other).fingerprint
