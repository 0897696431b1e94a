"""The vocabulary tells which thing a word stands for, whoever uses the word."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import ConfigError
from runtime.language.vocabulary import Vocabulary, load_vocabulary

COCO = """
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
    surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
    broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv,
    laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase,
    scissors, teddy bear, hair drier, toothbrush
"""


def vocabulary(tmp_path: Path, text: str) -> Vocabulary:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_vocabulary(str(path))


def test_every_name_of_coco_is_a_thing_of_the_shipped_vocabulary() -> None:
    shipped = load_vocabulary()
    names = [name.strip() for name in COCO.split(",")]
    assert len(names) == 80
    assert [name for name in names if shipped.name_of(name) is None] == []


@pytest.mark.parametrize(
    ("word", "things"),
    [
        ("Couch", ("sofa",)),
        ("automobiles", ("car",)),
        ("mugs", ("cup",)),
        ("women", ("person",)),
        ("cell-phone", ("phone",)),
        ("glass", ("glass",)),
        ("glasses", ("glasses",)),
        ("unicorn", ()),
    ],
)
def test_a_word_stands_for_a_thing_by_any_of_its_synonyms(word: str, things: tuple[str, ...]) -> None:
    assert load_vocabulary().things_of(word) == things


def test_a_kind_stands_for_all_that_are_of_it() -> None:
    assert {"dog", "cat", "cow", "bird"} <= set(load_vocabulary().things_of("animals"))
    assert {"car", "truck", "bicycle"} <= set(load_vocabulary().things_of("vehicle"))


def test_what_gets_about_by_itself_is_known_by_its_kind() -> None:
    shipped = load_vocabulary()
    assert [name for name in ("person", "dog", "car", "cup", "phone", "table") if shipped.moves(name)] == [
        "person", "dog", "car",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tags: {a: {descriptions: [x], synonyms: [c]}, b: {descriptions: [x], synonyms: [C]}}", "'C' stands for both"),
        ("tags: {a: {descriptions: [x], kind: beast}}", "'a' is of kind 'beast', which is none of kinds"),
    ],
)
def test_a_vocabulary_that_leaves_open_what_a_word_stands_for_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        vocabulary(tmp_path, text)
