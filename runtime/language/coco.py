"""The names of COCO (Lin et al., "Microsoft COCO", 2014): what most detectors of things are trained to tell apart."""

from __future__ import annotations

from runtime.language.vocabulary import Vocabulary

# By COCO's own numbers from 0, of which eleven were never used ("" here).
_NUMBERED = """
    ,person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,stop sign,parking meter,
    bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,,backpack,umbrella,,,handbag,tie,suitcase,frisbee,
    skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,
    cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,
    potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,
    refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,toothbrush
"""
NUMBERED = tuple(label.strip() for label in _NUMBERED.replace("\n", " ").split(","))
LABELS = tuple(label for label in NUMBERED if label)

# What a source says of itself under "things" in its `encoders`, where it names these. Not the names themselves: what
# is forgotten must stand nowhere in memory.
COCO = "COCO"


def names_of(things: str, vocabulary: Vocabulary) -> frozenset[str] | None:
    """The names that a source can give things, by what it says of itself; None where that is not known."""
    if things != COCO:
        return None
    return frozenset(vocabulary.name_of(label) or label for label in LABELS)
