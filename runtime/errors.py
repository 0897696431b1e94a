"""The error tree.

MindstreamError
├── UserError             a person can mend it: one clear line, exit code 2, never a traceback
│   ├── ConfigError       a profile or a key in it is wrong
│   ├── MediaError        a file or a device cannot be perceived
│   ├── WeightsError      a model's weights are absent, damaged or of another model
│   └── StoreError        a memory folder cannot be opened or written
├── CallError             a call between processes did not give an answer
│   ├── DeadlineExceeded  the answer did not come in time
│   ├── CallCancelled     the caller, or an interruption, gave it up
│   └── RemoteError       the callee failed; carries its one-line account
├── ModelError            a language model gave no answer
│   ├── ContextTooLong    the prompt does not fit into it
│   └── InputRefused      it takes no images, or no tools
├── DecodeError           bytes from a socket or a recording are no message of ours
├── RestartNeeded         a process cannot go on from what it holds; the next one can
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


class NoSoundError(MediaError):
    """A file holds no sound that can be decoded."""


class WeightsError(UserError):
    """Weights of a model are absent, damaged, of another model, or cannot be fetched."""


class StoreError(UserError):
    """A memory folder cannot be opened or written (newer schema, damaged, read-only, in use, ...)."""


_USER_ERRORS = {error.__name__ for error in (UserError, ConfigError, MediaError, WeightsError, StoreError)}


class CallError(MindstreamError):
    """A call between processes did not give an answer."""


class DeadlineExceeded(CallError):
    """No answer came before the call's deadline."""


class CallCancelled(CallError):
    """The call was given up by its caller or by an interruption."""


class RemoteError(CallError):
    """The callee failed. ``kind`` is the name of the error raised there; a user's mistake is one here too."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        if kind in _USER_ERRORS:
            self.exit_code = UserError.exit_code


class ModelError(MindstreamError):
    """A language model gave no answer, or it broke off. ``retry_after_s``: when to ask again, None if in vain."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ContextTooLong(ModelError):
    """The prompt does not fit into the model's context. ``limit_tokens`` where it said how much does."""

    def __init__(self, message: str, limit_tokens: int | None = None) -> None:
        super().__init__(message)
        self.limit_tokens = limit_tokens


class InputRefused(ModelError):
    """The model takes no input of this kind: "images" or "tools"."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class TooManyPictures(ModelError):
    """The model takes no more than ``most`` pictures at once, 1 or more."""

    def __init__(self, message: str, most: int) -> None:
        super().__init__(message)
        self.most = most


class OutOfTokens(ModelError):
    """The model thought aloud until its reply had no room left, and said nothing."""


class DecodeError(MindstreamError):
    """Bytes from a socket or a recording are not a message of ours."""


class RestartNeeded(MindstreamError):
    """What a process holds is not what is durable any more; it ends, and the next goes on from what is."""

    exit_code = 3


class ProcessFailed(MindstreamError):
    """A required process is out of its restart budget; the agent stops with exit code 1."""

    exit_code = 1


def root_cause(error: BaseException) -> BaseException:
    """The error inside the groups of task groups that counts: the user's if there is one, else one of ours, else the
    first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [root_cause(inner) for inner in error.exceptions]
    for kind in (UserError, MindstreamError):
        for cause in causes:
            if isinstance(cause, kind):
                return cause
    return causes[0]
