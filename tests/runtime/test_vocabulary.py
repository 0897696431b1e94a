"""The vocabulary tells which thing a word stands for, whoever uses the word."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import ConfigError
from runtime.language.coco import COCO, LABELS, NUMBERED, names_of
from runtime.language.vocabulary import Vocabulary, load_vocabulary


def vocabulary(tmp_path: Path, text: str) -> Vocabulary:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_vocabulary(str(path))


def test_every_name_of_coco_is_a_thing_of_the_shipped_vocabulary() -> None:
    shipped = load_vocabulary()
    assert len(set(LABELS)) == 80
    assert [name for name in LABELS if shipped.name_of(name) is None] == []
    assert {"sofa", "phone", "aeroplane"} <= (names_of(COCO, shipped) or set())
    assert names_of("something else", shipped) is None


@pytest.mark.parametrize(("number", "label"), [(1, "person"), (44, "bottle"), (67, "dining table"), (90, "toothbrush")])
def test_names_of_coco_stand_at_its_own_numbers(number: int, label: str) -> None:
    assert NUMBERED[number] == label


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
