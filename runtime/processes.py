"""The process table: what runs, in which order it starts, and what its failure means.

Processes are known here by dotted name only. They start in the order of the table and stop in the
reverse: sources first, memory last. Of a role that perceives there may be several members, one for each
source, named "ROLE:LABEL".
"""

from __future__ import annotations

from msgspec import Struct

from runtime.bus import Member
from runtime.messages import TRACKS


class ProcessRow(Struct, frozen=True):
    """One role. A required process out of its restart budget stops the agent; an optional one blinds or
    deafens it, and it says so: ``lost``, or ``lost_source`` where it was one source's of several."""

    role: str
    main: str
    required: bool
    lost: str
    lost_source: str = ""

    def loss(self, name: str) -> str:
        """What the loss of the member called ``name`` means."""
        label = label_of(name)
        return f"{label} {self.lost_source}" if label else self.lost


# The module whose ``probe(path)`` says what a media file holds, or raises one clear line.
PROBE = "perception.capture.file"
FINGERPRINT = "perception.capture.fingerprint"
# The module whose ``prepare(vision)`` derives what the profile's picture encoder needs, and says what it is.
PREPARE = "perception.clip.files"
# The module whose ``prepare(hearing)`` derives what the profile's speech recogniser needs, and says what it is.
PREPARE_HEARING = "perception.speech.models"
# The module whose ``configured_space(vision)`` names the vector space of the profile's picture encoder.
SPACES = "perception.clip.spaces"
# The module whose ``load_redescriber(perception)`` gives the stage that describes remembered pictures anew.
REDESCRIBE = "perception.vision.redescribe"
# The module whose ``spaces_in(folder)`` tells what a stored memory holds of each vector space.
STORED = "memory.store.reader"
# The module whose ``unfold(path, sources, observations, erasures)`` writes an archive of what a memory told of itself.
UNFOLD = "memory.archive.unfold"
# Repair, restore and encryption work on a folder that no agent has open.
REPAIR, BACKUP, ENCRYPTION = "memory.upkeep.repair", "memory.upkeep.backup", "memory.upkeep.encryption"
# The module whose ``examine(reasoning)`` says by what answers are composed here.
ANSWERS = "reasoning.backends"
# The module whose ``cut(order)`` makes a playable clip of a stretch of a source.
CLIPS = "perception.capture.clip"
# The module whose ``transcribe_file(path, hearing)`` gives the words of a sound file.
TRANSCRIBE = "perception.speech.transcribe_file"
# The module whose ``embed_picture(vision, data)`` gives the vector of a picture.
LIKENESS = "perception.vision.likeness"
# The module whose ``load_detector(vision, threads)`` gives what names things, or says why it cannot.
DETECT = "perception.vision.detector"
# The module that tells which cameras and microphones there are.
DEVICES = "perception.capture.devices"

_PERCEPTION = "perception.processes"

PROCESSES: dict[str, ProcessRow] = {
    row.role: row
    for row in (
        ProcessRow("memory", "memory.process:main", True, "nothing can be remembered"),
        # Of many memories seen as one: the memory of what was talked about, and what is called in the place of memory.
        ProcessRow("talk", "memory.process:main", True, "no conversation can be remembered"),
        ProcessRow("sites", "runtime.sites.mind:main", True, "no site can be asked"),
        ProcessRow("reasoning", "reasoning.process:main", True, "no question can be answered"),
        ProcessRow(
            "embedding", "perception.processes.embed_text:main", False, "pictures are found by words alone from here on"
        ),
        ProcessRow("gateway", "runtime.sites.gateway:main", False, "this site is not joined to others from here on"),
        ProcessRow("server", "runtime.interfaces.web.process:main", False, "no page and no API from here on"),
        ProcessRow(
            "video", "perception.processes.watch:main", False, "I am blind from here on", "is not seen from here on"
        ),
        ProcessRow(
            "audio", "perception.processes.listen:main", False, "I am deaf from here on", "is not heard from here on"
        ),
    )
}

# The longest name of a member; it is part of socket paths, whose length is limited.
NAME_MAX = 32

# The members that every agent has; those of an agent of many memories instead; the one that joins it to others; and
# the one whose model turns questions into vectors.
CORE = tuple(Member(name=role, role=role) for role in ("memory", "reasoning"))
MIND = (
    Member(name="memory", role="sites"),
    Member(name="talk", role="talk"),
    Member(name="reasoning", role="reasoning"),
)
GATEWAY = Member(name="gateway", role="gateway")
EMBEDDING = Member(name="embedding", role="embedding")
# The member that serves the page, the API and MCP; only where that is asked for.
SERVER = Member(name="server", role="server")

# Recordings are perceived one after another by one process for each track.
FILE_PERCEIVERS = tuple(Member(name=track, role=track) for track in TRACKS)


def member(role: str, label: str) -> Member:
    """The process that perceives the source called ``label``."""
    name = f"{role}:{label}"
    assert len(name.encode()) <= NAME_MAX
    return Member(name=name, role=role)


def label_of(name: str) -> str:
    """The label in a member's name; "" where it is the only one of its role."""
    return name.partition(":")[2]
