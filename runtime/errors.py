"""The error tree.

MindstreamError
├── UserError             a person can mend it: one clear line, exit code 2, never a traceback
│   ├── ConfigError       a profile or a key in it is wrong
│   ├── MediaError        a file or a device cannot be perceived
│   └── StoreError        a memory folder cannot be opened or written
├── CallError             a call between processes did not give an answer
│   ├── DeadlineExceeded  the answer did not come in time
│   ├── CallCancelled     the caller, or an interruption, gave it up
│   └── RemoteError       the callee failed; carries its one-line account
├── DecodeError           bytes from a socket or a recording are no message of ours
└── ProcessFailed         a required process is out of its restart budget

Anything else that is raised is a bug and gets its traceback.
"""

from __future__ import annotations


class MindstreamError(Exception):
    """Root of every error this project raises on purpose."""


class UserError(MindstreamError):
    """A mistake the user can mend. The message says what is wrong, where, and what to do."""

    exit_code = 2


class ConfigError(UserError):
    """A profile, or a key or value in it, is wrong."""


class MediaError(UserError):
    """A file or a device cannot be perceived (missing, not media, no permission, ...)."""


class StoreError(UserError):
    """A memory folder cannot be opened or written (newer schema, damaged, read-only, in use, ...)."""


class CallError(MindstreamError):
    """A call between processes did not give an answer."""


class DeadlineExceeded(CallError):
    """No answer came before the call's deadline."""


class CallCancelled(CallError):
    """The call was given up by its caller or by an interruption."""


class RemoteError(CallError):
    """The callee failed. ``kind`` is the name of the error raised there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class DecodeError(MindstreamError):
    """Bytes from a socket or a recording are not a message of ours."""


class ProcessFailed(MindstreamError):
    """A required process is out of its restart budget; the agent stops with exit code 1."""

    exit_code = 1
