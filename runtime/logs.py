"""Logs: JSON lines in the run directory, one file a process; short human lines on the terminal."""

from __future__ import annotations

import json
import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

from runtime.addresses import without_credentials
from runtime.printable import printable

MAX_BYTES = 4 << 20
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class _JsonLines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "t": round(record.created, 3),
            "process": self.process,
            "level": record.levelname.lower(),
            "message": without_credentials(record.getMessage()),
        }
        line.update({k: v for k, v in record.__dict__.items() if k not in _STANDARD})
        if record.exc_info:
            line["traceback"] = without_credentials(self.formatException(record.exc_info))
        return printable(json.dumps(line, ensure_ascii=False, default=str))


class _HumanLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{clock} {record.name}: {without_credentials(record.getMessage())}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return printable(line)


def open_log(process: str, run_dir: Path | None, level: str = "info", terminal: bool = False) -> logging.Logger:
    """The logger of this process: JSON lines to ``run_dir/process.log`` (at most 2 x 4 MiB), and with
    ``terminal`` human lines of warnings and worse to standard error."""
    logger = logging.getLogger(process)
    logger.setLevel(level.upper())
    logger.propagate = False
    logger.handlers.clear()
    if run_dir is not None:
        to_file = RotatingFileHandler(run_dir / f"{process}.log", maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8")
        to_file.setFormatter(_JsonLines(process))
        logger.addHandler(to_file)
    if terminal:
        to_terminal = logging.StreamHandler(sys.stderr)
        to_terminal.setLevel(logging.WARNING)
        to_terminal.setFormatter(_HumanLines())
        logger.addHandler(to_terminal)
    return logger
