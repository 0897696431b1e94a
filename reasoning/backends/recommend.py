"""Which model suits this machine, by its memory, and the one command that gets it."""

from __future__ import annotations

import platform
import shutil
import subprocess

import psutil
from msgspec import Struct

_GIB = 1 << 30
# A processor reads a prompt with pictures at some tens of tokens a second: beyond this size nobody waits for it.
CPU_LARGEST_BILLIONS = 3.0
# What the system and the agent itself need beside a model.
BESIDE_GIB = 4.0
# Of memory that processor and GPU share, the part a GPU may use.
SHARED_PART = 0.7
QUERY_S = 5.0


class Suggestion(Struct, frozen=True):
    """A model that sees, as Ollama calls it; ``needs_gib`` with 16,000 tokens of context, ``size_gb`` to fetch."""

    name: str
    billions: float
    size_gb: float
    needs_gib: float


# Sizes as Ollama states them (4-bit weights), and a third more for context and pictures.
MODELS = (
    Suggestion("qwen2.5vl:72b", 72.0, 49.0, 64.0),
    Suggestion("qwen2.5vl:32b", 32.0, 21.0, 28.0),
    Suggestion("qwen2.5vl:7b", 7.0, 6.0, 9.0),
    Suggestion("qwen2.5vl:3b", 3.0, 3.2, 5.0),
)


class Machine(Struct, frozen=True):
    """What of a machine a model can use: memory for one, in GiB, of a GPU or of the processor."""

    gib: float
    has_gpu: bool


def this_machine() -> Machine:
    """Asks the driver of an NVIDIA GPU, which takes a tenth of a second; on a Mac memory is shared."""
    memory = psutil.virtual_memory().total / _GIB
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Machine(SHARED_PART * memory, True)
    if gpu := _gpu_gib():
        return Machine(gpu, True)
    return Machine(memory - BESIDE_GIB, False)


def suggest(machine: Machine) -> Suggestion | None:
    """The largest model that fits, and that answers while somebody waits; None where none does."""
    fitting = (m for m in MODELS if m.needs_gib <= machine.gib)
    return next((m for m in fitting if machine.has_gpu or m.billions <= CPU_LARGEST_BILLIONS), None)


def recommend(machine: Machine) -> str:
    """In one line what to do for a model, and what can be had until then."""
    until = (
        "until then answers are quoted from what was heard, read and seen by name, and nothing is described or"
        " concluded from pictures"
    )
    model = suggest(machine)
    if model is None:
        return (
            f"no model that sees fits here ({max(0.0, machine.gib):.0f} GiB free for one); name one elsewhere with"
            f" reasoning.model.base_url; {until}"
        )
    slow = (
        "" if machine.has_gpu else "; without a GPU an answer takes a minute or more: set reasoning.deadline_s to 180"
    )
    return (
        f"with Ollama installed, `ollama pull {model.name}` ({model.size_gb:g} GB) gets a model that looks at pictures"
        f" and fits this machine; it is found by itself{'' if machine.has_gpu else slow}; {until}"
    )


def _gpu_gib() -> float:
    """Memory of the largest NVIDIA GPU; 0 where there is none."""
    if (driver := shutil.which("nvidia-smi")) is None:
        return 0.0
    try:
        told = subprocess.run(
            [driver, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=QUERY_S, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return 0.0
    return max((float(line) / 1024 for line in told.split() if line.isdigit()), default=0.0)
