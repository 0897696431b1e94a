"""Private regions in footage that was kept before they were private: each file is encoded anew with them black.

Beside everything else, on what the cores have left; what cannot be decoded is deleted, for nobody can blank it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from av.error import FFmpegError

from perception.capture.clip import ClipOrder, Piece, cut
from runtime.errors import MediaError
from runtime.footage import PART, Segment, blanked_in, note_blanked, segments
from runtime.sources import Rect, session_of

# Of the least importance to the scheduler.
_NICE = 19


class BlankFootage:
    """Blanks what is kept of a source, all its sessions, whenever regions become private.

    lock  is held while a file takes another's place.
    """

    def __init__(self, root: Path, label: str, lock: threading.Lock, log: Any) -> None:
        self._root = root
        self._label = label
        self._lock = lock
        self._log = log
        self._wanted: frozenset[Rect] = frozenset()
        # Held while it is decided whether a thread is at work that takes what is wanted along.
        self._deciding = threading.Lock()
        self._worker = threading.Thread()
        self._is_working = False

    def want(self, mask: Sequence[Rect]) -> None:
        """Have these regions be black in everything that is finished by now, in a thread of its own."""
        with self._deciding:
            self._wanted |= frozenset(mask)
            if self._wanted and not (self._is_working and self._worker.is_alive()):
                self._is_working = True
                self._worker = threading.Thread(target=self._work, name="blank-footage", daemon=True)
                self._worker.start()

    def join(self) -> None:
        """Wait until all that is wanted is done."""
        if self._worker.ident is not None:
            self._worker.join()

    def _work(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        done: frozenset[Rect] = frozenset()
        while True:
            with self._deciding:
                if done == self._wanted:
                    self._is_working = False
                    return
                done = self._wanted
            for folder in sorted(self._root.iterdir(), reverse=True) if self._root.is_dir() else ():
                if session_of(folder.name)[0] == self._label:
                    self._blank_session(folder, done)

    def _blank_session(self, folder: Path, wanted: frozenset[Rect]) -> None:
        already = blanked_in(folder)
        if wanted <= already:
            return
        for left in folder.glob(f"*{PART}"):  # of a process that died
            left.unlink(missing_ok=True)
        for segment in segments(self._root, folder.name):
            if not segment.is_open:
                self._blank(segment, tuple(sorted(wanted)))
        with suppress(OSError):
            note_blanked(folder, tuple(already | wanted))

    def _blank(self, segment: Segment, mask: tuple[Rect, ...]) -> None:
        path, new = segment.path, segment.path.with_suffix(PART)
        order = ClipOrder(
            stretches=((segment.t0_s, segment.t1_s),),
            out=str(new),
            pieces=(Piece(str(path), segment.t0_s),),
            mask=mask,
            container="matroska",
        )
        try:
            cut(order)
            kept = path.stat()
            os.utime(new, (kept.st_atime, kept.st_mtime))
        except FileNotFoundError:  # it was erased or given up meanwhile
            new.unlink(missing_ok=True)
            return
        except (MediaError, FFmpegError, OSError) as error:
            new.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            self._log.warning("footage of %s that could not be blanked was deleted: %s", self._label, error)
            return
        with self._lock:
            if path.exists():
                new.replace(path)
            else:
                new.unlink(missing_ok=True)
