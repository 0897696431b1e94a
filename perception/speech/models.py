"""Which Whisper a profile names, where its files are, and how they are loaded without a second copy on disk.

The profile gives a size of the table of weights ("base"), a folder that faster-whisper or CTranslate2 reads, a Hugging
Face repository in its cache, or a checkpoint of openai-whisper (`conversion`).
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from perception.speech.recogniser import Recogniser
from perception.speech.whisper import Whisper
from runtime import program
from runtime.config import HearingConfig
from runtime.errors import ConfigError, WeightsError
from runtime.weights.known import absent, locate_repository, located
from runtime.weights.table import WEIGHTS

_SIZE = "whisper/"
_OPENAI = "openai-whisper/"
_MODEL = "model.bin"
# Arithmetic on a processor: 8 bits hear what 32 do in half of the time (benchmarks/hearing.py), and on a GPU 16.
_CPU, _GPU = "int8", "float16"


class WhisperFiles(Struct, frozen=True):
    """A Whisper model that is here.

    name      what it is called where it is told of ("whisper base").
    files     what each of its files consists of: parts that joined are its content.
    verified  whether these are the bytes of the table of weights.
    """

    name: str
    files: dict[str, tuple[Path, ...]]
    verified: bool = False


def find_whisper(config: HearingConfig) -> WhisperFiles:
    """The model that the profile names.

    Raises:
        WeightsError: it is one of the table and is not on this machine.
        ConfigError: it is nothing that could be meant, or of no use for this profile; one line.
    """
    wanted = config.whisper
    if f"{_SIZE}{wanted}" in WEIGHTS:
        files = _of_table(wanted)
    elif (path := Path(wanted).expanduser()).is_dir():
        files = _of_folder(path, wanted)
    elif path.is_file() and path.suffix == ".pt":
        files = _of_checkpoint(path)
    elif wanted.count("/") == 1 and not wanted.startswith((".", "~", "/")):
        files = _of_repository(wanted)
    else:
        sizes = ", ".join(sorted(row.removeprefix(_SIZE) for row in WEIGHTS if row.startswith(_SIZE)))
        raise ConfigError(
            f"perception.hearing.whisper: {wanted!r} is no size ({sizes}), no folder or .pt file that there is, and no "
            "Hugging Face repository (owner/name)"
        )
    check_language(config.language, files)
    return files


def _of_table(size: str) -> WhisperFiles:
    found = located(f"{_SIZE}{size}")
    if found is not None:
        return WhisperFiles(f"whisper {size}", {one.file.name: one.parts for one in found}, verified=True)
    if f"{_OPENAI}{size}" in WEIGHTS and (openai := located(f"{_OPENAI}{size}")) is not None:
        return _of_checkpoint(openai[0].parts[0])
    raise WeightsError(f"perception.hearing.whisper: {absent(f'{_SIZE}{size}')}")


def _of_folder(folder: Path, called: str) -> WhisperFiles:
    if not (folder / _MODEL).is_file():
        raise ConfigError(
            f"perception.hearing.whisper: {called} holds no {_MODEL}: it is no model for faster-whisper or CTranslate2"
        )
    files: dict[str, tuple[Path, ...]] = {path.name: (path,) for path in sorted(folder.iterdir()) if path.is_file()}
    if not {"vocabulary.txt", "vocabulary.json"} & set(files) or "config.json" not in files:
        raise ConfigError(f"perception.hearing.whisper: {called} lacks config.json or a vocabulary beside its {_MODEL}")
    return WhisperFiles(f"whisper {called.rstrip('/').rsplit('/', 1)[-1]}", files)


def _of_repository(repo: str) -> WhisperFiles:
    folder = locate_repository(repo, _MODEL)
    if folder is None:
        raise ConfigError(
            f"perception.hearing.whisper: {repo} is not in Hugging Face's cache on this machine, or no model for "
            f"CTranslate2; run `{program.name()} setup` with this profile to fetch it"
        )
    return _of_folder(folder, repo)


def _of_checkpoint(path: Path) -> WhisperFiles:
    from perception.speech.conversion import converted

    return _of_folder(converted(path), str(path.with_suffix("")))


def choose_recogniser(config: HearingConfig, threads: int) -> Recogniser:
    """The recogniser that the profile asks for, not loaded yet. Where it asks for nothing but the default, and that is
    not here, there is none, and the recogniser says why.

    Of ``threads`` one is left to hearing. Base takes a quarter more processor time on two than on one, and no less time
    while the other core has work.

    Raises:
        ConfigError: what was asked for cannot be had.
    """
    if not config.transcribe:
        return Recogniser("none", None)
    try:
        files = find_whisper(config)
    except WeightsError as error:
        if config.whisper != HearingConfig().whisper:
            raise ConfigError(str(error)) from error
        return Recogniser("none", None, f"what is said is not understood: {error}")
    return Recogniser(files.name, functools.partial(load_whisper, files, config.language, max(1, threads - 1)))


def check_language(language: str, files: WhisperFiles) -> None:
    """
    Raises:
        ConfigError: there is no such language, or the model knows English only.
    """
    if not language:
        return
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    if language not in _LANGUAGE_CODES:
        raise ConfigError(
            f"perception.hearing.language: {language!r} is no code of a language Whisper knows (en, de, ...)"
        )
    if language != "en" and not is_multilingual(files):
        raise ConfigError(f"perception.hearing.language: {language}, but {files.name} knows English only")


def is_multilingual(files: WhisperFiles) -> bool:
    """Whether a model knows more than English: then its configuration lists the tokens of languages."""
    try:
        config = json.loads(files.files["config.json"][0].read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{files.files['config.json'][0]}: cannot be read as a model's configuration") from error
    return len(config.get("lang_ids") or ()) > 1


def load_whisper(files: WhisperFiles, language: str, threads: int) -> Whisper:
    """The model, loaded: half a second for base.

    Raises:
        ConfigError: its files are damaged, or of another network; one line.
    """
    import ctranslate2
    from faster_whisper import WhisperModel

    gpu = ctranslate2.get_cuda_device_count() > 0
    try:
        with tempfile.TemporaryDirectory(prefix="mindstream-whisper-") as folder:
            held = _lay_out(files.files, Path(folder))
            try:
                model: Any = WhisperModel(
                    folder,
                    device="cuda" if gpu else "cpu",
                    compute_type=_GPU if gpu else _CPU,
                    cpu_threads=threads,
                )
            finally:
                for number in held:
                    os.close(number)
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"perception.hearing.whisper: {files.name} cannot be loaded: damaged, or no Whisper ({reason})"
        ) from error
    return Whisper(model, files.name, language)


def _lay_out(files: Mapping[str, tuple[Path, ...]], folder: Path) -> list[int]:
    """Links to the files in ``folder``, and the descriptors that must stay open while it is read: what is in parts
    is joined in memory, so that it needs no place on disk, and no memory once it is loaded."""
    held: list[int] = []
    for name, parts in files.items():
        if len(parts) == 1:
            (folder / name).symlink_to(parts[0].resolve())
            continue
        number = os.memfd_create(name)
        held.append(number)
        for part in parts:
            with open(part, "rb") as source:
                left = os.fstat(source.fileno()).st_size
                while left > 0:
                    left -= os.sendfile(number, source.fileno(), None, left)
        (folder / name).symlink_to(f"/proc/self/fd/{number}")
    return held


def prepare(config: HearingConfig) -> str:
    """Derive now what the first start would have to, and see that it loads; what there is then, in one line.

    Raises:
        ConfigError, WeightsError: see `find_whisper` and `load_whisper`.
    """
    files = find_whisper(config)
    load_whisper(files, config.language, 1)
    return f"{files.name}: loaded"
